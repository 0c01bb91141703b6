"""Find the faces in a photo: quickly in a usual one, carefully where none is seen."""

import math
from collections.abc import Iterator
from numbers import Real

import numpy as np
from PIL import Image

from ..errors import FerError
from . import cascade, centerface
from .boxes import Detections
from .crop import Found, area

SEARCH_SIZE = 1024  # pixels; a longer side is shrunk to this before the search
FINER = 3  # times that, when faces may be small
SMALL = 480  # pixels instead, when a face may fill the photo or be turned
MIN_SIZE = 40  # pixels, of the photo as it is searched
MIN_CONFIDENCE = 0.85
ANGLES = (-30, 30)  # degrees, when faces may be turned


def find_faces(
    image: Image.Image,
    min_size: int = MIN_SIZE,
    min_confidence: float = MIN_CONFIDENCE,
    search_size: int = SEARCH_SIZE,
) -> list[Found]:
    """Find the faces in an upright photo, largest first.

    The photo is searched with its longer side at most `search_size` pixels, for faces
    of at least `min_size` pixels there. These two decide how long it takes. MTCNN
    searches first. Where it sees no face of at least `min_confidence`, CenterFace
    does, which finds more and takes longer: in the photo as it is and made smaller (a
    face may fill it). A photo larger than `search_size` is then searched by both with
    up to three times as many pixels a side, for faces down to half of `min_size`
    there. The last two searches turn the photo by 30° to either side.
    """
    for name, value in {"min_size": min_size, "search_size": search_size}.items():
        if not isinstance(value, Real) or not 1 <= value < math.inf:
            raise FerError(f"{name} = {value!r}: give pixels, at least 1")
    for found in _searches(image, min_size, search_size):
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
    times, least = _shrink(image, search_size), max(cascade.CELL, min_size)
    yield _larger(_quickly(image, times, least), least * times)
    whole = min(centerface.TILE, search_size)
    small, by = min(SMALL, whole), _shrink(image, FINER * search_size)
    for longest in (whole, small):
        yield _larger(_carefully(image, _shrink(image, longest)), least * times)
    if by < times:
        yield _larger(_quickly(image, by, least), least * by)
        yield _larger(_carefully(image, by), least * by / 2)
    elif max(image.size) > whole:
        yield _larger(_carefully(image, by), least * by)
    for angle in ANGLES:
        found = _carefully(image, _shrink(image, small), angle)
        yield _larger(found, least * times)


def _shrink(image: Image.Image, longest: int) -> float:
    """Return how much to shrink a photo, so that its longer side is `longest`."""
    return max(1.0, max(image.size) / longest)


def _shrunk(image: Image.Image, times: float) -> Image.Image:
    if times > 1:
        size = [max(1, round(side / times)) for side in image.size]
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image if image.mode == "RGB" else image.convert("RGB")


def _larger(found: Detections, least: float) -> Detections:
    """Return the faces with a longer side of at least `least` pixels."""
    large = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1) >= least
    return Detections(*(each[large] for each in found))


def _quickly(image: Image.Image, times: float, least: float) -> Detections:
    """Find faces with MTCNN in a photo shrunk; in its own pixels."""
    boxes, scores, points = cascade.detect(_shrunk(image, times), least)
    return Detections(times * boxes, scores, times * points)


def _carefully(image: Image.Image, times: float, angle: float = 0) -> Detections:
    """Find faces with CenterFace in a photo shrunk, then turned; in its own pixels."""
    photo = _shrunk(image, times)
    if angle:
        photo = photo.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    boxes, scores, points = centerface.detect(photo)
    # From the centre of one to the centre of the other.
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    back = times * np.array([[cos, sin], [-sin, cos]])
    there, here = (np.divide(each.size, 2) for each in (photo, image))
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    centres = (boxes[:, :2] + half - there) @ back + here
    boxes = np.hstack([centres - times * half, centres + times * half])
    return Detections(boxes, scores, (points - there) @ back + here)
