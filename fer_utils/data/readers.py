"""Every form in which FER2013 is published → arrays: folders, CSV files, archives."""

import io
import warnings
import zipfile
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..errors import FerError, reason
from ..labels import EMOTIONS, emotion_code
from .archives import AGAIN, BROKEN, kind_of, open_members, tell
from .fer2013 import USAGES
from .names import usage_of
from .tables import (
    MAX_IMAGES,
    SIDE,
    Raw,
    columns_of,
    join_tables,
    read_csv,
    uncompressed,
)

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
MAX_SIDE = 512  # of a copy that somebody made larger
MAX_IMAGE_BYTES = 1 << 20
CODES = {str(code): code for code in range(len(EMOTIONS))}


def read_source(path: Path) -> Raw:
    """Read a folder, CSV or archive; `FerError` if bad, `OSError` if not readable."""
    with warnings.catch_warnings():
        # Pillow at 100 million pixels, numpy < 2.3 at a letter among numbers.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("error", "string or file could", DeprecationWarning)
        if path.is_dir():
            return _read_members(path)
        if not path.is_file():
            raise FerError(f"{path}: not a regular file; use a folder, CSV or archive")
        with path.open("rb") as file:
            head = file.peek(512)
            if not head:
                raise FerError(f"{path}: the file is empty; {AGAIN}")
            table = bool(columns_of(_text(file, head)))
        table |= kind_of(path.name) == "table" and not zipfile.is_zipfile(path)
        return _read_table(path, head) if table else _read_members(path)


def _text(stream: BinaryIO, head: bytes) -> bytes:
    """Return the first bytes of a file, unpacked; none if it is damaged."""
    try:
        return uncompressed(stream, head).peek(512)
    except (OSError, *BROKEN):
        return b""


def _read_table(path: Path, head: bytes) -> Raw:
    size = path.stat().st_size
    with (
        path.open("rb", buffering=0) as file,
        tqdm.wrapattr(file, "read", total=size, desc=path.name) as stream,
    ):
        table = read_csv(uncompressed(stream, head), str(path), path.name)
    return join_tables(path, [table])


def _read_members(path: Path) -> Raw:
    faces, tables, left_out = _Faces(path), [], []
    try:
        with closing(open_members(path)) as members:  # its bar ends before an error
            for name, stream in members:
                parts = PurePosixPath(name)
                # .ipynb_checkpoints, macOS's ._copies
                if any(part.startswith((".", "__MACOSX")) for part in parts.parts):
                    continue
                kind = kind_of(name)
                if kind == "table":
                    stream = uncompressed(stream, stream.peek(6))
                    columns = columns_of(stream.peek(512))
                    if "emotion" in columns:
                        tables.append(read_csv(stream, f"{path}/{name}", name))
                    elif columns:
                        left_out.append(f"{name} (no column emotion)")
                elif kind == "archive":
                    left_out.append(f"{name} (unpack it, or name it as the source)")
                elif tables:
                    faces.pass_over(parts)
                else:
                    faces.add(parts, stream)
    except BROKEN as error:
        why = f"not a readable archive ({reason(error)})"
        raise FerError(f"{path}: {why}; {AGAIN}") from None
    unread = f"not read: {', '.join(left_out[:5])}"
    if not tables and not faces.found:
        raise FerError(
            f"{path}: no FER2013 inside; expected train/<expression>/*.jpg beside "
            "test/ or validation/, or a CSV with emotion and pixels"
            + (f"; {unread}" if left_out else "")
        )
    if left_out:
        tell(f"{path.name}: {unread}")
    if not tables:
        return faces.raw()
    raw = join_tables(path, tables)
    faces.compare(raw, tables[0].name)
    return raw


