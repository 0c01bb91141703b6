"""Exercises of notebook 8: right answers pass, others are told what is wrong."""

import numpy as np
import pytest

import fer_utils as fer
from fer_utils.exercises.records import expected_best, losses_without


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        (0.729, ""),
        (0.7 + 2 * (0.7 * 0.3 / 900) ** 0.5, ""),
        (0.7, "how good each of them is"),
        (0.714, "too small"),  # with the faces of PrivateTest
        (0.75, "too large"),
        (72.9, "not per cent"),
        ("high", "one number"),
        (float("nan"), "finite"),
    ],
)
def test_best_of_twenty(answer, remark):
    verdict = fer.check("8.1", answer)
    assert bool(verdict) == (not remark) and remark in verdict.text


def test_expected_best_agrees_with_a_simulation():
    draws = np.random.default_rng(0).binomial(900, 0.7, (20_000, 20)) / 900
    assert expected_best(20, 900, 0.7) == pytest.approx(draws.max(1).mean(), abs=4e-4)
    assert expected_best(1, 900, 0.7) == pytest.approx(0.7)


def by_logs(answers, floor=1e-12):
    product = np.exp(np.mean(np.log(np.clip(answers, floor, None)), axis=0))
    return product / product.sum(1, keepdims=True)


def by_root(answers):
    root = np.prod(answers, axis=0) ** (1 / len(answers))
    total = root.sum(1, keepdims=True)
    return np.where(total > 0, root / np.where(total > 0, total, 1), 1 / 7)


def in_place(answers):
    """Right; it changes what it is given."""
    answers[0] += 0
    return by_logs(answers)


@pytest.mark.parametrize(
    ("mean", "remark"),
    [
        (by_logs, ""),
        (by_root, ""),
        (in_place, ""),
        (lambda a: np.mean(a, axis=0), "the mean that adds"),
        (lambda a: np.prod(a, axis=0) ** (1 / len(a)), "do not sum to one"),
        (lambda a: np.prod(a, 0) / np.prod(a, 0).sum(1, keepdims=True), "root"),
        (lambda a: (p := np.prod(a, 0) ** (1 / 3)) / p.sum(1, keepdims=True), "1/2"),
        (lambda a: by_logs(a, floor=0), "NaN"),
        (lambda a: by_logs(a, floor=0.01), "not those of the power 1/3"),
        (lambda a: by_logs(a)[0], "not (40, 7)"),
        (lambda a: by_logs(a).max(1), "not (40, 7)"),
        (lambda a: a[99], "stopped with IndexError"),
        (0.5, "the function itself, not float"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_multiply_probabilities(mean, remark):
    verdict = fer.check("8.2", mean)
    assert bool(verdict) == (not remark) and remark in verdict.text


LABELS = np.array([0, 1, 2, 3])
SURE, UNSURE, WRONG = (
    np.full((4, 7), (1 - p) / 6) + (p - (1 - p) / 6) * np.eye(7)[:4]
    for p in (0.9, 0.4, 0.05)
)
TEAM = {"sure": SURE, "unsure": UNSURE, "wrong": WRONG}


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        ("sure", ""),
        ("unsure", "another one is missed more"),
        ("wrong", "missed least"),
        ("laptop", "one of the names sure, unsure, wrong"),
        (3, "one of the names"),
    ],
)
def test_missed_most(answer, remark):
    verdict = fer.check("8.3", answer, members=TEAM, labels=LABELS)
    assert bool(verdict) == (not remark) and remark in verdict.text
    assert "members=members" in fer.check("8.3", answer).text


def test_losses_without_is_the_mean_of_the_others():
    losses = losses_without(TEAM, LABELS)
    assert losses["wrong"] == pytest.approx(-np.log((0.9 + 0.4) / 2 + 1e-6))
