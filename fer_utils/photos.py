"""Whatever a photo comes as → an upright PIL image, grey or RGB."""

import os
import re
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .config import FerError, reason

MAX_BYTES = 10 * 2**20  # of photos given as bytes or by address
MAX_PIXELS = 40_000_000  # about 160 MB once decoded
# How each accepted format begins.
FORMATS = {
    "JPEG": b"\xff\xd8",
    "PNG": b"\x89PNG",
    "WEBP": b"RIFF",
    "GIF": b"GIF8",
    "BMP": b"BM",
}
ACCEPTED = "JPEG, PNG, WebP, GIF or BMP"

Photo = str | os.PathLike | bytes | Image.Image | np.ndarray


class PhotoError(FerError):
    """A photo that cannot be used; `kind` says why, for programs.

    `unsupported` (no photo, or no accepted format), `broken`, `empty`, `too_large`
    (bytes or pixels), `too_small`, `url` (not fetched), `missing` (no such file).
    """

    def __init__(self, message: str, kind: str = "broken"):
        super().__init__(message)
        self.kind = kind


def open_photo(source: Photo, allow_private: bool = False) -> Image.Image:
    """Open a photo: mode `L` or `RGB`, turned upright by its EXIF orientation.

    `source`: a path, an http(s) address, the bytes of a file, a PIL image, or an array
    uint8 [H,W] or [H,W,3] in the order red, green, blue (OpenCV's is blue first: turn
    it round with `[..., ::-1]`). Of an animation, the first frame. `allow_private`
    permits addresses in private networks. Raises `PhotoError`; sizes are checked in
    the header, before anything is decoded.
    """
    if isinstance(source, Image.Image):
        return _upright(source, "the image")
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(source, "the photo")
    if not isinstance(source, str | os.PathLike):
        raise PhotoError(
            f"a photo cannot be of type {type(source).__name__}; give a path, bytes, "
            "a PIL image, a NumPy array or an http(s) address",
            "unsupported",
        )
    name = os.fspath(source)
    if re.match(r"[a-z][a-z0-9+.-]*://", name, re.IGNORECASE):
        from .fetch import fetch

        return _from_bytes(fetch(name, allow_private, MAX_BYTES), "the photo there")
    try:
        if not Path(name).is_file():
            raise PhotoError(f"{name}: no such file", "missing")
        with open(name, "rb") as file:
            return _decode(file, name)
    except PhotoError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise PhotoError(
            f"{name}: cannot be read ({reason(error)})", "missing"
        ) from None


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or (array.ndim, *array.shape[2:]) not in ((2,), (3, 3)):
        raise PhotoError(
            f"array {array.dtype} {array.shape}: expected uint8 [H,W] or [H,W,3]",
            "unsupported",
        )
    if not array.size:
        raise _empty("the array")
    return _upright(Image.fromarray(array), "the array")


def _from_bytes(data: bytes | bytearray | memoryview, name: str) -> Image.Image:
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name} is larger than {MAX_BYTES >> 20} MB", "too_large")
    return _decode(BytesIO(data), name)


def _decode(file: BinaryIO, name: str) -> Image.Image:
    start = file.read(16)
    file.seek(0)
    if not start:
        raise _empty(name)
    try:
        # Pillow warns of damaged EXIF, and of sizes that are refused in `_upright`.
        with warnings.catch_warnings(action="ignore"):
            image = Image.open(file, formats=list(FORMATS))
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except UnidentifiedImageError:
        if not start.startswith(tuple(FORMATS.values())):
            raise PhotoError(
                f"{name} is no photo of an accepted kind: {ACCEPTED}", "unsupported"
            ) from None
        raise PhotoError(f"{name} is damaged: its header cannot be read") from None
    except Exception as error:  # a crafted file can fail anywhere in a decoder
        raise PhotoError(f"{name} is damaged ({reason(error)})") from None
    return _upright(image, name)


def _upright(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, image.size)
    if not image.width * image.height:
        raise _empty(name)
    try:
        image.load()
    except Exception as error:
        raise PhotoError(f"{name} is damaged ({reason(error)})") from None
    # Damaged EXIF says nothing about the pixels.
    with suppress(Exception), warnings.catch_warnings(action="ignore"):
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    try:
        return _grey_or_rgb(image)
    except ValueError:
        raise PhotoError(f"{name}: colour mode {image.mode}", "unsupported") from None


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


def _empty(name: str) -> PhotoError:
    return PhotoError(f"{name} is empty", "empty")


def _too_large(name: str, size: tuple[int, int] | None = None) -> PhotoError:
    pixels = "{}×{} pixels".format(*size) if size else "too many pixels"
    most = MAX_PIXELS // 1_000_000
    return PhotoError(f"{name} has {pixels}; at most {most} million", "too_large")
