"""FER2013 in memory: images, labels, classes, splits, duplicates."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import FerError, reason
from ..labels import EMOTIONS, class_map, parse_classes

USAGES = ("Training", "PublicTest", "PrivateTest")
PROTOCOLS = ("official", "course", "csv")
SAMPLE_NAME = "the embedded sample"


class Splits(NamedTuple):
    """Three disjoint parts: learn on `train`, choose on `val`, report on `test`."""

    train: "FER2013"
    val: "FER2013"
    test: "FER2013"


class Audit(NamedTuple):
    """What is wrong with a data set, counted on exact pixels."""

    redundant: int  # images that could go without losing a distinct one
    conflicting: int  # groups of identical images with different labels
    copies: dict[str, int]  # per usage, images that also occur in Training
    blank: int  # images of one single grey value


@dataclass(frozen=True, eq=False)
class FER2013:
    """Faces in memory: images uint8 [N,48,48], labels int64 [N] into `classes`.

    `usage` and `names` are str [N]. `clean` bool [N], on the parts of a split only:
    False where the same pixels also occur in its training part.
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

    @property
    def drawn(self) -> bool:
        """Whether these are the drawn faces of the sample, which teach nothing."""
        return self.source == SAMPLE_NAME

    @cached_property
    def groups(self) -> np.ndarray:
        """int64 [N]: images with equal pixels share a number."""
        keys = [hashlib.blake2b(i, digest_size=8).digest() for i in self.images]
        return np.unique(np.array(keys), return_inverse=True)[1]

    def select(self, where: np.ndarray, **changes) -> "FER2013":
        """Return the part at `where` (bool [N] or indices), with fields changed."""
        fields = ("images", "labels", "usage", "names", "clean")
        arrays = {field: getattr(self, field) for field in fields}
        parts = {field: a[where] for field, a in arrays.items() if a is not None}
        return replace(self, **parts | changes)

    def counts(self) -> np.ndarray:
        """int64 [classes]: how many images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def with_classes(self, spec: str) -> "FER2013":
        """Merge or leave out expressions; `labels.parse_classes` explains `spec`."""
        classes = parse_classes(spec)
        if classes == self.classes:
            return self
        if self.classes != EMOTIONS:
            raise FerError("classes were already chosen; use the data with all seven")
        labels = class_map(classes)[self.labels]
        kept = labels >= 0
        return self.select(kept, labels=labels[kept], classes=classes)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those that miss no part; `course` needs Training alone."""
        parts = [bool((self.usage == usage).any()) for usage in USAGES]
        return PROTOCOLS if all(parts) else ("course",) if parts[0] else ()

    def split(self, protocol: str = "official", seed: int = 0) -> Splits:
        """Split by protocol; the last two are stratified and depend on `seed`.

        `official`: Training / PublicTest / PrivateTest. `course`: Training 80/20, test
        on what is there of both test sets. `csv`: Training+PublicTest 80/20, test on
        PrivateTest.
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
        if not all(map(len, parts[:2] if protocol == "course" else parts)):
            raise FerError(
                f"{self.source} has no images for a part of the {protocol!r} split; "
                + ("try split('course')" if len(training) else "use fer2013.csv")
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
        copy = np.isin(self.groups, self.groups[self.usage == "Training"])
        return Audit(
            redundant=int((sizes - 1).sum()),
            conflicting=int((np.bincount(pairs[:, 0]) > 1).sum()),
            copies={u: int(copy[self.usage == u].sum()) for u in USAGES[1:]},
            blank=int((np.ptp(self.images, (1, 2)) == 0).sum()),
        )
