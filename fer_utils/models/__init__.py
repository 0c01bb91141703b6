"""Networks from scratch and pretrained, with their preprocessing inside."""

from ..lazy import need

need("torch", "a network of PyTorch", "course")

from .backbones import IMAGENET, OFFLINE
from .recognizer import (
    NETWORKS,
    Recognizer,
    freeze,
    load_model,
    offline_backbone,
    save_model,
)
