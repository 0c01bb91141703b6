"""FER2013 as it is met in the wild → arrays: folders, CSV files, archives of these."""

import csv
import io
import lzma
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

from .config import FerError
from .labels import EMOTIONS, code

SIDE = 48
USAGES = ("Training", "PublicTest", "PrivateTest")
FOLDERS = {
    "train": "Training",
    "validation": "PublicTest",
    "val": "PublicTest",
    "test": "PrivateTest",
}
IMAGES = {".jpg", ".jpeg", ".png"}
MAX_IMAGE_BYTES = 1 << 20
AGAIN = "download or unpack it again"


class Raw(NamedTuple):
    """Decoded images uint8 [N,48,48], labels int64 [N], usage and names, str [N]."""

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    names: np.ndarray


class Member(NamedTuple):
    """One file of a folder or archive: its relative name and an open binary stream."""

    name: str
    stream: BinaryIO


def read_source(path: Path) -> Raw:
    """Read FER2013 from a folder, a CSV file or an archive; raise `FerError` if bad."""
    if path.is_dir():
        return _read_members(path, _folder(path))
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise FerError(f"{path}: the file is empty; {AGAIN}")
    if zipfile.is_zipfile(path):
        return _read_members(path, _zip(path))
    if _is_csv(head.decode("utf-8", "replace")):
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            tqdm.wrapattr(file, "read", total=size, desc=path.name) as stream,
        ):
            return read_csv(_Stream(stream), path.name)
    return _read_members(path, _tar(path))


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


def _folder(path: Path) -> Iterator[Member]:
    # A CSV that carries the pixels stands for the whole; so it comes first.
    files = [f for f in path.rglob("*") if f.suffix.lower() in IMAGES | {".csv"}]
    files.sort(key=lambda f: (f.suffix.lower() != ".csv", f.as_posix()))
    for file in tqdm(files, desc="Reading FER2013", unit=" files", disable=not files):
        with file.open("rb") as stream:
            yield Member(file.relative_to(path).as_posix(), stream)


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        infos = [i for i in archive.infolist() if not i.is_dir()]
        infos.sort(key=lambda i: (not i.filename.lower().endswith(".csv"), i.filename))
        for info in tqdm(infos, desc="Reading FER2013", unit=" files"):
            _check_member(path, info.filename)
            with archive.open(info) as stream:
                yield Member(info.filename, stream)


def _tar(path: Path) -> Iterator[Member]:
    # Streamed: a second pass over an .xz archive would decompress it all again.
    size = path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm.wrapattr(file, "read", total=size, desc="Reading FER2013") as stream,
        tarfile.open(fileobj=stream, mode="r|*") as archive,
    ):
        for info in archive:
            _check_member(path, info.name)
            if info.isfile():
                yield Member(info.name, archive.extractfile(info))


def _check_member(path: Path, name: str) -> None:
    # Nothing is ever unpacked to disk; such a name still means a doctored archive.
    if ".." in PurePosixPath(name).parts or name.startswith(("/", "\\")):
        raise FerError(f"{path}: member {name!r} climbs out of the archive; {AGAIN}")


def _read_members(path: Path, members: Iterator[Member]) -> Raw:
    images, labels, usage, names, colour = [], [], [], [], 0
    try:
        for name, stream in members:
            parts = PurePosixPath(name)
            if parts.name.startswith(".") or "__MACOSX" in parts.parts:
                continue
            if parts.suffix.lower() == ".csv":
                head = stream.read(512)
                if _is_csv(head.decode("utf-8", "replace")):
                    return read_csv(_Stream(stream, head), f"{path.name}/{name}")
            elif parts.suffix.lower() in IMAGES:
                split, label = _place(path, parts)
                image, was_colour = decode(f"{path.name}/{name}", stream)
                colour += was_colour
                images.append(image)
                labels.append(label)
                usage.append(split)
                names.append("/".join(parts.parts[-3:]))
    except (tarfile.ReadError, zipfile.BadZipFile, lzma.LZMAError, EOFError) as error:
        raise FerError(f"{path}: broken archive ({error}); {AGAIN}") from None
    except zlib.error as error:
        raise FerError(f"{path}: broken archive ({error}); {AGAIN}") from None
    if not images:
        inside = sorted(path.glob("*.tar.*")) + sorted(path.glob("*.zip"))
        hint = f"; did you mean {inside[0]}?" if path.is_dir() and inside else ""
        raise FerError(
            f"{path}: no FER2013 inside; expected train/<expression>/*.jpg beside "
            f"test/ or validation/, or a CSV with emotion and pixels{hint}"
        )
    if colour:
        tqdm.write(f"{path.name}: {colour:,} colour images converted to grey")
    order = np.argsort(names)  # the same order from a folder, a zip and a tar
    raw = Raw(*map(np.array, (images, labels, usage, names)))
    return Raw(*(array[order] for array in raw))


