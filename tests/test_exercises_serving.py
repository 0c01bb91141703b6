"""Exercises of notebook 7: right answers pass, others are told what is wrong."""

import numpy as np
import pytest

import fer_utils as fer

STATUS = {"unsupported": 415, "too_large": 413, "too_small": 422}


def test_waiting():
    assert fer.check("7.1", 320) and fer.check("7.1", 320.4)
    assert "too small" in fer.check("7.1", 40).text
    assert "too large" in fer.check("7.1", 640).text


def right(error):
    if isinstance(error, fer.PhotoError):
        return STATUS.get(error.kind, 400)
    return 422 if isinstance(error, fer.FerError) else 500


@pytest.mark.parametrize(
    ("status_of", "remark"),
    [
        (right, ""),
        (lambda error: 400, "for a PhotoError of kind 'unsupported'"),
        (lambda error: STATUS[error.kind], "stopped with KeyError"),
        (lambda error: right(error) if hasattr(error, "kind") else 500, "a FerError,"),
        (lambda error: min(right(error), 422), "for a ZeroDivisionError"),
        ({}, "the function itself, not dict"),
    ],
)
def test_status_of_errors(status_of, remark):
    verdict = fer.check("7.2", status_of)
    assert bool(verdict) == (not remark) and remark in verdict.text


def test_two_bits():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 4, 3, 3)) * np.logspace(-2, 0, 8)[:, None, None, None]
    found = []
    for axes in (None, (1, 2, 3)):
        scale = np.abs(weights).max(axis=axes, keepdims=True)
        stored = np.round(weights / scale) * scale
        found.append(np.sqrt(np.mean((stored - weights) ** 2)))
    assert fer.check("7.3", found[0] / found[1], weights=weights)
    assert "too small" in fer.check("7.3", 1.0, weights=weights).text
    for nonsense in (None, "w", weights[0], np.full((1, 1, 1, 1), np.nan)):
        assert "weights=weights" in fer.check("7.3", 2, weights=nonsense).text
