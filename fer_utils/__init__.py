"""Facial expression recognition on FER2013: data, training, evaluation, prediction."""

from .device import prepare_torch
from .lazy import lazy

prepare_torch()  # before anything imports torch

__getattr__, __all__ = lazy(
    __name__,
    {
        "errors": ("FerError", "PhotoError"),
        "device": ("setup",),
        "labels": ("EMOTIONS",),
        "data": ("FER2013", "load_fer2013"),
        "models": ("load_model",),
        "training": ("Recipe", "Run", "recipe", "records", "train"),
        "evaluation": ("Scores", "evaluate"),
        "export": ("export_onnx",),
        "notebook": ("say",),
        "timing": ("fastest",),
        "exercises": ("check",),
        "photos": (
            "Face",
            "Predictor",
            "crop_faces",
            "find_faces",
            "open_photo",
            "to_frame",
        ),
    },
)


def __dir__() -> list[str]:
    return __all__
