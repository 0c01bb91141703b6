"""Every form in which FER2013 is published → arrays: folders, CSV files, archives."""

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

from ..errors import FerError, reason
from ..labels import EMOTIONS, emotion_code
from .archives import AGAIN, BROKEN, open_members
from .fer2013 import USAGES

SIDE = 48
FOLDERS = {"train": USAGES[0], "test": USAGES[2]}
FOLDERS |= dict.fromkeys(("validation", "val"), USAGES[1])
MAX_IMAGE_BYTES = 1 << 20


class Raw(NamedTuple):
    """Decoded images uint8 [N,48,48], labels int64 [N], usage and names, str [N]."""

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    names: np.ndarray


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
            head = file.read(512)
        if not head:
            raise FerError(f"{path}: the file is empty; {AGAIN}")
        csv_named = path.suffix.lower() == ".csv" and not zipfile.is_zipfile(path)
        if not (csv_named or _is_csv(head)):
            return _read_members(path)
        size = path.stat().st_size
        with (
            path.open("rb", buffering=0) as file,
            tqdm.wrapattr(file, "read", total=size, desc=path.name) as stream,
        ):
            return read_csv(stream, str(path))


def _read_members(path: Path) -> Raw:
    found, colour, twice = {}, 0, 0
    try:
        with closing(open_members(path)) as members:  # its bar ends before an error
            for name, stream in members:
                parts = PurePosixPath(name)
                # .ipynb_checkpoints, macOS's ._copies
                if any(part.startswith((".", "__MACOSX")) for part in parts.parts):
                    continue
                if parts.suffix.lower() == ".csv":
                    if _is_csv(stream.peek(512)):
                        return read_csv(stream, f"{path}/{name}")
                    continue
                split, label = _place(path, parts)
                # Some published archives hold everything again, one folder deeper.
                name = "/".join(parts.parts[-3:])
                if name in found:
                    twice += 1
                    continue
                image, was_colour = _decode(f"{path}/{parts}", stream)
                found[name] = image, label, split
                colour += was_colour
    except BROKEN as error:
        why = f"not a readable archive ({reason(error)})"
        raise FerError(f"{path}: {why}; {AGAIN}") from None
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
        tqdm.write(f"{path.name}: {twice:,} images occur twice; each is used once")
    names = sorted(found)  # the same order from a folder, a zip and a tar
    columns = zip(*(found[name] for name in names), strict=True)
    return Raw(*map(np.array, columns), np.array(names))


def _place(path: Path, parts: PurePosixPath) -> tuple[str, int]:
    """Return usage and label from `…/<split>/<expression>/<file>`."""
    split, folder = parts.parts[-3:-1] if len(parts.parts) > 2 else ("", "")
    if split.lower() not in FOLDERS:
        raise FerError(
            f"{path}/{parts}: expected train, test or validation, then one folder "
            "per expression; arrange the images in this way or use the CSV"
        )
    try:
        label = emotion_code(folder)
    except FerError as error:
        raise FerError(f"{path}/{parts}: {error}; rename the folder") from None
    # In the Kaggle layout both test sets share one folder: the file name tells.
    prefix = parts.name.split("_")[0]
    return (prefix if prefix in USAGES else FOLDERS[split.lower()]), label


def _decode(name: str, stream: BinaryIO) -> tuple[np.ndarray, bool]:
    """Decode one 48×48 image; return uint8 [48,48] and whether it was in colour."""
    blob = stream.read(MAX_IMAGE_BYTES + 1)
    if len(blob) > MAX_IMAGE_BYTES:
        raise FerError(f"{name}: over 1 MB for a 48x48 face; {AGAIN}")
    try:
        with Image.open(io.BytesIO(blob), formats=("JPEG", "PNG")) as image:
            (width, height), mode = image.size, image.mode
            # Checked before decoding: a header can claim any size.
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
    # The names in icml_face_data.csv begin with spaces.
    return [column.strip(' "').lower() for column in line]


def _is_csv(head: bytes) -> bool:
    lines = head.decode("utf-8-sig", "replace").splitlines() or [""]
    return {"emotion", "pixels"} <= set(_columns(lines[0].split(",")))


def read_csv(stream: BinaryIO, name: str) -> Raw:
    """Read a CSV with columns emotion, pixels and, if there is one, Usage."""
    rows = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
    try:
        columns = _columns(next(rows, []))
        if not {"emotion", "pixels"} <= set(columns):
            raise ValueError("no columns emotion and pixels, as fer2013.csv has them")
        found = [_read_row(columns, row) for row in rows if row]
        if not found:
            raise ValueError("the CSV has no rows")
    except (csv.Error, UnicodeDecodeError) as error:
        why = f"not a readable CSV ({reason(error)}); {AGAIN}"
        raise FerError(f"{name}, after line {rows.line_num}: {why}") from None
    except ValueError as error:
        raise FerError(f"{name}, line {rows.line_num}: {error}; {AGAIN}") from None
    names = [f"row {row}" for row in range(len(found))]
    return Raw(*map(np.array, zip(*found, strict=True)), np.array(names))


def _read_row(columns: list[str], row: list[str]) -> tuple[np.ndarray, int, str]:
    """Return image, label and usage of a row; `ValueError` says what is wrong."""
    if len(row) < len(columns):
        raise ValueError("cut short")
    cells = dict(zip(columns, row, strict=False))
    label, usage = cells["emotion"].strip(), cells.get("usage", "Training").strip()
    if label not in map(str, range(len(EMOTIONS))):
        raise ValueError(f"emotion {label[:20]!r}, expected 0 to 6")
    if usage not in USAGES:
        raise ValueError(f"Usage {usage[:20]!r}, expected {', '.join(USAGES)}")
    try:
        pixels = np.fromstring(cells["pixels"], np.int64, sep=" ")
    except (ValueError, DeprecationWarning):  # the latter before numpy 2.3
        raise ValueError("pixels that are not whole numbers") from None
    if pixels.size != SIDE * SIDE:
        raise ValueError(f"{pixels.size:,} pixels, expected 2,304")
    if pixels.min() < 0 or pixels.max() > 255:
        raise ValueError("a pixel outside 0..255")
    return pixels.astype(np.uint8).reshape(SIDE, SIDE), int(label), usage
