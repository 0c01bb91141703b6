"""FER2013 as it is met in the wild → arrays: folders, CSV files, archives of these."""

import csv
import io
import warnings
import zipfile
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from .archives import AGAIN, BROKEN, open_members
from .config import FerError, reason
from .labels import EMOTIONS, code

SIDE = 48
USAGES = ("Training", "PublicTest", "PrivateTest")
FOLDERS = {
    "train": "Training",
    "validation": "PublicTest",
    "val": "PublicTest",
    "test": "PrivateTest",
}
MAX_IMAGE_BYTES = 1 << 20


class Raw(NamedTuple):
    """Decoded images uint8 [N,48,48], labels int64 [N], usage and names, str [N]."""

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    names: np.ndarray


def read_source(path: Path) -> Raw:
    """Read FER2013 from a folder, a CSV file or an archive; raise `FerError` if bad.

    A path that cannot be opened raises `OSError`.
    """
    with warnings.catch_warnings():
        # Pillow at 100 million pixels, numpy < 2.3 at a letter among numbers.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("error", "string or file could", DeprecationWarning)
        if path.is_dir():
            return _read_members(path)
        if not path.is_file():
            raise FerError(f"{path}: no regular file; name a folder, CSV or archive")
        with path.open("rb") as file:
            head = file.read(512)
        if not head:
            raise FerError(f"{path}: the file is empty; {AGAIN}")
        csv_named = path.suffix.lower() == ".csv" and not zipfile.is_zipfile(path)
        if not (csv_named or _is_csv(head)):
            return _read_members(path)
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            tqdm.wrapattr(file, "read", total=size, desc=path.name) as stream,
        ):
            return read_csv(_Stream(stream), str(path))


