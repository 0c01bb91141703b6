"""How sure a score is, and whether one recogniser is reliably better than another."""

from typing import NamedTuple

import numpy as np

from ..errors import FerError


def interval(accuracy: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return bounds that hold the true accuracy in a share `level` of all such tests.

    `accuracy` was measured on `count` images. Wilson's interval (1927) stays in 0..1.
    """
    from scipy.stats import binomtest

    if not 0 <= accuracy <= 1 or count < 1 or not 0 < level < 1:
        given = f"accuracy {accuracy}, count {count}, level {level}"
        raise FerError(f"{given}: use shares from 0 to 1 and at least one image")
    found = binomtest(round(accuracy * count), count)
    return tuple(map(float, found.proportion_ci(level, "wilson")))


class Comparison(NamedTuple):
    """Two recognisers on the same images; those where both agree tell nothing."""

    first_only: int  # images that only the first got right
    second_only: int
    p_value: float  # how often chance alone splits them at least so unevenly


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare which answers were right, bool [N] each (McNemar, 1947)."""
    from scipy.stats import binomtest

    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1:
        shapes = f"{first.shape} and {second.shape}"
        raise FerError(f"shapes {shapes}: pass a bool for each of the same images")
    only = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = binomtest(only[0], sum(only)).pvalue if any(only) else 1
    return Comparison(*only, float(p_value))
