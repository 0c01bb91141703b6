"""A photo in any accepted form → an upright PIL image, grey or RGB."""

import os
import re
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import PhotoError, reason

# Astronaut Eileen Collins (GPN-2000-001177), 512×512, one happy face, in the cut that
# scikit-image distributes. Photo: NASA, public domain, which is no endorsement.
PORTRAIT = Path(__file__).with_name("astronaut.jpg")
MAX_BYTES = 10 * 2**20  # of photos given as bytes or by address
MAX_PIXELS = 40_000_000  # about 160 MB once decoded
TOO_MANY = f"pixels; at most {MAX_PIXELS // 10**6} million are accepted"
# How each accepted format begins.
FORMATS = {"JPEG": b"\xff\xd8", "PNG": b"\x89PNG", "WEBP": b"RIFF"}
FORMATS |= {"GIF": b"GIF8", "BMP": b"BM"}
ACCEPTED = "JPEG, PNG, WebP, GIF or BMP"

Photo = str | os.PathLike | bytes | Image.Image | np.ndarray


def open_photo(source: Photo, allow_private: bool = False) -> Image.Image:
    """Open a photo: mode `L` or `RGB`, turned upright by its EXIF orientation.

    `source`: a path, an http(s) address, the bytes of a file, a PIL image, or an array
    uint8 [H,W] or [H,W,3] in the order red, green, blue (OpenCV's order is blue first:
    reverse it with `[..., ::-1]`). Of an animation, the first frame. `allow_private`
    permits addresses in private networks. Raises `PhotoError`; the size is read from
    the header and checked before the pixels are decoded.
    """
    if isinstance(source, str) and is_address(source):
        from .download import download

        source = download(source, allow_private, MAX_BYTES)
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        return _upright(source, "the image")
    if isinstance(source, bytes | bytearray | memoryview):
        if len(source) > MAX_BYTES:
            limit = f"{MAX_BYTES >> 20} MB"
            raise PhotoError(f"the photo is larger than {limit}", "too_large")
        return _decode(BytesIO(source), "the photo")
    if not isinstance(source, str | os.PathLike):
        raise PhotoError(
            f"a photo cannot be of type {type(source).__name__}; give a path, bytes, "
            "a PIL image, a NumPy array or an http(s) address",
            "unsupported",
        )
    name = os.fspath(source)
    try:
        if not Path(name).is_file():
            raise PhotoError(f"{name}: there is no such file", "missing")
        with open(name, "rb") as file:
            return _decode(file, name)
    except OSError as error:
        why = f"cannot be read ({reason(error)})"
        raise PhotoError(f"{name}: {why}", "missing") from None


def is_address(source: str) -> bool:
    """Whether this is a web address, not a path; `C://me.jpg` is a path in Windows."""
    return re.match(r"(?i)[a-z][a-z0-9+.-]+://", source) is not None


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or (array.ndim, *array.shape[2:]) not in ((2,), (3, 3)):
        raise PhotoError(
            f"the array is {array.dtype} {array.shape}; give uint8 [H,W] or [H,W,3]",
            "unsupported",
        )
    return Image.fromarray(array)


def _decode(file: BinaryIO, name: str) -> Image.Image:
    start = file.read(16)
    file.seek(0)
    if not start:
        raise PhotoError(f"{name} is empty", "empty")
    if not start.startswith(tuple(FORMATS.values())):
        why = f"not in an accepted format: {ACCEPTED}"
        raise PhotoError(f"{name} is {why}", "unsupported")
    try:
        # Pillow warns of damaged EXIF, and of sizes that `_upright` refuses.
        with warnings.catch_warnings(action="ignore"):
            image = Image.open(file, formats=list(FORMATS))
    except Image.DecompressionBombError:
        raise PhotoError(f"{name} has too many {TOO_MANY}", "too_large") from None
    except UnidentifiedImageError:
        raise PhotoError(f"{name} is damaged (no readable header)") from None
    except Exception as error:  # a crafted file can fail anywhere in a decoder
        raise PhotoError(f"{name} is damaged ({reason(error)})") from None
    return _upright(image, name)


def _upright(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if not width * height:
        raise PhotoError(f"{name} is empty", "empty")
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{name} has {width}×{height} {TOO_MANY}", "too_large")
    try:
        image.load()
    except Exception as error:
        raise PhotoError(f"{name} is damaged ({reason(error)})") from None
    # A photo with damaged EXIF is still a photo.
    with suppress(Exception), warnings.catch_warnings(action="ignore"):
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    try:
        return _grey_or_rgb(image)
    except ValueError:
        why = f"colour mode {image.mode}; give one of mode L or RGB"
        raise PhotoError(f"{name} has {why}", "unsupported") from None


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I"):  # 16 bits; convert() would clip them to white
        wide = np.asarray(image).clip(0, 65535).astype(np.uint16)
        return Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("no agreed range")
    if image.has_transparency_data:  # on white, as a browser shows it
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        return canvas
    return image.convert("L" if image.mode == "1" else "RGB")
