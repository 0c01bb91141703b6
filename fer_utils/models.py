"""Every network by name, with its preprocessing inside."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from .config import FerError, reason, write_whole
from .labels import EMOTIONS, parse_classes
from .networks import NETWORKS

MEAN, STD = 0.508, 0.255  # of FER2013's Training pixels, in 0..1
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean, std of its pixels
OFFLINE = "efficientnet-lite0"  # its weights come by pip, no download at run time
SHIPPED = Path(__file__).parent / "weights" / "shipped.safetensors"


class Recognizer(nn.Module):
    """A network with its preprocessing: grey faces in, logits out.

    Takes images [N,1,H,W] of any size, integers 0..255 or floats 0..1; resizes them
    to `input_size` and normalises them where they are. Returns logits [N,classes]: no
    softmax inside, the loss brings its own. `pretrained` starts from ImageNet weights;
    `FerError` if they cannot be had.
    """

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...] = EMOTIONS,
        input_size: int = 48,
        pretrained: bool = False,
    ):
        super().__init__()
        if name not in NETWORKS:
            raise FerError(f"model {name!r}: use one of {', '.join(sorted(NETWORKS))}")
        self.name, self.classes, self.input_size = name, tuple(classes), input_size
        self.imagenet = NETWORKS[name].imagenet
        self.net = build_network(name, len(classes), pretrained)

    def forward(self, images: Tensor) -> Tensor:
        return self.net.head(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Return what the head sees, float [N,F]."""
        net = self.net
        return net.pool(net.body(net.stem(self.preprocess(images))))

    def train(self, mode: bool = True) -> "Recognizer":
        """Switch to training; frozen blocks stay as they are, statistics included."""
        super().train(mode)
        for block in (self.net.stem, *self.net.body):
            if not any(weight.requires_grad for weight in block.parameters()):
                block.eval()
        return self

    def preprocess(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 1:
            raise FerError(f"images {tuple(images.shape)}: want grey ones, [N,1,H,W]")
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
    network = NETWORKS[name]
    if pretrained and not network.imagenet:
        raise FerError(f"model {name!r} has no pretrained weights: pretrained = false")
    options = {"pretrained": True} if pretrained else {}
    try:
        with redirect_stdout(StringIO()):  # some packages say what they do
            return network.build(classes, **options)
    except ImportError as error:
        raise FerError(
            f"model {name!r} needs a package ({error}): "
            "pip install 'fer-utils[backbones]'"
        ) from None
    except (OSError, RuntimeError) as error:
        raise FerError(
            f"model {name!r}: no ImageNet weights to be had ({reason(error)}); "
            f"without a network use {OFFLINE!r}, which has them inside its package"
        ) from None


def offline_backbone(name: str) -> str:
    """Return `name` if its ImageNet weights can be had, else the backbone with its own.

    Says so in one line when it has to choose the other.
    """
    try:
        build_network(name, 2, pretrained=True)
    except FerError as error:
        print(f"{error}. Going on with {OFFLINE!r}.")
        return OFFLINE
    return name


def freeze(model: Recognizer, unfreeze: int = 0) -> None:
    """Freeze all but the head and the last `unfreeze` blocks; -1 frees everything.

    Frozen weights get no gradient, so none is computed for them, and their batch norms
    keep their statistics. (An optimiser that is merely not given them saves nothing,
    and the statistics drift on.)
    """
    blocks = [model.net.stem, *model.net.body]
    free = len(blocks) if unfreeze < 0 else min(unfreeze, len(blocks))
    for index, block in enumerate(blocks):
        block.requires_grad_(index >= len(blocks) - free)
    model.train(model.training)


def save_model(model: Recognizer, path: Path, **metadata) -> None:
    """Write weights and what is needed to rebuild the model, whole or not at all.

    In half precision: half the file, and answers that differ in the fourth digit.
    `metadata`: further JSON values (recipe, scores, data, date) for the file's header.
    """
    from safetensors.torch import save

    mean, std = IMAGENET if model.imagenet else (MEAN, STD)
    header = {
        "model": model.name,
        "classes": list(model.classes),
        "input_size": model.input_size,
        "normalisation": {"mean": mean, "std": std},
        **metadata,
    }
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    for key, value in state.items():
        # Only what is large: a batch norm's variance may be too small for a half. And
        # nothing that would overflow.
        if value.ndim > 1 and value.half().isfinite().all():
            state[key] = value.half()
    texts = {key: json.dumps(value) for key, value in header.items()}
    write_whole(path, save(state, texts))


def load_model(path: str | Path = SHIPPED) -> Recognizer:
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
