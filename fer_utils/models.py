"""Every network by name, with its preprocessing inside."""

import json
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from .config import FerError, reason, write_whole
from .labels import EMOTIONS, parse_classes

MEAN, STD = 0.508, 0.255  # of FER2013's Training pixels, in 0..1
WEIGHTS = Path(__file__).parent / "weights"


class Recognizer(nn.Module):
    """A network with its preprocessing: grey faces in, logits out.

    Takes images [N,1,H,W] of any size, integers 0..255 or floats 0..1; resizes them
    to `input_size` and normalises them where they are. Returns logits [N,classes]: no
    softmax inside, the loss brings its own.
    """

    def __init__(
        self, name: str, classes: tuple[str, ...] = EMOTIONS, input_size: int = 48
    ):
        super().__init__()
        if name not in MODELS:
            raise FerError(f"model {name!r}: use one of {', '.join(sorted(MODELS))}")
        self.name, self.classes, self.input_size = name, tuple(classes), input_size
        self.net = MODELS[name](len(classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.preprocess(images))

    def preprocess(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 1:
            raise FerError(f"images {tuple(images.shape)}: want grey ones, [N,1,H,W]")
        if not images.is_floating_point():
            images = images.float() / 255
        size = (self.input_size, self.input_size)
        if images.shape[2:] != size:
            shrinks = images.shape[-1] > self.input_size
            images = F.interpolate(images, size, mode="bilinear", antialias=shrinks)
        return (images - MEAN) / STD


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Convolution and batch normalisation; the latter makes a bias superfluous."""
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al., 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = conv_bn(inputs, outputs, stride=stride)
        self.conv2 = conv_bn(outputs, outputs)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            # Pooling before the 1×1 keeps every pixel (He et al., 2019, ResNet-D).
            pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, conv_bn(inputs, outputs, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.conv1(x), inplace=True)
        return F.relu(self.conv2(hidden) + self.shortcut(x), inplace=True)


def compact_cnn(classes: int) -> nn.Sequential:
    """A small residual network for 48×48 grey faces; 530 k parameters.

    The first convolution halves the side at once: on a CPU, time goes where the
    pixels are, and a face at 24×24 still shows its expression.
    """
    return nn.Sequential(
        conv_bn(1, 32, stride=2),
        nn.ReLU(inplace=True),
        ResidualBlock(32, 32),
        ResidualBlock(32, 64, stride=2),
        ResidualBlock(64, 64),
        ResidualBlock(64, 128, stride=2),
        conv_bn(128, 128),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, classes),
    )


MODELS = {"compact-cnn": compact_cnn}


def save_model(model: Recognizer, path: Path, **metadata) -> None:
    """Write weights and what is needed to rebuild the model, whole or not at all.

    `metadata`: further JSON values (recipe, scores, data, date) for the file's header.
    """
    from safetensors.torch import save

    header = {
        "model": model.name,
        "classes": list(model.classes),
        "input_size": model.input_size,
        "normalisation": {"mean": MEAN, "std": STD},
        **metadata,
    }
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    texts = {key: json.dumps(value) for key, value in header.items()}
    write_whole(path, save(state, texts))


def load_model(path: str | Path = WEIGHTS / "compact-cnn.safetensors") -> Recognizer:
    """Rebuild a model from its file (default: the shipped one), ready to predict.

    The file is data, never code. Raises `FerError` if it is missing or something else.
    """
    from safetensors import safe_open

    path = Path(path)
    if not path.is_file():
        raise FerError(f"{path}: no such weights file")
    try:
        with safe_open(path, "pt") as file:
            header = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        classes = parse_classes(",".join(header["classes"]))
        model = Recognizer(header["model"], classes, int(header["input_size"]))
        model.load_state_dict(state)
    except Exception as error:  # a file of unknown origin can fail in every step
        raise FerError(
            f"{path}: no weights of this package ({reason(error)})"
        ) from None
    model.metadata = header
    return model.eval()
