"""Slices: on which faces a network is right less often than on the others.

One accuracy can hide dark, blurred or tilted faces on which a network fails. What is
measured of each face sorts it into a band, and each band is compared with all others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import FerError
from .significance import difference, interval


class Slice(NamedTuple):
    """How often answers are right on the faces of one band, and on all others."""

    band: int  # 0: below the first edge …; one more than there are edges: not measured
    faces: int
    accuracy: float  # 0..1, with its bounds (Wilson)
    low: float
    high: float
    rest: float | None  # the accuracy on all other faces; None: there are none
    differs: bool  # whether the two differ at this level (Newcombe)


def thirds(values: np.ndarray) -> tuple[float, float]:
    """Return the two edges that cut values float [N] into thirds.

    nan, not measured, is left out; `FerError` where nothing was measured.
    """
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        raise FerError("no value was measured: there is nothing to cut into thirds")
    return tuple(map(float, np.nanquantile(values, [1 / 3, 2 / 3])))


def sliced(
    values: np.ndarray, right: np.ndarray, edges: Sequence[float], level: float = 0.95
) -> list[Slice]:
    """Return how often answers are right in each band of what was measured.

    `values` float [N], one for each face in any unit, nan where it could not be
    measured; `right` bool [N]; `edges`, rising, in the same unit: a value equal to an
    edge lies above it. Bands without a face are left out. `level` is that of all
    bounds; for many bands, take `level_of_each`. Raises `FerError` on other shapes, no
    faces, edges that do not rise, or a level outside 0..1.
    """
    values, right = np.asarray(values, float), np.asarray(right)
    edges = np.asarray(edges, float)
    if values.ndim != 1 or values.shape != right.shape or not len(values):
        shapes = f"values {values.shape} and right {right.shape}"
        raise FerError(f"{shapes}: pass [N] and [N], at least one face")
    if right.dtype != bool:
        raise FerError(f"right is {right.dtype}: pass bool, one for each answer")
    if edges.ndim != 1 or not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise FerError(f"edges {edges.tolist()}: pass numbers, each above the last")
    bands = np.where(np.isnan(values), len(edges) + 1, np.digitize(values, edges))
    found = []
    for band in np.unique(bands):
        here, others = right[bands == band], right[bands != band]
        one = float(here.mean()), len(here)
        rest, differs = None, False
        if len(others):
            rest = float(others.mean())
            low, high = difference(one, (rest, len(others)), level)
            differs = not low <= 0 <= high
        bounds = interval(*one, level)
        found.append(Slice(int(band), len(here), one[0], *bounds, rest, differs))
    return found
