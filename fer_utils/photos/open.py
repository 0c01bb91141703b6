"""A photo in any accepted form → an upright PIL image, grey or RGB."""

import base64
import binascii
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import PhotoError, reason, shorten
from .arrays import array_to_image, eight_bits

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
LONGEST_PATH = 4096  # characters, in the systems we know
DATA = re.compile(r"data:[^,]{0,100},", re.IGNORECASE)

Photo = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray


def open_photo(source: Photo, allow_private: bool = False) -> Image.Image:
    """Open a photo: mode `L` or `RGB`, turned upright by its EXIF orientation.

    `source`: a path, an http(s) address, a `data:image/...;base64,` address, the bytes
    of a file, an open file, a PIL image, or an array [H,W], [H,W,1], [H,W,3] or [H,W,4]
    in the order red, green, blue (OpenCV's order is blue first: reverse it with
    `[..., ::-1]`): integers 0..255, or floats 0..1 or 0..255. Of an animation, the
    first frame. `allow_private` permits addresses in private networks. Raises
    `PhotoError`; the size is read from the header and checked before the pixels are
    decoded.
    """
    if isinstance(source, str) and DATA.match(source):
        source = from_data(source)
    elif isinstance(source, str) and is_address(source):
        from .download import download

        source = download(source, allow_private, MAX_BYTES)
    elif callable(getattr(source, "read", None)):
        source = _from_file(source)
    if isinstance(source, np.ndarray):
        source = array_to_image(source)
    if isinstance(source, Image.Image):
        return _upright(source, "the image")
    if isinstance(source, bytes | bytearray | memoryview):
        if len(source) > MAX_BYTES:
            raise _too_large()
        return decode_photo(source)
    if not isinstance(source, str | os.PathLike):
        raise PhotoError(
            f"a photo cannot be of type {type(source).__name__}; give a path, bytes, "
            "an open file, a PIL image, a NumPy array or an http(s) address",
            "unsupported",
        )
    return _from_path(os.fspath(source))


def is_address(source: str) -> bool:
    """Whether this is a web address, not a path; `C://me.jpg` is a path in Windows."""
    return re.match(r"(?i)[a-z][a-z0-9+.-]+://", source) is not None


def _too_large(most: int = MAX_BYTES) -> PhotoError:
    limit = f"{most >> 20} MB"
    return PhotoError(
        f"the photo is larger than {limit}; give a smaller one", "too_large"
    )


def read_photo(source: str, most: int) -> bytes:
    """Return the bytes of a photo by path or public address, for `decode_photo`.

    `most` bytes are accepted. Raises the `PhotoError` of `open_photo`.
    """
    if is_address(source):
        from .download import download

        return download(source, False, most)
    with _opened(source) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise _too_large(most)
    return found


def decode_photo(data: bytes) -> Image.Image:
    """Open a photo as `open_photo` does, from the bytes of its file."""
    return _decode(BytesIO(data), "the photo")


def _from_path(name: str) -> Image.Image:
    with _opened(name) as file:
        return _decode(file, shorten(name))


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open the file of a photo; a `PhotoError` says what keeps it from being read."""
    short = shorten(name)
    if len(name) > LONGEST_PATH:
        hint = "; if it is a photo in base64, put data:image/jpeg;base64, before it"
        raise PhotoError(f"{short}: no path is that long{hint}", "missing")
    try:
        if Path(name).is_dir():
            raise PhotoError(
                f"{short}: this is a folder; name a photo in it", "missing"
            )
        if not Path(name).is_file():
            raise PhotoError(f"{short}: there is no such file", "missing")
        with open(name, "rb") as file:
            yield file
    except OSError as error:
        why = f"cannot be read ({error.strerror or shorten(reason(error))})"
        raise PhotoError(f"{short}: {why}", "missing") from None


def from_data(address: str) -> bytes:
    """Return the bytes in a `data:` address; `PhotoError` if its base64 is damaged."""
    header, _, text = address.partition(",")
    if not header.lower().endswith(";base64"):
        why = "it is not in base64; write data:image/jpeg;base64, before the text"
        raise PhotoError(f"{shorten(header)}: {why}", "unsupported")
    if len(text) > MAX_BYTES * 4 / 3 + 4:
        raise _too_large()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        why = f"is damaged ({reason(error)}); encode it again"
        raise PhotoError(f"the photo in base64 {why}") from None


def _from_file(file: BinaryIO) -> bytes:
    """Return the bytes of an open file, no more than are accepted."""
    try:
        found = file.read(MAX_BYTES + 1)
    except Exception as error:  # anything that has a `read` may come
        why = f"the open file cannot be read ({shorten(reason(error))})"
        raise PhotoError(f"{why}; open it with open(path, 'rb')", "missing") from None
    if not isinstance(found, bytes | bytearray):
        why = f"the open file gives {type(found).__name__}, not bytes"
        raise PhotoError(f"{why}; open it with open(path, 'rb')", "unsupported")
    return bytes(found)


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
    except PhotoError as error:
        raise PhotoError(f"{name}: {error}", error.kind) from None
    except ValueError:
        why = f"colour mode {image.mode}; give one of mode L or RGB"
        raise PhotoError(f"{name} has {why}", "unsupported") from None


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I") or image.mode == "F":  # convert() would clip them
        return Image.fromarray(eight_bits(np.asarray(image)))
    if image.has_transparency_data:  # on white, as a browser shows it
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        return canvas
    return image.convert("L" if image.mode == "1" else "RGB")
