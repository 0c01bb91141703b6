"""Facial expression recognition on FER2013: data, training, evaluation, prediction."""

import importlib

from .device import prepare_torch

prepare_torch()  # before anything imports torch

# Loaded when first used: torch alone takes longer to import than most commands run.
_ROOMS = {
    "errors": ("FerError", "PhotoError"),
    "device": ("setup",),
    "labels": ("EMOTIONS",),
    "data": ("FER2013", "load_fer2013"),
    "models": ("load_model",),
    "training": ("Recipe", "Run", "recipe", "records", "train"),
    "evaluation": ("Scores", "evaluate"),
    "notebook": ("say",),
    "timing": ("fastest",),
    "exercises": ("check",),
    "photos": ("Face", "Predictor", "crop_faces", "find_faces", "open_photo"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'fer_utils' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
