"""Networks from scratch and pretrained, with their preprocessing inside."""

from .backbones import IMAGENET, OFFLINE
from .recognizer import (
    NETWORKS,
    SHIPPED,
    Recognizer,
    freeze,
    load_model,
    offline_backbone,
    save_model,
)
