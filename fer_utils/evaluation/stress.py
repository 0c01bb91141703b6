"""The stress card: how accuracy falls when faces come as people's photos do.

Real photos are darker, blurred, turned, smaller, cropped more loosely, compressed or
half covered. Each axis changes the same faces in one way, a little and a lot.
"""

from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from ..errors import FerError
from .significance import interval

Change = Callable[[Image.Image, float], Image.Image]
BILINEAR = Image.Resampling.BILINEAR


def _margin(face: Image.Image, share: float) -> Image.Image:
    """Cut off a share of each side, or add it, mirrored, where it is negative."""
    pixels = round(abs(share) * face.width)
    if share > 0:
        cut = ImageOps.crop(face, pixels)
    else:
        grey = np.pad(np.asarray(face), pixels, mode="symmetric")
        cut = Image.fromarray(grey)
    return cut.resize(face.size, BILINEAR)


def _turn(face: Image.Image, degrees: float) -> Image.Image:
    side = face.width
    grey = np.pad(np.asarray(face), side // 2, mode="symmetric")
    turned = Image.fromarray(grey).rotate(degrees, BILINEAR)
    return ImageOps.crop(turned, side // 2)


def _small(face: Image.Image, side: float) -> Image.Image:
    small = face.resize((int(side), int(side)), Image.Resampling.BOX)
    return small.resize(face.size, BILINEAR)


def _jpeg(face: Image.Image, quality: float) -> Image.Image:
    file = BytesIO()
    face.save(file, "JPEG", quality=int(quality))
    return Image.open(file).convert("L")


def _noise(face: Image.Image, spread: float) -> Image.Image:
    grey = np.asarray(face, float)
    seed = int(grey.sum())  # the same noise for a face every time
    grey = grey + np.random.default_rng(seed).normal(0, spread, grey.shape)
    return Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))


def _cover(face: Image.Image, part: float) -> Image.Image:
    """Cover the mouth (1), as a mask does, or the eyes (2), as sunglasses do."""
    top, bottom = (0.55, 1.0) if part == 1 else (0.2, 0.45)
    covered, side = face.copy(), face.height
    colour = 200 if part == 1 else 25
    covered.paste(colour, (0, round(top * side), side, round(bottom * side)))
    return covered


class Axis(NamedTuple):
    """One way in which photos differ, with a mild and a hard level or more."""

    name: str
    unit: str
    levels: tuple[float, ...]
    change: Change


AXES = (
    Axis("crop", "share of each side cut off", (-0.2, -0.1, 0.1, 0.2), _margin),
    Axis("turn", "degrees", (-30, -15, 15, 30), _turn),
    Axis(
        "blur",
        "pixels",
        (1, 2),
        lambda face, s: face.filter(ImageFilter.GaussianBlur(s)),
    ),
    Axis("size", "pixels", (12, 16, 24), _small),
    Axis(
        "brightness",
        "times as bright",
        (0.3, 0.6, 1.6),
        lambda face, x: ImageEnhance.Brightness(face).enhance(x),
    ),
    Axis(
        "contrast",
        "times the contrast",
        (0.3, 0.6),
        lambda face, x: ImageEnhance.Contrast(face).enhance(x),
    ),
    Axis("noise", "grey values", (15, 30), _noise),
    Axis("JPEG", "quality", (8, 20), _jpeg),
    Axis("covered", "1 mouth, 2 eyes", (1, 2), _cover),
)


class Stress(NamedTuple):
    """Accuracy at one level of one axis, with its 95 % interval (Wilson)."""

    axis: str
    level: float | None  # None: the faces as they are
    accuracy: float
    low: float
    high: float
    faces: int


def changed(images: np.ndarray, axis: Axis, level: float) -> np.ndarray:
    """Return faces uint8 [N,H,W] changed along an axis."""
    each = (axis.change(Image.fromarray(image), level) for image in images)
    return np.stack([np.asarray(image) for image in each])


def stress_card(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    axes: tuple[Axis, ...] = AXES,
) -> list[Stress]:
    """Return how often `predict` is right on faces as they are, then on changed ones.

    `predict`: uint8 [N,48,48] to probabilities [N,classes]; `labels`: int [N], the
    answer that counts as right. Choose nothing by PrivateTest: use PublicTest here.
    """
    if images.ndim != 3 or len(images) != len(labels) or not len(images):
        shapes = f"images {images.shape} and labels {np.shape(labels)}"
        raise FerError(f"{shapes}: pass [N,H,W] and [N], at least one")

    def line(name: str, level: float | None, faces: np.ndarray) -> Stress:
        right = float((predict(faces).argmax(1) == labels).mean())
        return Stress(name, level, right, *interval(right, len(labels)), len(labels))

    card = [line("as they are", None, images)]
    for axis in axes:
        for level in axis.levels:
            card.append(line(axis.name, level, changed(images, axis, level)))
    return card


def mean_of_axes(card: list[Stress]) -> float:
    """Return the mean accuracy of the axes, each the mean of its levels."""
    axes = dict.fromkeys(each.axis for each in card if each.level is not None)
    means = [np.mean([each.accuracy for each in card if each.axis == a]) for a in axes]
    return float(np.mean(means))
