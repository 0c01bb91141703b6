"""A network by name, with its preprocessing inside: build, freeze, save and load it."""

import json
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import FerError, missing, reason
from ..files import write_atomic
from ..labels import EMOTIONS, parse_classes
from ..shipped import weights_path
from .backbones import IMAGENET, OFFLINE, PRETRAINED, TURNED
from .networks import FROM_SCRATCH, parts

NETWORKS = FROM_SCRATCH | PRETRAINED
FORMAT = 2  # of weights files; since 2 some networks keep their kernels turned
MEAN, STD = 0.508, 0.255  # of FER2013's Training pixels, in 0..1


class Recognizer(nn.Module):
    """A network with its preprocessing: grey faces in, logits out.

    Takes images [N,1,H,W] of any size, integers 0..255 or floats 0..1, resizes them to
    `input_size` and normalises them. Returns logits [N,classes]: the loss brings its
    own softmax. `pretrained` loads ImageNet weights; `FerError` if that fails.
    `label_head` adds a second head, for FER2013's labels beside people's votes: logits
    are then [N,classes,2] in training, and the first head's alone otherwise.
    """

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...] = EMOTIONS,
        input_size: int = 48,
        pretrained: bool = False,
        label_head: bool = False,
    ):
        super().__init__()
        if name not in NETWORKS:
            raise FerError(f"model {name!r}: use one of {', '.join(sorted(NETWORKS))}")
        self.name, self.classes, self.input_size = name, tuple(classes), input_size
        self.imagenet = name in PRETRAINED
        self.net = build_network(name, len(classes), pretrained)
        self.label_head = deepcopy(self.net.head) if label_head else None

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        if self.training and self.label_head is not None:
            heads = self.net.head, self.label_head
            return torch.stack([head(features) for head in heads], -1)
        return self.net.head(features)

    def for_labels(self) -> "Recognizer":
        """Return this network with the answers of its `label_head`; weights are shared.

        `FerError` if it has none.
        """
        if self.label_head is None:
            raise FerError(f"this {self.name} has one head only: it has no label_head")
        twin = Recognizer(self.name, self.classes, self.input_size)
        net = self.net
        twin.net = parts(net.stem, net.body, net.pool, self.label_head)
        return twin.train(self.training)

    def features(self, images: Tensor) -> Tensor:
        """Return the features that the head sees, float [N,F]."""
        net = self.net
        return net.pool(net.body(net.stem(self.preprocess(images))))

    def train(self, mode: bool = True) -> "Recognizer":
        """Switch to training; frozen blocks keep their batch-norm statistics."""
        super().train(mode)
        for block in (self.net.stem, *self.net.body):
            if not any(weight.requires_grad for weight in block.parameters()):
                block.eval()
        return self

    def preprocess(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 1:
            raise FerError(f"images {tuple(images.shape)}: pass grey ones, [N,1,H,W]")
        if not images.is_floating_point():
            images = images.float() / 255
        size = (self.input_size, self.input_size)
        if images.shape[2:] != size:
            shrinks = images.shape[-1] > self.input_size
            images = F.interpolate(images, size, mode="bilinear", antialias=shrinks)
        if not self.imagenet:
            return (images - MEAN) / STD
        images = images.expand(-1, 3, -1, -1)
        mean, std = (images.new_tensor(v).view(3, 1, 1) for v in IMAGENET)
        return (images - mean) / std


def build_network(name: str, classes: int, pretrained: bool) -> nn.Sequential:
    """Return the bare network; `FerError` names what is missing to build it."""
    if pretrained and name not in PRETRAINED:
        raise FerError(f"no ImageNet weights for {name!r}: set pretrained = false")
    options = {"pretrained": True} if pretrained else {}
    try:
        with redirect_stdout(StringIO()):  # some packages report what they load
            return NETWORKS[name](classes, **options)
    except ImportError as error:
        raise missing(f"model {name!r}", "backbones", error) from None
    except (OSError, RuntimeError) as error:
        raise FerError(
            f"model {name!r}: its ImageNet weights cannot be downloaded "
            f"({reason(error)}); try again, or use {OFFLINE!r}, which includes them"
        ) from None


def offline_backbone(name: str) -> str:
    """Return `name` if its weights can be loaded, or else `OFFLINE`, and say so."""
    try:
        build_network(name, 2, pretrained=True)
    except FerError as error:
        print(f"{error}. Going on with {OFFLINE!r}.")
        return OFFLINE
    return name


def freeze(model: Recognizer, unfreeze: int = 0) -> None:
    """Freeze all but the head and the last `unfreeze` blocks; -1 frees everything.

    Frozen weights need no gradients, and their batch norms keep their statistics.
    (Leaving them out of the optimiser saves no work, and the statistics still drift.)
    """
    blocks = [model.net.stem, *model.net.body]
    frozen = max(len(blocks) - unfreeze, 0) if unfreeze >= 0 else 0
    for index, block in enumerate(blocks):
        block.requires_grad_(index >= frozen)
    model.train(model.training)


def save_model(model: Recognizer, path: Path, **metadata) -> None:
    """Write the weights, and all that is needed to rebuild the model, to one file.

    Half precision halves the file and changes probabilities in the fourth digit.
    `metadata`: further JSON values (recipe, scores, data, date) for the file's header.
    """
    from safetensors.torch import save

    mean, std = IMAGENET if model.imagenet else (MEAN, STD)
    header = {
        "model": model.name,
        "classes": list(model.classes),
        "input_size": model.input_size,
        "label_head": model.label_head is not None,
        "normalisation": {"mean": mean, "std": std},
        "format": FORMAT,
    }
    texts = {key: json.dumps(value) for key, value in (header | metadata).items()}
    state = {}
    for key, value in model.state_dict().items():
        value = value.detach().cpu().contiguous()
        # A batch norm's variance may be too small for half precision, and it is short.
        fits = value.ndim > 1 and value.half().isfinite().all()
        state[key] = value.half() if fits else value
    write_atomic(path, save(state, texts))


def load_model(weights: str | Path | None = None) -> Recognizer:
    """Rebuild a network from its file, ready to predict.

    `weights`: a .safetensors file, or one that comes with the package, "people" (the
    usual one) or "fer2013-labels". `FerError` if it is missing or damaged.
    """
    from safetensors import safe_open

    path = weights_path(weights, ".safetensors")
    if not path.is_file():
        raise FerError(f"{path}: no such weights file; check the path")
    try:
        with safe_open(path, "pt") as file:
            header = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if header["model"] in TURNED and header.get("format", 1) < FORMAT:
            raise ValueError("its kernels are from older code: train it again")
        classes = parse_classes(",".join(header["classes"]))
        second = bool(header.get("label_head"))
        size = int(header["input_size"])
        model = Recognizer(header["model"], classes, size, label_head=second)
        model.load_state_dict(state)
    except Exception as error:  # a file of unknown origin can fail at every step
        raise FerError(
            f"{path}: not a weights file of this package ({reason(error)}); use another"
        ) from None
    model.metadata = header
    return model.eval()
