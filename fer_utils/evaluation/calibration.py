"""What a confidence is worth: calibration, temperature, and the price of abstaining."""

from typing import NamedTuple

import numpy as np

from ..errors import FerError
from .significance import interval


def top_answers(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence float [N] and right bool [N]; `FerError` on other shapes."""
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        shapes = f"probabilities {probabilities.shape} and labels {labels.shape}"
        raise FerError(f"{shapes}: pass [N,classes] and [N], a label for each row")
    if not len(labels):
        raise FerError("no images to score: the data is empty")
    return probabilities.max(1), probabilities.argmax(1) == labels


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy (Guo et al., 2017)."""
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
    curve is known as a reliability diagram (DeGroot & Fienberg, 1983).
    """
    confidence, right = top_answers(probabilities, labels)
    if bins < 1:
        raise FerError(f"bins = {bins}: use at least 1")
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = counts > 0
    sums = (np.bincount(place, values, bins)[used] for values in (confidence, right))
    return Calibration(*(total / counts[used] for total in sums), counts[used])


class Answered(NamedTuple):
    """All answers that name one class: how sure they are, and how often right."""

    code: int  # of the class
    faces: int
    confidence: float  # mean, 0..1
    accuracy: float  # share of right answers, 0..1
    low: float  # bounds of the accuracy (Wilson)
    high: float


def calibration_by_class(
    probabilities: np.ndarray, labels: np.ndarray, level: float = 0.95
) -> list[Answered]:
    """Return, for each class that was answered, its confidence beside its accuracy.

    `probabilities` [N,classes], `labels` int [N]; `level` is that of the bounds. A
    network can be calibrated over all answers, and too sure of one class. Raises
    `FerError` on other shapes, no images, or a level outside 0..1.
    """
    confidence, right = top_answers(probabilities, labels)
    answers = np.argmax(probabilities, 1)
    found = []
    for code in np.unique(answers):
        here = answers == code
        count, accuracy = int(here.sum()), float(right[here].mean())
        sure, bounds = float(confidence[here].mean()), interval(accuracy, count, level)
        found.append(Answered(int(code), count, sure, accuracy, *bounds))
    return found


class Coverage(NamedTuple):
    """What abstaining costs and gains; three arrays, the surest answers first."""

    threshold: np.ndarray  # lowest confidence that is still answered
    coverage: np.ndarray  # share of images that get an answer, rising to 1
    accuracy: np.ndarray  # share of right answers among these


def coverage_curve(probabilities: np.ndarray, labels: np.ndarray) -> Coverage:
    """Return coverage and accuracy for every threshold that changes something.

    `probabilities` [N,classes], `labels` int [N]. Also known as a risk-coverage curve
    (El-Yaniv & Wiener, 2010).
    """
    confidence, right = top_answers(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    sure, answered = confidence[order], np.arange(1, len(order) + 1)
    last = np.r_[sure[1:] < sure[:-1], True]  # equally sure answers come together
    accuracy = np.cumsum(right[order]) / answered
    return Coverage(sure[last], answered[last] / len(order), accuracy[last])


def threshold_for(curve: Coverage, accuracy: float) -> float:
    """Return the lowest threshold that reaches this accuracy, or else the highest."""
    enough = np.flatnonzero(curve.accuracy >= accuracy)
    return float(curve.threshold[enough[-1] if len(enough) else 0])


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which confidence agrees best with accuracy.

    Found on validation images: the T > 0 for which softmax(log p / T) has the lowest
    log-loss (Guo et al., 2017, arXiv:1706.04599). It never changes the leading class.
    """
    from scipy.optimize import minimize_scalar

    def log_loss(log_t: float) -> float:
        scaled = apply_temperature(probabilities, np.exp(log_t))
        return -np.log(scaled[np.arange(len(labels)), labels] + 1e-12).mean()

    return float(np.exp(minimize_scalar(log_loss, bounds=(-2, 2)).x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log p / T), float [N,classes]; T < 1 sharpens, T > 1 softens."""
    powers = np.asarray(probabilities, float) ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)


def check_balance(factors: object, classes: int) -> np.ndarray:
    """Return a factor for each class, float [classes]; else `ValueError`."""
    found = np.asarray(factors, float)
    if found.shape != (classes,) or not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"balance {factors}: {classes} factors above 0 are needed")
    return found


def apply_balance(probabilities: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return probabilities times a factor for each class, scaled to sum to one."""
    weighted = np.asarray(probabilities, float) * factors
    return weighted / weighted.sum(1, keepdims=True)


def fit_balance(
    probabilities: np.ndarray,
    labels: np.ndarray,
    shares: np.ndarray,
    cost: float = 0.01,
) -> np.ndarray:
    """Return factors [classes] that keep rare classes from being overlooked.

    A network leans towards the classes that it saw often. Dividing by a power of their
    `shares` [classes] in the training undoes that (logit adjustment, Menon et al.,
    2021, arXiv:2007.07314). The power is the largest, from 0 to 1, that costs at most
    `cost` of the best accuracy on these validation images.
    """
    powers = np.linspace(0, 1, 21)
    accuracy = [
        ((probabilities * shares**-power).argmax(1) == labels).mean()
        for power in powers
    ]
    power = powers[np.flatnonzero(np.array(accuracy) >= max(accuracy) - cost)[-1]]
    factors = shares**-power
    return factors / factors.mean()
