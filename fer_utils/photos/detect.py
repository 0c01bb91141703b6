"""Find the faces in a photo: quickly in a usual one, thoroughly where none is seen."""

import math
from collections.abc import Iterator
from numbers import Real

import numpy as np
from PIL import Image, ImageOps

from ..errors import FerError
from .cascade import CELL, DOUBTFUL, THRESHOLDS, Detections, certainty, detect
from .crop import Found, area

SEARCH_SIZE = 1024  # pixels; a longer side is shrunk to this before the search
FINER = 3  # times that, when faces may be small
FILLED = 320  # pixels instead, when a face may fill the photo
MIN_SIZE = 40  # pixels, of the photo as it is searched
MIN_CONFIDENCE = 0.85
ANGLES = (-20, 20, -40, 40)  # degrees, when faces may be turned


def find_faces(
    image: Image.Image,
    min_size: int = MIN_SIZE,
    min_confidence: float = MIN_CONFIDENCE,
    search_size: int = SEARCH_SIZE,
) -> list[Found]:
    """Find the faces in an upright photo, largest first.

    The photo is searched with its longer side at most `search_size` pixels, for faces
    of at least `min_size` pixels there. These two decide how long it takes. Where no
    face of at least `min_confidence` is seen, it is searched again, which takes 10 to
    20 times as long if there is none: less strictly, mirrored, with a margin (a face
    may fill it), three times as large (faces may be small), turned by 20° and 40°. In
    the searches that take much else for a face, `min_confidence` is asked of a second
    look at each (`certainty`).
    """
    for name, value in {"min_size": min_size, "search_size": search_size}.items():
        if not isinstance(value, Real) or not 1 <= value < math.inf:
            raise FerError(f"{name} = {value!r}: give pixels, at least 1")
    for found in _searches(image, max(CELL, min_size), search_size):
        kept = found.scores >= min_confidence
        faces = []
        for box, score, points in zip(*(each[kept] for each in found), strict=True):
            corners = box.round().astype(int).clip(0, image.size * 2)
            if (corners[2:] > corners[:2]).all():  # else beyond the edge of the photo
                faces.append(Found(tuple(corners.tolist()), float(score), points))
        if faces:
            return sorted(faces, key=lambda face: -area(face.box))
    return []


def _searches(
    image: Image.Image, min_size: int, search_size: int
) -> Iterator[Detections]:
    """Search a photo in one way after another, the likely ones first."""
    photo, times = _shrunk(image, search_size)
    least = min_size * times
    yield _search(photo, times, min_size, THRESHOLDS)
    yield _search(photo, times, min_size, sure=True)
    yield _search(photo, times, min_size, mirrored=True)
    small, shrink = _shrunk(image, min(FILLED, search_size))
    yield _larger(_search(small, shrink, min_size, margin=max(small.size) // 3), least)
    if times > 1:
        yield _search(*_shrunk(image, FINER * search_size), min_size, sure=True)
    for angle in ANGLES:
        yield _search(photo, times, min_size, angle=angle, sure=True)


def _shrunk(image: Image.Image, longest: int) -> tuple[Image.Image, float]:
    """Return a photo in RGB, its longer side at most `longest`; and how much shrunk."""
    times = max(1.0, max(image.size) / longest)
    if times > 1:
        size = [max(1, round(side / times)) for side in image.size]
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image if image.mode == "RGB" else image.convert("RGB"), times


def _search(
    photo: Image.Image,
    times: float,
    min_size: int,
    thresholds: tuple[float, float, float] = DOUBTFUL,
    mirrored: bool = False,
    margin: int = 0,
    angle: float = 0,
    sure: bool = False,
) -> Detections:
    """Search a photo, changed in some way; in pixels of what is `times` as large.

    `sure`: the scores are those of a second look (`certainty`).
    """
    changed = ImageOps.mirror(photo) if mirrored else photo
    if margin:
        changed = ImageOps.expand(changed, margin)
    if angle:
        changed = changed.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    found = _larger(detect(changed, min_size, thresholds), min_size)
    if sure:
        found = found._replace(scores=certainty(changed, found.boxes))
    # From the centre of one to the centre of the other.
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    back = times * np.array([[cos, sin], [-sin, cos]])
    points = (found.landmarks - np.divide(changed.size, 2)) @ back
    centres = (found.boxes[:, :2] + found.boxes[:, 2:] - changed.size) / 2 @ back
    if mirrored:
        centres[:, 0] *= -1
        points = points[:, [1, 0, 2, 4, 3]] * [-1, 1]  # left is right
    middle = times * np.divide(photo.size, 2)
    half = times * (found.boxes[:, 2:] - found.boxes[:, :2]) / 2
    boxes = np.hstack([centres - half, centres + half]) + np.tile(middle, 2)
    return Detections(boxes, found.scores, points + middle)


def _larger(found: Detections, least: float) -> Detections:
    """Return the faces with a longer side of at least `least` pixels."""
    large = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1) >= least
    return Detections(*(each[large] for each in found))
