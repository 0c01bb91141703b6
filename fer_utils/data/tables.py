"""CSV files with the pixels of faces → arrays; several of them → one data set."""

import csv
import gzip
import hashlib
import io
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import FerError, reason
from ..labels import emotion_code
from .archives import AGAIN, BROKEN, tell
from .fer2013 import USAGES
from .names import usage_in, usage_of

SIDE = 48
MAX_LINE = 1 << 17  # characters; no row of FER2013 has 10,000
MAX_IMAGES = 500_000  # FER2013 has 35,887; what has more is no copy of it
OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}


class Raw(NamedTuple):
    """Decoded images uint8 [N,48,48], labels int64 [N], usage and names, str [N]."""

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    names: np.ndarray


class Table(NamedTuple):
    """What one CSV holds; `told`: whether a column says the usage of each row."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    told: bool


def uncompressed(stream: BinaryIO, head: bytes) -> BinaryIO:
    """Return what a stream holds that begins with `head` and may be compressed."""
    for magic, opener in OPENERS.items():
        if head.startswith(magic):
            return opener(stream, "rb")
    return stream


def _columns(line: str) -> tuple[str, list[str]]:
    """Return the delimiter of a header and its names, small and without spaces."""
    for delimiter in ",;\t":
        # The names in icml_face_data.csv begin with spaces.
        columns = [name.strip(' "\r\n').lower() for name in line.split(delimiter)]
        if "pixels" in columns:
            return delimiter, columns
    return ",", []


def columns_of(head: bytes) -> list[str]:
    """Return the columns of a CSV that begins with `head`; none without pixels."""
    lines = head.decode("utf-8-sig", "replace").splitlines() or [""]
    return _columns(lines[0])[1]


def read_csv(stream: BinaryIO, where: str, name: str) -> Table:
    """Read a CSV with columns emotion, pixels and, if there is one, Usage.

    `where`: the file, for errors; `name`: which part it is, without a column Usage.
    """
    lines = _lines(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
    rows, found = csv.reader(()), []
    try:
        delimiter, columns = _columns(next(lines, ""))
        if columns and "emotion" not in columns:
            raise ValueError("no column emotion, so that no face has a label")
        if not columns:
            raise ValueError("no columns emotion and pixels, as fer2013.csv has them")
        rows = csv.reader(lines, delimiter=delimiter)
        usage = usage_in(name) or USAGES[0]
        for row in filter(None, rows):
            found.append(_read_row(columns, row, usage))
            if len(found) > MAX_IMAGES:
                raise ValueError(f"more than {MAX_IMAGES:,} rows, FER2013 has 35,887")
        if not found:
            raise ValueError("the CSV has no rows")
    except (csv.Error, UnicodeDecodeError, *BROKEN) as error:
        why = f"not a readable CSV ({reason(error)}); {AGAIN}"
        raise FerError(f"{where}, after line {rows.line_num + 1}: {why}") from None
    except ValueError as error:
        line = rows.line_num + 1
        raise FerError(f"{where}, line {line}: {error}; {AGAIN}") from None
    return Table(name, *map(np.array, zip(*found, strict=True)), "usage" in columns)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line of more than {MAX_LINE:,} characters")
        yield line


def _read_row(
    columns: list[str], row: list[str], usage: str
) -> tuple[np.ndarray, int, str]:
    """Return image, label and usage of a row; `ValueError` says what is wrong."""
    if len(row) < len(columns):
        raise ValueError("cut short")
    if len(row) == len(columns) - 1 + SIDE * SIDE:  # pixels with commas, not quoted
        first = columns.index("pixels")
        row[first : first + SIDE * SIDE] = [" ".join(row[first : first + SIDE * SIDE])]
    cells = dict(zip(columns, row, strict=False))
    if "usage" in cells:
        usage = usage_of(cells["usage"])
    if usage is None:
        cell = cells["usage"].strip()[:20]
        raise ValueError(f"Usage {cell!r}, expected {', '.join(USAGES)}")
    return _pixels(cells["pixels"]), _label(cells["emotion"].strip()), usage


def _label(text: str) -> int:
    code = re.fullmatch(r"([0-6])(\.0*)?", text)
    try:
        return int(code[1]) if code else emotion_code(text)
    except FerError:
        wanted = "expected 0 to 6 or an expression"
        raise ValueError(f"emotion {text[:20]!r}, {wanted}") from None


def _pixels(text: str) -> np.ndarray:
    try:
        plain = text.strip(" []\t\r\n").replace(",", " ")
        pixels = np.fromstring(plain, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):  # the latter before numpy 2.3
        raise ValueError("pixels that are not whole numbers") from None
    if pixels.size != SIDE * SIDE:
        raise ValueError(f"{pixels.size:,} pixels, expected 2,304")
    if pixels.min() < 0 or pixels.max() > 255:
        raise ValueError("a pixel outside 0..255")
    return pixels.astype(np.uint8).reshape(SIDE, SIDE)


def join_tables(path: Path, tables: list[Table]) -> Raw:
    """Return the rows of all tables; `FerError` where two claim the same part.

    A table whose rows another one has, too, is left out: the competition has
    icml_face_data.csv beside train.csv.
    """
    kept = []
    for table in sorted(tables, key=lambda t: (not t.told, -len(t.labels), t.name)):
        if any(_holds(other, table) for other in kept):
            tell(f"{path.name}: {table.name} left out, its rows are known")
            continue
        for other in kept:
            if both := set(table.usage) & set(other.usage):
                raise FerError(
                    f"{path}: {other.name} and {table.name} both have rows of "
                    f"{' and '.join(sorted(both))}, and not the same; keep one of "
                    "them, or name them after their parts: train.csv, val.csv, test.csv"
                )
        kept.append(table)
    kept.sort(key=lambda table: (USAGES.index(table.usage[0]), table.name))
    joined = (np.concatenate([table[i] for table in kept]) for i in (1, 2, 3))
    return Raw(*joined, np.array([name for t in kept for name in _names(t, kept)]))


def _holds(large: Table, small: Table) -> bool:
    # A table without Usage may have been cut from one with it, under any name.
    compare_usage = small.told or not large.told

    def rows(table: Table) -> set:
        usage = table.usage if compare_usage else [""] * len(table.usage)
        faces = (hashlib.blake2b(face, digest_size=16) for face in table.images)
        digests = (face.digest() for face in faces)
        return set(zip(digests, table.labels.tolist(), usage, strict=True))

    return rows(small) <= rows(large)


def _names(table: Table, tables: list[Table]) -> Iterator[str]:
    # "row 5" is a row of fer2013.csv, to which the FER+ votes belong; the CSV begins
    # with the Training part, so that train.csv has the same first rows.
    whole = len(tables) == 1 and table.usage[0] == USAGES[0]
    return (
        f"row {row}" if whole else f"{table.name} row {row}"
        for row in range(len(table.labels))
    )
