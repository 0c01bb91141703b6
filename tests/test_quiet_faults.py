"""Exercises of notebook 9: what is right, what is wrong, and how they say so."""

import numpy as np
import pytest

import fer_utils as fer
from fer_utils.exercises.quiet_faults import batch_bias, small_set

RIGHT = np.arange(3589) < 2500


def split(labels, groups, seed, share=5, oversampled=True):
    """The right answer; arguments spoil it."""
    rng = np.random.default_rng(seed)
    pictures = rng.permutation(np.unique(groups))
    held = np.isin(groups, pictures[: len(pictures) // share])
    train, val = np.flatnonzero(~held), np.flatnonzero(held)
    counts = np.bincount(labels[train])
    more = [
        rng.choice(train[labels[train] == code], counts.max() - count)
        for code, count in enumerate(counts)
    ]
    return np.concatenate([train, *more * oversampled]), val


def by_rows(labels, groups, seed):
    """The fault: copies of a picture go to both sides."""
    train, val = split(labels, np.arange(len(labels)), seed)
    return train, val


def masks(labels, groups, seed):
    """The right split, but as True and False for each row."""
    held = np.isin(np.arange(len(labels)), split(labels, groups, seed)[1])
    return ~held, held


def shuffles_its_input(labels, groups, seed):
    """What it returns is right for its input alone, which it has changed."""
    np.random.default_rng(seed).shuffle(groups)
    return split(labels, groups, seed)


def test_a_count_in_float16_stops():
    assert fer.check("9.1", 2048) and not fer.check("9.1", 3000)
    assert "too large" in fer.check("9.1", 3000).text


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (split, ""),
        (3, "the function itself, not int"),
        (lambda labels, groups, seed: 1 / 0, "ZeroDivisionError"),
        (lambda labels, groups, seed: None, "TypeError"),
        (by_rows, "both sides"),
        (lambda *given: split(*given, share=2), "not a fifth"),
        (lambda *given: split(*given, oversampled=False), "not equally large"),
        (lambda *given: [np.repeat(part, 2) for part in split(*given)], "twice"),
        (lambda *given: [split(*given)[0][:60], split(*given)[1]], "neither side"),
        (lambda *given: [part.tolist() for part in split(*given)], ""),
        (lambda labels, groups, seed: split(labels, groups, 0), "another seed"),
        (lambda labels, groups, seed: split(labels, groups, None), "the same seed"),
        (masks, "numbers"),
        (shuffles_its_input, "both sides"),
    ],
)
def test_split_then_oversample(answer, problem):
    verdict = fer.check("9.2", answer)
    assert bool(verdict) is (problem == "") and problem in verdict.text


def test_the_small_set_has_copies_with_one_label():
    labels, groups = small_set()
    assert len(np.unique(groups)) < len(groups)
    assert len(np.unique(np.c_[groups, labels], axis=0)) == len(np.unique(groups))


def test_the_most_misleading_batch():
    sizes = range(2, 1001)
    worst = max(sizes, key=lambda size: batch_bias(RIGHT, size))
    for right in (worst, float(worst), f"{worst}.0"):
        assert fer.check("9.3", right, right=RIGHT)
    for wrong, word in ((1, "too small"), (2.5, "whole"), ("a", "number"), (37, "by")):
        verdict = fer.check("9.3", wrong, right=RIGHT)
        assert not verdict and word in verdict.text


def test_batches_of_equal_size_do_not_mislead():
    assert batch_bias(RIGHT[:3500], 500) < 1e-9 < batch_bias(RIGHT, 500)
