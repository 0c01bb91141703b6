"""What a confidence is worth: calibration, and what abstaining costs and buys."""

from typing import NamedTuple

import numpy as np

from .config import FerError


def answers(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence float [N] and right bool [N]; `FerError` on other shapes."""
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise FerError(
            f"probabilities {probabilities.shape} and labels {labels.shape}: want "
            "[N,classes] and [N], a label for each row"
        )
    if not len(labels):
        raise FerError("no images to score")
    return probabilities.max(1), probabilities.argmax(1) == labels


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy (Guo et al., 2017, arXiv:1706.04599)."""
    curve = calibration_curve(probabilities, labels, bins)
    gaps = np.abs(curve.confidence - curve.accuracy)
    return float((gaps * curve.count).sum() / len(labels))


class Calibration(NamedTuple):
    """Answers sorted into bins by their confidence; three arrays [bins in use]."""

    confidence: np.ndarray  # mean of the bin, 0..1
    accuracy: np.ndarray  # share of right answers, 0..1
    count: np.ndarray  # answers in it


def calibration_curve(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> Calibration:
    """Return how often answers of each confidence are right; empty bins are left out.

    `probabilities` [N,classes], `labels` int [N], `bins` equal parts of 0..1. The
    curve is known as reliability diagram (DeGroot & Fienberg, 1983).
    """
    confidence, right = answers(probabilities, labels)
    if bins < 1:
        raise FerError(f"bins {bins}: at least 1")
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = counts > 0
    sums = (np.bincount(place, values, bins)[used] for values in (confidence, right))
    return Calibration(*(total / counts[used] for total in sums), counts[used])


class Coverage(NamedTuple):
    """What abstaining costs and buys; three arrays, the surest answers first."""

    threshold: np.ndarray  # lowest confidence that is still answered
    coverage: np.ndarray  # share of images that get an answer, rising to 1
    accuracy: np.ndarray  # share of these that is right


def coverage_curve(probabilities: np.ndarray, labels: np.ndarray) -> Coverage:
    """Return coverage and accuracy for every threshold that changes something.

    `probabilities` [N,classes], `labels` int [N]. Also known as risk-coverage curve
    (El-Yaniv & Wiener, 2010).
    """
    confidence, right = answers(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    sure, answered = confidence[order], np.arange(1, len(order) + 1)
    last = np.r_[sure[1:] < sure[:-1], True]  # equals are answered together
    accuracy = np.cumsum(right[order]) / answered
    return Coverage(sure[last], answered[last] / len(order), accuracy[last])


def threshold_for(curve: Coverage, accuracy: float) -> float:
    """Return the lowest confidence to answer at, so that `accuracy` is kept.

    If no threshold reaches it, that of the surest answer.
    """
    enough = np.flatnonzero(curve.accuracy >= accuracy)
    return float(curve.threshold[enough[-1] if len(enough) else 0])
