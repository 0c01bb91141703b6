"""FER+ votes: what ten people said of each image of FER2013 (Barsoum et al., 2016)."""

import csv
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..config import config
from ..errors import FerError, reason
from ..labels import class_map, emotion_code
from .fer2013 import FER2013

# Columns: eight expressions, then "unknown" and "not a face".
VOTES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")
VOTES += ("contempt", "unknown", "not a face")
# For each row of fer2013.csv the CRC-32 of its file's name in the Kaggle download,
# train/angry/Training_1426440.jpg; uncertain for 347 rows, most of them without a face.
ROWS = Path(__file__).with_name("rows.npy")


def read_votes(data: FER2013, path: str | Path | None = None) -> np.ndarray:
    """Return the FER+ votes for `data`, int64 [N,10] (columns `VOTES`), -1 if unknown.

    `path`: `fer2013new.csv`; None: FER_VOTES. Its lines follow the CSV's rows. The rows
    of Kaggle's files are known; images named otherwise need the table
    `fer2013_rows.csv` (columns row, file) beside it. `FerError` without votes.
    """
    path = Path(path or config.votes or "no path given")
    if not path.is_file():
        why = "no FER+ votes there; point FER_VOTES at fer2013new.csv"
        raise FerError(f"{path}: {why}")
    rows = csv_rows(data.names, path.with_name("fer2013_rows.csv"))
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
        table = np.array([line[-10:] for line in lines if line], np.int64)
        if table.shape != (len(table), len(VOTES)):
            raise ValueError(f"{len(lines[0]) if lines else 0} columns")
    except (OSError, ValueError, csv.Error) as error:
        raise FerError(
            f"{path}: expected ten vote columns in every line ({reason(error)}); "
            "download fer2013new.csv again"
        ) from None
    known = (rows >= 0) & (rows < len(table))
    votes = np.full((len(data), len(VOTES)), -1)
    votes[known] = table[rows[known]]
    return votes


def csv_rows(names: Iterable[str], path: Path) -> np.ndarray:
    """Return the row of fer2013.csv of each image, int64 [N], -1 where unknown.

    `path`: a table file,row for images that are not named as in Kaggle's files.
    """
    if all(name.startswith("row ") for name in names):
        return np.array([int(name[4:]) for name in names], np.int64)
    if not path.is_file():
        row_of = {int(key): row for row, key in enumerate(np.load(ROWS))}
        known = [row_of.get(zlib.crc32(name.encode()), -1) for name in names]
        if max(known, default=-1) >= 0:
            return np.array(known, np.int64)
        raise FerError(
            "FER+ votes follow the rows of fer2013.csv, and this data comes from "
            f"files: load the CSV, or put a file-to-row table at {path}"
        )
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = {r["file"]: int(r["row"]) for r in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise FerError(
            f"{path}: expected columns row and file ({reason(error)}); correct the file"
        ) from None
    return np.array([table.get(name, -1) for name in names], np.int64)


def vote_shares(data: FER2013) -> np.ndarray:
    """Return the FER+ votes for each class of `data` as shares, float32 [N,classes].

    Votes for contempt, unknown and not a face are left out; where none remain, the
    FER2013 label takes their place. Raises `FerError` when there are no votes.
    """
    one_hot = np.eye(len(data.classes), dtype=np.float32)
    place = class_map(data.classes)[[emotion_code(name) for name in VOTES[:7]]]
    to_class = one_hot[place] * (place >= 0)[:, None]
    shares = np.maximum(read_votes(data)[:, :7], 0).astype(np.float32) @ to_class
    none = shares.sum(1) == 0
    shares[none] = one_hot[data.labels[none]]
    return shares / shares.sum(1, keepdims=True)


def majority(data: FER2013) -> tuple[np.ndarray, np.ndarray]:
    """Return what most people said, int64 [N], and if more than half did, bool [N].

    Half of all votes: those for contempt, unknown and not a face count among them. The
    answer is a class of `data`. Raises `FerError` when there are no votes.
    """
    votes, shares = np.maximum(read_votes(data), 0), vote_shares(data)
    place = class_map(data.classes)[[emotion_code(name) for name in VOTES[:7]]]
    counts = np.zeros(shares.shape)
    for column, code in enumerate(place):
        if code >= 0:
            counts[:, code] += votes[:, column]
    return shares.argmax(1), counts.max(1) > votes.sum(1) / 2
