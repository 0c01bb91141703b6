"""FER2013: one load, one in-memory form, the splits, duplicates, FER+ votes."""

import csv
import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property, partialmethod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from .cache import read_cached
from .config import FerError, config, reason
from .labels import EMOTIONS, class_map, parse_classes
from .readers import USAGES
from .sample import make_sample

KAGGLE = "msambare/fer2013/versions/1"  # pinned: answers from its cache when offline
PATIENCE = (5, 10)  # seconds to reach Kaggle, and between two pieces of its answer
PROTOCOLS = ("official", "course", "csv")
# FER+ columns: eight expressions, then "unknown" and "not a face".
VOTES = (
    *("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"),
    *("unknown", "not a face"),
)


class Splits(NamedTuple):
    """Three disjoint parts: learn on `train`, choose on `val`, report on `test`."""

    train: "FER2013"
    val: "FER2013"
    test: "FER2013"


class Audit(NamedTuple):
    """What is wrong with a data set, counted on exact pixels."""

    redundant: int  # images that could go without losing a distinct one
    conflicting: int  # groups of identical images with different labels
    copies: dict[str, int]  # per usage, images that also stand in Training
    blank: int  # images of one single grey value


@dataclass(frozen=True, eq=False)
class FER2013:
    """Faces in memory: images uint8 [N,48,48], labels int64 [N] into `classes`.

    `usage` and `names` are str [N]. `clean` bool [N], on the parts of a split only:
    False where the same pixels also stand in its training part.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    names: np.ndarray
    source: str
    classes: tuple[str, ...] = EMOTIONS
    clean: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        parts = [f"{(self.usage == u).sum():,} {u}" for u in USAGES if u in self.usage]
        return f"FER2013 from {self.source}: {len(self):,} images ({' · '.join(parts)})"

    @cached_property
    def groups(self) -> np.ndarray:
        """int64 [N]: images with equal pixels share a number."""
        keys = [hashlib.blake2b(i, digest_size=8).digest() for i in self.images]
        return np.unique(np.array(keys), return_inverse=True)[1]

    def select(self, where: np.ndarray, **changes) -> "FER2013":
        """Return the part at `where` (bool [N] or indices)."""
        fields = {"images", "labels", "usage", "names"} - set(changes)
        arrays = {name: getattr(self, name)[where] for name in fields}
        if self.clean is not None:
            changes.setdefault("clean", self.clean[where])
        return replace(self, **arrays, **changes)

    def counts(self) -> np.ndarray:
        """int64 [classes]: how many images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def with_classes(self, spec: str) -> "FER2013":
        """Merge or leave out expressions: see `labels.parse_classes`."""
        if self.classes != EMOTIONS:
            raise FerError("classes were chosen already; start from the seven")
        classes = parse_classes(spec)
        labels = class_map(classes)[self.labels]
        kept = labels >= 0
        return self.select(kept, labels=labels[kept], classes=classes)

    def split(self, protocol: str = "official", seed: int = 0) -> Splits:
        """Split by protocol; the last two are stratified and depend on `seed`.

        `official`: Training / PublicTest / PrivateTest. `course`: Training 80/20,
        tested on both test sets together. `csv`: Training+PublicTest 80/20,
        tested on PrivateTest.
        """
        if protocol not in PROTOCOLS:
            raise FerError(f"protocol {protocol!r}: use one of {', '.join(PROTOCOLS)}")
        training, public, private = (np.flatnonzero(self.usage == u) for u in USAGES)
        if protocol == "official":
            parts = training, public, private
        elif protocol == "course":
            parts = *self._hold_out(training, seed), np.r_[public, private]
        else:
            parts = *self._hold_out(np.r_[training, public], seed), private
        if not all(map(len, parts)):
            raise FerError(
                f"{self.source} has no images for a part of the {protocol!r} split; "
                + ("try split('course')" if protocol != "course" else "use fer2013.csv")
            )
        seen = np.isin(self.groups, self.groups[parts[0]])
        return Splits(
            self.select(parts[0], clean=np.ones(len(parts[0]), bool)),
            *(self.select(part, clean=~seen[part]) for part in parts[1:]),
        )

    def _hold_out(self, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.model_selection import train_test_split

        try:
            kept, held = train_test_split(
                rows, test_size=0.2, random_state=seed, stratify=self.labels[rows]
            )
        except ValueError as error:  # a class of one image, no images at all
            raise FerError(
                f"{self.source}: too few images to hold out a fifth of each class "
                f"({reason(error)}); use split('official') or more images"
            ) from None
        return np.sort(kept), np.sort(held)

    def audit(self) -> Audit:
        """Count exact duplicates, conflicting labels, test copies and blank images."""
        sizes = np.bincount(self.groups)
        pairs = np.unique(np.c_[self.groups, self.labels], axis=0)
        training = self.groups[self.usage == "Training"]
        copy = np.isin(self.groups, training)
        flat = self.images.reshape(len(self), -1)
        return Audit(
            redundant=int((sizes - 1).sum()),
            conflicting=int((np.bincount(pairs[:, 0]) > 1).sum()),
            copies={u: int(copy[self.usage == u].sum()) for u in USAGES[1:]},
            blank=int((flat.min(1) == flat.max(1)).sum()),
        )

    def votes(self, path: str | Path | None = None) -> np.ndarray:
        """Return the FER+ votes int64 [N,10] (columns `VOTES`), -1 where unknown.

        FER+ lines follow the CSV's rows. Images named by file need the table
        `fer2013_rows.csv` (columns row, file) beside the votes. Raises `FerError`
        when there are no votes. Source: Barsoum et al., 2016.
        """
        path = Path(path or config.votes or "votes not given")
        if not path.is_file():
            raise FerError(
                f"{path}: no FER+ votes there; point FER_VOTES at fer2013new.csv"
            )
        rows = self._rows(path.with_name("fer2013_rows.csv"))
        try:
            with path.open(newline="") as file:
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
        votes = np.full((len(self), len(VOTES)), -1)
        votes[known] = table[rows[known]]
        return votes

    def _rows(self, path: Path) -> np.ndarray:
        if all(name.startswith("row ") for name in self.names):
            return np.array([int(name[4:]) for name in self.names], np.int64)
        if not path.is_file():
            raise FerError(
                "FER+ votes follow the rows of fer2013.csv, and this data comes from "
                f"files: load the CSV, or put a file-to-row table at {path}"
            )
        try:
            with path.open(newline="") as file:
                table = {r["file"]: int(r["row"]) for r in csv.DictReader(file)}
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise FerError(
                f"{path}: expected columns row and file ({reason(error)}); mend it"
            ) from None
        return np.array([table.get(name, -1) for name in self.names], np.int64)


def load_fer2013(source: str | Path | None = None) -> FER2013:
    """Load FER2013 from `source`, decoding it only the first time.

    `source`: a folder, CSV or archive; `"kaggle"` (the pinned download); `"sample"`
    (drawn faces, no network); None: FER_DATA, else Kaggle, else the sample, saying
    which. Raises `FerError` naming the file, the problem and the remedy.
    """
    if source is not None and not str(source).strip():
        raise FerError("the path is empty; name a folder, CSV, archive or 'sample'")
    chosen = str(source or config.data).strip()
    path = _locate(chosen)
    if path is None:
        return FER2013(*map(np.asarray, make_sample()), "the embedded sample")
    try:
        if not path.exists():
            raise FerError(f"{path}: nothing there; check the path or FER_DATA")
        raw = read_cached(path)
    except OSError as error:
        raise FerError(
            f"{error.filename or path}: {error.strerror or error}; check that it is "
            "there and may be read"
        ) from None
    return FER2013(*raw, "Kaggle" if chosen in ("", "kaggle") else path.name)


def _locate(chosen: str) -> Path | None:
    """Return where the data lies; None stands for the embedded sample."""
    if chosen == "sample":
        return None
    if chosen == "kaggle":
        return _download()
    if chosen:
        return Path(os.path.expanduser(chosen))
    try:
        return _download()
    except FerError as error:
        tqdm.write(f"{error}\nGoing on with the embedded sample of drawn faces.")
        return None


def _download() -> Path:
    try:
        import kagglehub
        from requests.adapters import HTTPAdapter

        # kagglehub 1.0 sets no time limit: behind a firewall that drops what it does
        # not like, it would wait for minutes, or for ever.
        send = HTTPAdapter.send
        HTTPAdapter.send = partialmethod(send, timeout=PATIENCE)
        try:
            return Path(kagglehub.dataset_download(KAGGLE))
        finally:
            HTTPAdapter.send = send
    except Exception as error:  # its errors share no base class
        unreachable = "ConnectionPool" in str(error)  # then three lines of internals
        why = "no connection" if unreachable else reason(error)
        raise FerError(
            f"FER2013 could not be had from Kaggle ({why}); check the network, or "
            "download it in a browser and set FER_DATA to the file"
        ) from None
