"""Found faces, cut out the way FER2013's were: upright, grey, 48×48."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

SIZE = 48  # pixels, the side of a FER2013 image

# How FER2013 frames a face, measured with this detector on 3,000 Training images: the
# box of a face covers 44 pixels (root of its area), and its centre is slightly left of
# and below the centre of the image.
FRAME_SIDE, FRAME_CENTRE = 44.3, np.array([23.4, 24.3])


class Found(NamedTuple):
    """A face that was found in a photo, without its expression."""

    box: tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the photo
    confidence: float  # the detector's, 0..1
    landmarks: np.ndarray  # float [5,2] x, y: eyes, nose, corners of the mouth


def area(box: tuple[int, int, int, int]) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def crop_faces(image: Image.Image, found: Sequence[Found]) -> np.ndarray:
    """Cut faces out of an upright photo: uint8 [N,48,48], eyes level, as in FER2013.

    Beyond the edges of the photo, its outermost pixels go on.
    """
    crops = [_crop(image, face) for face in found]
    return np.array(crops, np.uint8).reshape(-1, SIZE, SIZE)


def _crop(image: Image.Image, face: Found) -> np.ndarray:
    matrix = placement(face)
    turn, shift = matrix[:, :2], matrix[:, 2]
    # Drawn larger, then averaged down: a large face sampled at only 48×48 points would
    # show single pores.
    times = int(np.clip(np.ceil(1 / np.hypot(*turn[0])), 1, 16))
    back = np.linalg.inv(turn)
    corners = np.array([[0, 0], [SIZE, 0], [0, SIZE], [SIZE, SIZE]]) - shift
    part, corner = _part(image, corners @ back.T)
    matrix = np.c_[back / times, back @ -shift - corner].ravel().tolist()
    side = (SIZE * times, SIZE * times)
    large = part.transform(
        side, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(large.reduce(times))


def _part(image: Image.Image, corners: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """Return the part of a photo that holds the corners, grey, and where it begins."""
    near = np.floor(corners.min(axis=0)).astype(int) - 1
    far = np.ceil(corners.max(axis=0)).astype(int) + 1
    first = near.clip(0, np.subtract(image.size, 1))
    last = far.clip(first + 1, image.size)
    grey = np.asarray(image.crop((*first, *last)).convert("L"))
    beyond = np.c_[first - near, far - last][::-1].clip(0)
    return Image.fromarray(np.pad(grey, beyond, "edge")), np.minimum(near, first)


def placement(face: Found) -> np.ndarray:
    """Return float [2,3], from places in the photo to places in the crop.

    The box gives place and size, the eyes give the angle. On faces tilted by up to 30°,
    levelling them is worth 2.6 points of accuracy; fitting all five landmarks is worse
    than the box, because they jitter.
    """
    scale = FRAME_SIDE / np.sqrt(area(face.box))
    across = face.landmarks[1] - face.landmarks[0]
    cos, sin = scale * across / (np.hypot(*across) or 1.0)
    turn = np.array([[cos, sin], [-sin, cos]])
    centre = np.add(face.box[:2], face.box[2:]) / 2
    return np.c_[turn, FRAME_CENTRE - turn @ centre]


def whole_face(image: Image.Image) -> np.ndarray:
    """Return the central square of an image that already is a face: uint8 [48,48]."""
    fitted = ImageOps.fit(image.convert("L"), (SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(fitted)


def looks_cropped(image: Image.Image) -> bool:
    """Whether an image is a face already: square, at most 64 pixels, without colour."""
    if image.width != image.height or image.width > 64:
        return False
    pixels = np.asarray(image.convert("RGB"), int)
    return int(np.ptp(pixels, axis=2).max()) <= 8  # JPEG tints grey a little