def _place(path: Path, parts: PurePosixPath) -> tuple[str, int]:
    """Return usage and label from `…/<split>/<expression>/<file>`."""
    split, folder = parts.parts[-3:-1] if len(parts.parts) > 2 else ("", "")
    if split.lower() not in FOLDERS:
        raise FerError(
            f"{path.name}/{parts}: expected train, test or validation, then one folder "
            "per expression; arrange the images so or use the CSV"
        )
    try:
        label = code(folder)
    except FerError as error:
        raise FerError(f"{path.name}/{parts}: {error}; rename the folder") from None
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
            if image.size != (SIDE, SIDE):  # before decoding: a header can claim any
                width, height = image.size
                raise FerError(
                    f"{name}: {width}x{height} pixels, expected 48x48; resize it, or "
                    "remove it from the folder"
                )
            return np.array(image.convert("L")), image.mode != "L"
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise FerError(f"{name}: broken image; {AGAIN}, or remove the file") from None


def _is_csv(head: str) -> bool:
    columns = {column.strip().lower() for column in head.splitlines()[0].split(",")}
    return {"emotion", "pixels"} <= columns


def read_csv(stream: io.RawIOBase, name: str) -> Raw:
    """Read a CSV with columns emotion, pixels and (if it has it) Usage; names are rows.

    Column names may carry spaces, as they do in icml_face_data.csv.
    """
    images, labels, usage = [], [], []
    text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", newline="")
    rows = csv.reader(text)
    header = [column.strip().lower() for column in next(rows)]
    emotion_at, pixels_at = header.index("emotion"), header.index("pixels")
    usage_at = header.index("usage") if "usage" in header else None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", DeprecationWarning
        )  # fromstring's "not a number"
        try:
            for number, row in enumerate(rows, 1):
                if not row:
                    continue
                if len(row) < len(header):
                    raise FerError(f"{name}, row {number}: cut short; {AGAIN}")
                where = f"{name}, row {number}"
                images.append(_pixels(row[pixels_at], where))
                labels.append(_emotion(row[emotion_at], where))
                split = "Training" if usage_at is None else row[usage_at].strip()
                if split not in USAGES:
                    known = ", ".join(USAGES)
                    raise FerError(f"{where}: Usage {split!r}, expected {known}")
                usage.append(split)
        except (csv.Error, UnicodeDecodeError) as error:
            raise FerError(f"{name}: no readable CSV ({error}); {AGAIN}") from None
    if not images:
        raise FerError(f"{name}: the CSV has no rows; {AGAIN}")
    names = np.char.add("row ", np.arange(len(images)).astype(str))
    return Raw(*map(np.array, (images, labels, usage)), names)


def _pixels(text: str, where: str) -> np.ndarray:
    try:
        values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        raise FerError(f"{where}: pixels that are no whole numbers; {AGAIN}") from None
    if values.size != SIDE * SIDE:
        raise FerError(f"{where}: {values.size:,} pixels, expected 2,304; {AGAIN}")
    if values.min() < 0 or values.max() > 255:
        raise FerError(f"{where}: a pixel outside 0..255; {AGAIN}")
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def _emotion(text: str, where: str) -> int:
    if text.strip() not in map(str, range(len(EMOTIONS))):
        raise FerError(f"{where}: emotion {text!r}, expected 0 to 6; {AGAIN}")
    return int(text)
