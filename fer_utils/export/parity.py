"""Whether an exported network still gives the answers of the one it was made from."""

from dataclasses import dataclass

import numpy as np

from ..errors import FerError


@dataclass(frozen=True)
class Parity:
    """Two networks' answers to the same faces, compared."""

    faces: int
    largest: float  # the largest difference of a probability, 0..1
    flips: dict[str, int]  # by class of the first network: how often the second differs
    accuracy: tuple[float, float] | None  # of both, if there were labels

    def __str__(self) -> str:
        flipped = sum(self.flips.values())
        text = f"largest difference {self.largest:.1e}, {flipped} of {self.faces:,} "
        text += "faces named differently"
        if self.accuracy:
            before, after = self.accuracy
            text += f", accuracy {before:.4f} → {after:.4f}"
        return text


def parity(
    before: np.ndarray,
    after: np.ndarray,
    classes: tuple[str, ...],
    labels: np.ndarray | None = None,
) -> Parity:
    """Compare probabilities [N,classes] of two networks; `labels` int [N] or None."""
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or before.shape[1:] != (len(classes),):
        shapes = f"{before.shape} and {after.shape} for {len(classes)} classes"
        raise FerError(f"probabilities {shapes}: pass two arrays [N,classes]")
    one, two = before.argmax(1), after.argmax(1)
    flips = {name: int((two[one == i] != i).sum()) for i, name in enumerate(classes)}
    right = labels is not None
    accuracy = ((one == labels).mean(), (two == labels).mean()) if right else None
    largest = float(np.abs(before - after).max(initial=0))
    return Parity(len(one), largest, flips, accuracy)
