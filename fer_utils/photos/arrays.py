"""NumPy arrays as photos: which number is white?"""

import numpy as np
from PIL import Image

from ..errors import PhotoError

FORMS = "[H,W], [H,W,1], [H,W,3] or [H,W,4]"
DEPTHS = (8, 10, 12, 14, 16)  # bits of one value, as cameras and scanners write them


def array_to_image(array: np.ndarray) -> Image.Image:
    """Return an array [H,W], [H,W,1], [H,W,3] or [H,W,4] as an image, 8 bits deep."""
    shape = array.shape
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        hint = "; move the channels last, with .transpose(1, 2, 0)"
        first = array.ndim == 3 and shape[0] in (1, 3, 4)
        why = f"the array is {array.dtype} {list(shape)}; give {FORMS}" + first * hint
        raise PhotoError(why, "unsupported")
    if not array.size:
        raise PhotoError("the array is empty", "empty")
    return Image.fromarray(np.ascontiguousarray(eight_bits(array)))


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Return grey values as uint8.

    Integers are scaled by the least of 8, 10, 12, 14 and 16 bits that holds the
    largest. Floats are 0..1 if none is larger, and 0..255 if one is 16 or more: between
    these, both are possible, and `PhotoError` asks.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype.kind not in "iuf":
        why = f"the array holds {values.dtype}; give integers 0..255 or floats 0..1"
        raise PhotoError(why, "unsupported")
    least, most = values.min(), values.max()
    if values.dtype.kind == "f":
        if not 0 <= least <= most <= 255 or 1 < most < 16:  # also if one is NaN
            why = f"the values run from {least:.3g} to {most:.3g}"
            raise PhotoError(f"{why}; scale floats to 0..1 or 0..255", "unsupported")
        return (values * (255 if most <= 1 else 1)).round().astype(np.uint8)
    depth = next((bits for bits in DEPTHS if most < 2**bits), None)
    if least < 0 or depth is None:
        why = f"the values run from {least} to {most}; scale them to 0..255"
        raise PhotoError(why, "unsupported")
    return (values >> (depth - 8)).astype(np.uint8)
