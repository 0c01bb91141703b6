"""Networks that are trained from scratch, each in four parts: stem, body, pool, head.

The parts are those of transfer learning: the head is new, the body's last blocks are
the first to be unfrozen, and the stem's edges are the last to change. Frozen parts turn
an image into the same features every time, so these can be cached for the head.
"""

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


def parts(
    stem: nn.Module, body: Iterable[nn.Module], pool: nn.Module, head: nn.Module
) -> nn.Sequential:
    """Return the network stem → body → pool → head; `body` is its list of blocks."""
    named = {"stem": stem, "body": nn.Sequential(*body), "pool": pool, "head": head}
    return nn.Sequential(OrderedDict(named))


def pooled(kind: str = "avg") -> nn.Sequential:
    """Pool feature maps [N,C,H,W] to [N,C]: their mean (`avg`) or their `max`."""
    pool = nn.AdaptiveMaxPool2d if kind == "max" else nn.AdaptiveAvgPool2d
    return nn.Sequential(pool(1), nn.Flatten())


def linear_head(inputs: int, classes: int, dropout: float = 0.2) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, classes))


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Convolution and batch normalisation, whose shift makes a bias superfluous."""
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_bn(inputs, outputs, 3, stride), nn.ReLU(inplace=True))


def conv_pool(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """Convolutions from each width to the next, then pooling that halves the side."""
    layers = [conv_relu(inputs, outputs) for inputs, outputs in pairwise(widths)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Dropout2d(dropout))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al., 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        wider = outputs > inputs  # then it also halves the side
        self.conv1 = conv_bn(inputs, outputs, stride=2 if wider else 1)
        self.conv2 = conv_bn(outputs, outputs)
        self.shortcut = nn.Identity()
        if wider:
            # Pooling before the 1×1 keeps every pixel (He et al., 2019, ResNet-D).
            pool = nn.AvgPool2d(2, ceil_mode=True)
            self.shortcut = nn.Sequential(pool, conv_bn(inputs, outputs, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.conv1(x), inplace=True)
        return F.relu(self.conv2(hidden) + self.shortcut(x), inplace=True)


def residual_body(*widths: int) -> list[nn.Module]:
    return [ResidualBlock(inputs, outputs) for inputs, outputs in pairwise(widths)]


def compact_cnn(classes: int, pool: str = "avg", width: int = 32) -> nn.Sequential:
    """A small residual network for 48×48 grey faces; 530 k parameters (48 wide: 1.2 M).

    The first convolution halves the side at once: on a CPU, most time is spent where
    most pixels are, and a face of 24×24 pixels still shows its expression.
    """
    w, last = width, 4 * width
    body = [*residual_body(w, w, 2 * w, 2 * w, last), conv_relu(last, last)]
    stem = conv_relu(1, w, stride=2)
    return parts(stem, body, pooled(pool), linear_head(last, classes))


def deep_cnn(classes: int) -> nn.Sequential:
    """compact_cnn with one more stage; 970 k parameters for a quarter more work."""
    body = [*residual_body(32, 32, 64, 64, 128, 128), conv_relu(128, 256, stride=2)]
    return parts(conv_relu(1, 32, stride=2), body, pooled(), linear_head(256, classes))


def custom_cnn(classes: int) -> nn.Sequential:
    """Four blocks of convolution, norm, ReLU, pooling and dropout; 0.8 M parameters."""
    # A second convolution costs little where the maps are small.
    block = partial(conv_pool, dropout=0.05)
    body = [block(32, 64), block(64, 128, 128), block(128, 192, 192)]
    return parts(block(1, 32), body, pooled(), linear_head(192, classes, 0.3))


class Residual(nn.Module):
    """Two convolutions whose output is added to their input."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(conv_relu(width, width), conv_relu(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def resnet9(classes: int, width: int = 32) -> nn.Sequential:
    """Nine weight layers, two shortcuts, known for speed; 1.6 M parameters.

    D. Page's DAWNBench entry (2018) made this form popular; here it has half its width,
    and since it was made for 32×32, the stem pools first.
    """

    def down(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(*conv_relu(inputs, outputs), nn.MaxPool2d(2))

    w = width
    body = [down(w, 2 * w), Residual(2 * w), down(2 * w, 4 * w)]
    body += [down(4 * w, 8 * w), Residual(8 * w)]
    return parts(down(1, w), body, pooled("max"), linear_head(8 * w, classes))


def resnet18_48(classes: int) -> nn.Sequential:
    """ResNet-18 for 48×48: a 3×3 stem without stride or pooling; 11 M parameters."""
    body = residual_body(64, 64, 64, 128, 128, 256, 256, 512, 512)
    return parts(conv_relu(1, 64), body, pooled(), linear_head(512, classes))


def vgg_48(classes: int) -> nn.Sequential:
    """Pairs of 3×3 convolutions, 64 to 512 wide, then pooling; 4.7 M parameters."""
    body = [conv_pool(64, 128, 128), conv_pool(128, 256, 256), conv_pool(256, 512, 512)]
    return parts(conv_pool(1, 64, 64), body, pooled(), linear_head(512, classes, 0.5))


FROM_SCRATCH = {
    "compact-cnn": compact_cnn,
    "wide-cnn": partial(compact_cnn, width=48),
    "wide-cnn-max": partial(compact_cnn, width=48, pool="max"),
    "deep-cnn": deep_cnn,
    "custom-cnn": custom_cnn,
    "resnet9": resnet9,
    "resnet18-48": resnet18_48,
    "vgg-48": vgg_48,
}