class _Stream(io.RawIOBase):
    """What `io.BufferedReader` needs around `read`, with a peeked head put back."""

    def __init__(self, stream, head: bytes = b""):
        self._stream, self._head = stream, head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        block = self._head or self._stream.read(len(buffer))
        block, self._head = block[: len(buffer)], block[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


def _read_members(path: Path) -> Raw:
    found, colour, twice = {}, 0, 0
    try:
        with closing(open_members(path)) as members:  # ends its bar before an error
            for name, stream in members:
                parts = PurePosixPath(name)
                # .ipynb_checkpoints, macOS's ._copies
                if any(part.startswith((".", "__MACOSX")) for part in parts.parts):
                    continue
                if parts.suffix.lower() == ".csv":
                    head = stream.read(512)
                    if _is_csv(head):
                        return read_csv(_Stream(stream, head), f"{path}/{name}")
                    continue
                split, label = _place(path, parts)
                # Some published archives hold everything again, one folder deeper.
                name = "/".join(parts.parts[-3:])
                if name in found:
                    twice += 1
                    continue
                image, was_colour = decode(f"{path}/{parts}", stream)
                found[name] = image, label, split
                colour += was_colour
    except BROKEN as error:
        raise FerError(
            f"{path}: no readable archive ({reason(error)}); {AGAIN}"
        ) from None
    if not found:
        inside = sorted(path.glob("*.tar*")) + sorted(path.glob("*.zip"))
        hint = f"; did you mean {inside[0]}?" if inside else ""
        raise FerError(
            f"{path}: no FER2013 inside; expected train/<expression>/*.jpg beside "
            f"test/ or validation/, or a CSV with emotion and pixels{hint}"
        )
    if colour:
        tqdm.write(f"{path.name}: {colour:,} colour images converted to grey")
    if twice:
        tqdm.write(f"{path.name}: {twice:,} images stand there twice; used once")
    names = sorted(found)  # the same order from a folder, a zip and a tar
    columns = zip(*(found[name] for name in names), strict=True)
    return Raw(*map(np.array, columns), np.array(names))


def _place(path: Path, parts: PurePosixPath) -> tuple[str, int]:
    """Return usage and label from `…/<split>/<expression>/<file>`."""
    split, folder = parts.parts[-3:-1] if len(parts.parts) > 2 else ("", "")
    if split.lower() not in FOLDERS:
        raise FerError(
            f"{path}/{parts}: expected train, test or validation, then one folder "
            "per expression; arrange the images so or use the CSV"
        )
    try:
        label = code(folder)
    except FerError as error:
        raise FerError(f"{path}/{parts}: {error}; rename the folder") from None
    # In the Kaggle layout both test sets share one folder: the file name tells.
    prefix = parts.name.split("_")[0]
    return (prefix if prefix in USAGES else FOLDERS[split.lower()]), label


def decode(name: str, stream: BinaryIO) -> tuple[np.ndarray, bool]:
    """Decode one 48×48 image; return uint8 [48,48] and whether it was in colour."""
    blob = stream.read(MAX_IMAGE_BYTES + 1)
    if len(blob) > MAX_IMAGE_BYTES:
        raise FerError(f"{name}: over 1 MB for a 48x48 face; {AGAIN}")
    try:
        with Image.open(io.BytesIO(blob), formats=("JPEG", "PNG")) as image:
            (width, height), mode = image.size, image.mode
            # Looked at before decoding: a header can claim any size.
            fits = width == height == SIDE and not mode.startswith("I")
            grey = np.array(image.convert("L")) if fits else None
    except Exception:  # Pillow's decoders raise nearly anything on hostile bytes
        raise FerError(f"{name}: broken image; {AGAIN}, or remove the file") from None
    if grey is None:
        depth = " of 16 bits" if mode.startswith("I") else ""
        raise FerError(
            f"{name}: {width}x{height} pixels{depth}, expected 48x48 of 8 bits; "
            "convert it, or remove it from the folder"
        )
    return grey, mode != "L"


def _columns(line: list[str]) -> list[str]:
    return [column.strip(' "').lower() for column in line]


def _is_csv(head: bytes) -> bool:
    lines = head.decode("utf-8-sig", "replace").splitlines() or [""]
    return {"emotion", "pixels"} <= set(_columns(lines[0].split(",")))


def read_csv(stream: io.RawIOBase, name: str) -> Raw:
    """Read a CSV with columns emotion, pixels and (if it has it) Usage; names are rows.

    Column names may carry spaces, as they do in icml_face_data.csv.
    """
    images, labels, usage = [], [], []
    text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", newline="")
    rows = csv.reader(text)
    try:
        columns = _columns(next(rows, []))
        if not {"emotion", "pixels"} <= set(columns):
            raise FerError(
                f"{name}: no columns emotion and pixels in its first line; use "
                "fer2013.csv, icml_face_data.csv or train.csv"
            )
        emotion_at, pixels_at = columns.index("emotion"), columns.index("pixels")
        usage_at = columns.index("usage") if "usage" in columns else None
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            if not row:
                continue
            if len(row) < len(columns):
                raise FerError(f"{where}: cut short; {AGAIN}")
            split = "Training" if usage_at is None else row[usage_at].strip()
            if split not in USAGES:
                known = ", ".join(USAGES)
                raise FerError(f"{where}: Usage {split!r}, expected {known}; {AGAIN}")
            usage.append(split)
            labels.append(_emotion(row[emotion_at], where))
            images.append(_pixels(row[pixels_at], where))
    except (csv.Error, UnicodeDecodeError) as error:
        raise FerError(
            f"{name}, after line {rows.line_num}: no readable CSV ({reason(error)}); "
            f"{AGAIN}"
        ) from None
    if not images:
        raise FerError(f"{name}: the CSV has no rows; {AGAIN}")
    names = np.char.add("row ", np.arange(len(images)).astype(str))
    return Raw(*map(np.array, (images, labels, usage)), names)


def _pixels(text: str, where: str) -> np.ndarray:
    try:
        values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):  # the latter before numpy 2.3
        raise FerError(f"{where}: pixels that are no whole numbers; {AGAIN}") from None
    if values.size != SIDE * SIDE:
        raise FerError(f"{where}: {values.size:,} pixels, expected 2,304; {AGAIN}")
    if values.min() < 0 or values.max() > 255:
        raise FerError(f"{where}: a pixel outside 0..255; {AGAIN}")
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def _emotion(text: str, where: str) -> int:
    if text.strip() not in map(str, range(len(EMOTIONS))):
        raise FerError(f"{where}: emotion {text[:20]!r}, expected 0 to 6; {AGAIN}")
    return int(text)
