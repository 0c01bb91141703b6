"""What a detector found, which boxes are the same face, and the pixels in them."""

from typing import NamedTuple

import numpy as np
from PIL import Image

MOST = 1000  # boxes that go on from one step to the next: bounds the time


class Detections(NamedTuple):
    """What looks like a face to a detector; in pixels of the photo."""

    boxes: np.ndarray  # float [N,4]: left, top, right, bottom
    scores: np.ndarray  # float [N], 0..1
    landmarks: np.ndarray  # float [N,5,2] x, y: eyes, nose, corners of the mouth


def best(boxes, scores, threshold, limit, of_smaller=False) -> np.ndarray:
    """Return the rows of boxes above a threshold, none overlapping a better one.

    `limit`: of the overlap, as a part of the union, or of the smaller of the two.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold][:MOST]
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best], boxes[order], of_smaller) <= limit]
    return np.array(kept, int)


def overlaps(box, boxes, of_smaller=False) -> np.ndarray:
    """Return float [N]: what a box shares with each of the boxes [N,4], 0..1."""
    near, far = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = (far - near).clip(0).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    if of_smaller:
        return shared / np.minimum(area, areas)
    return shared / (area + areas - shared)


def squares(boxes: np.ndarray) -> np.ndarray:
    """Return the squares around the centres of boxes, as large as the longer sides."""
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    return np.hstack([centres - half, centres + half])


def halved(photo: Image.Image) -> list[Image.Image]:
    """Return the photo, half its size, a quarter…"""
    halves = [photo]
    while min(halves[-1].size) > 48:
        halves.append(halves[-1].reduce(2))
    return halves


def corners(boxes: np.ndarray) -> np.ndarray:
    """Return float [N,4,2]: upper left, lower left, lower right, upper right."""
    return boxes[:, [0, 1, 0, 3, 2, 3, 2, 1]].reshape(-1, 4, 2)


def crops(halves: list[Image.Image], quads: np.ndarray, side: int) -> np.ndarray:
    """Cut squares out of a photo, black beyond its edges: uint8 [N,side,side,3].

    `quads` are their corners, as `corners` returns them; a square may be turned. Each
    is drawn from the half, quarter… of the photo with at most twice its pixels.
    """
    cut = np.empty((len(quads), side, side, 3), np.uint8)
    steps = np.hypot(*(quads[:, 3] - quads[:, 0]).T) / side
    steps = np.log2(steps.clip(1)).astype(int).clip(0, len(halves) - 1)
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        of_step = quads[rows].reshape(-1, 8) / 2**step
        places = [(0, side * i, side, side * (i + 1)) for i in range(len(rows))]
        column = halves[step].transform(
            (side, side * len(rows)),
            Image.Transform.MESH,
            list(zip(places, of_step.tolist(), strict=True)),
            Image.Resampling.BILINEAR,
        )
        cut[rows] = np.asarray(column).reshape(-1, side, side, 3)
    return cut
