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


def difference(
    first: tuple[float, int], second: tuple[float, int], level: float = 0.95
) -> tuple[float, float]:
    """Return bounds that hold how much more accurate the first is than the second.

    Each is an accuracy in 0..1 and the number of images it was measured on; no image is
    in both. From two of Wilson's intervals (Newcombe, 1998, method 10). Bounds without
    0 between them: the two differ. Raises `FerError` as `interval` does.
    """
    (a, _), (b, _) = first, second
    (a_low, a_high), (b_low, b_high) = (interval(*x, level) for x in (first, second))
    low = a - b - np.hypot(a - a_low, b_high - b)
    return float(low), float(a - b + np.hypot(a_high - a, b - b_low))


def level_of_each(count: int, level: float = 0.95) -> float:
    """Return the level at which `count` intervals hold all together at `level`.

    Who looks at twenty groups at 95 % will see one stand out by chance. Bonferroni's
    correction is safe even where the groups share images. Raises `FerError` for a count
    below 1 or a level outside 0..1.
    """
    if count < 1 or not 0 < level < 1:
        raise FerError(f"count {count}, level {level}: use at least 1, and a share")
    return 1 - (1 - level) / count


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
