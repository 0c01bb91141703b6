"""Exercises of notebook 5: right answers pass, others are told what is wrong."""

import numpy as np
import pytest

import fer_utils as fer

COUNTS = np.diag([5, 1, 4, 20, 6, 7, 6]) + 1  # every class is taken for every other
FEWER = {"recall of happy": "same", "precision of happy": "lower"}
FEWER |= {"recall of fear": "same", "accuracy": "lower"}


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        (FEWER, ""),
        (FEWER | {"accuracy": "higher"}, "1 of the four words is not right"),
        (dict.fromkeys(FEWER, "higher"), "4 of the four words are not right"),
        (FEWER | {"accuracy": "worse"}, "'worse' is none of the words"),
        ({"accuracy": "lower"}, "a dict with the keys"),
        ("lower", "a dict with the keys"),
    ],
)
def test_fewer_happy_faces(answer, remark):
    verdict = fer.check("5.1", answer, counts=COUNTS)
    assert bool(verdict) == (not remark) and remark in verdict.text
    assert "counts=counts" in fer.check("5.1", answer).text


@pytest.mark.parametrize(
    ("decide", "remark"),
    [
        (lambda p, c: (p @ c).argmin(1), ""),
        (lambda p, c: (p @ c.T).argmin(1), "exchanged"),
        (lambda p, c: (p @ c).argmax(1), "highest expected cost"),
        (lambda p, c: p.argmax(1), "not the cheapest"),
        (lambda p, c: p.argmax(1) * 0, "the likeliest class"),
        (lambda p, c: p.argmin(1), "highest expected cost"),
        (lambda p, c: (p @ c).min(1), "whole numbers"),
        (lambda p, c: (p @ c).argmin(), "whole numbers"),
        (lambda p, c: p[99], "stopped with IndexError"),
        (lambda p: p, "stopped with TypeError"),
        (3, "the function itself, not int"),
    ],
)
def test_decide_by_cost(decide, remark):
    verdict = fer.check("5.2", decide)
    assert bool(verdict) == (not remark) and remark in verdict.text


def test_faces_for_half_a_point():
    assert fer.check("5.3", 34_000)
    assert "too small" in fer.check("5.3", 33_000).text
    assert "too large" in fer.check("5.3", 35_000).text
    assert "full thousands" in fer.check("5.3", 33_434).text
    assert "one number" in fer.check("5.3", "many").text
