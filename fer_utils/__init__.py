"""Facial expression recognition on FER2013: data, training, evaluation, prediction."""

import importlib

# Loaded when first used: torch alone takes longer to import than most commands run.
_HOME = {
    "EMOTIONS": "labels",
    "FerError": "config",
    "FER2013": "data",
    "load_fer2013": "data",
    "Recipe": "recipes",
    "recipe": "recipes",
    "train": "training",
    "Run": "run",
    "records": "run",
    "Scores": "evaluation",
    "evaluate": "evaluation",
    "load_model": "models",
    "Face": "predict",
    "Predictor": "predict",
    "open_photo": "photos",
    "PhotoError": "photos",
    "find_faces": "faces",
    "crop_faces": "faces",
    "setup": "config",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'fer_utils' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