class _Faces:
    """The images of a folder or archive, and what has to be told about them."""

    def __init__(self, path: Path):
        self.path = path
        self.found = {}  # name → image, label, usage, path
        self.folders = {}  # usage → the name of a folder that holds it
        self.colour = self.twice = 0
        self.coded = False
        self.sizes = Counter()

    def add(self, parts: PurePosixPath, stream: BinaryIO) -> None:
        """Decode and keep an image."""
        if kind_of(parts.name) != "image":
            problem = f"{parts.suffix} images are not read"
            raise FerError(f"{self.path}/{parts}: {problem}; convert it to PNG")
        usage, label = self._place(parts)
        image = self._decode(f"{self.path}/{parts}", stream)
        # Some published archives hold everything again, one folder deeper.
        name = "/".join(parts.parts[-3:])
        if name not in self.found:
            self.found[name] = image, label, usage, parts
        elif np.array_equal(self.found[name][0], image):
            self.twice += 1
        else:
            raise FerError(
                f"{self.path}: {self.found[name][3]} and {parts} have one name and "
                "other pixels; rename one of them, or remove the copy"
            )
        if len(self.found) > MAX_IMAGES:
            why = f"more than {MAX_IMAGES:,} images, FER2013 has 35,887"
            raise FerError(f"{self.path}: {why}; use a part of them")

    def pass_over(self, parts: PurePosixPath) -> None:
        """Note which part of FER2013 an image that is not needed belongs to."""
        with suppress(FerError):  # a picture in the documentation
            self._place(parts)

    def _place(self, parts: PurePosixPath) -> tuple[str, int]:
        """Return usage and label from `…/<split>/<expression>/<file>`."""
        split, folder = parts.parts[-3:-1] if len(parts.parts) > 2 else ("", "")
        usage = usage_of(split)
        if usage is None:
            raise FerError(
                f"{self.path}/{parts}: expected train, test or validation, then one "
                "folder per expression; name the folder that holds train/ and test/, "
                "arrange the images in this way or use the CSV"
            )
        try:
            label = CODES[folder] if folder in CODES else emotion_code(folder)
        except FerError as error:
            why = f"{error}; rename the folder, or remove it"
            raise FerError(f"{self.path}/{parts}: {why}") from None
        self.coded |= folder in CODES
        # In the Kaggle layout both test sets share one folder: the file name tells.
        prefix = parts.name.split("_")[0]
        if usage == USAGES[2] and prefix in USAGES[1:]:
            usage = prefix
        self.folders[usage] = split
        return usage, label

    def _decode(self, name: str, stream: BinaryIO) -> np.ndarray:
        """Decode one face to uint8 [48,48]."""
        blob = stream.read(MAX_IMAGE_BYTES + 1)
        if len(blob) > MAX_IMAGE_BYTES:
            raise FerError(f"{name}: over 1 MB for a 48x48 face; {AGAIN}")
        try:
            with Image.open(io.BytesIO(blob), formats=FORMATS) as image:
                (width, height), mode = image.size, image.mode
                # Checked before decoding: a header can claim any size.
                fits = width == height and SIDE <= width <= MAX_SIDE
                grey = image.convert("L") if fits and mode[0] not in "IF" else None
        except Exception:  # Pillow's decoders raise nearly anything on hostile bytes
            why = f"broken image; {AGAIN}, or remove the file"
            raise FerError(f"{name}: {why}") from None
        if grey is None:
            depth = " of 16 bits" if mode[0] in "IF" else ""
            raise FerError(
                f"{name}: {width}x{height} pixels{depth}, expected 48x48 of 8 bits, or "
                f"larger squares up to {MAX_SIDE}; convert it, or remove it from the "
                "folder"
            )
        self.colour += mode != "L"
        if width != SIDE:
            self.sizes[f"{width}x{width}"] += 1
            # Of Pillow's filters the one that comes closest to the original.
            grey = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
        return np.array(grey)

    def raw(self) -> Raw:
        """Return the images, ordered by name, and say what was done to them."""
        if self.colour:
            self._say(f"{self.colour:,} colour images converted to grey")
        if self.twice:
            self._say(f"{self.twice:,} images occur twice; each is used once")
        if self.sizes:
            sizes = ", ".join(size for size, _ in self.sizes.most_common(3))
            self._say(f"{self.sizes.total():,} images of {sizes} resized to 48x48")
        if self.coded:
            codes = ", ".join(f"{code} {name}" for code, name in enumerate(EMOTIONS))
            self._say(f"folders read as the codes of fer2013.csv: {codes}")
        names = sorted(self.found)  # the same order from a folder, a zip and a tar
        columns = zip(*(self.found[name][:3] for name in names), strict=True)
        return Raw(*map(np.array, columns), np.array(names))

    def compare(self, raw: Raw, table: str) -> None:
        """Raise `FerError` if the images hold a part that the tables do not."""
        for usage in sorted(self.folders.keys() - set(raw.usage)):
            raise FerError(
                f"{self.path}: {table} has no rows of {usage}, but the folder "
                f"{self.folders[usage]}/ has images of it; keep either the CSV or the "
                "folders"
            )

    def _say(self, text: str) -> None:
        tell(f"{self.path.name}: {text}")
