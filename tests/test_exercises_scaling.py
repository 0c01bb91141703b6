"""Exercises of notebook 10: right answers pass, others are told what is wrong."""

from collections import Counter

import pytest

import fer_utils as fer


def test_cores():
    assert fer.check("10.1", 9) and fer.check("10.1", 9.0)
    assert "too small" in fer.check("10.1", 5).text
    assert "too large" in fer.check("10.1", 10).text
    assert "one number" in fer.check("10.1", "many").text


def right(photos, rows, most=3):
    tries = Counter(row["photo"] for row in rows)
    settled = {row["photo"] for row in rows if not row["error"].startswith("timeout")}
    return [p for p in photos if p not in settled and tries[p] < most]


def without_most(photos, rows, most=3):
    return right(photos, rows)


def anywhere(photos, rows, most=3):
    """Asks whether a time-out is mentioned, not whether the error starts with it."""
    changed = [r | {"error": r["error"] and "timeout" * ("timeout" in r["error"]) + "x"}
               for r in rows]  # fmt: skip
    return right(photos, changed, most)


def last_row_decides(photos, rows, most=3):
    tries = Counter(row["photo"] for row in rows)
    last = {row["photo"]: row["error"] for row in rows}
    return [
        p
        for p in photos
        if last.get(p, "timeout").startswith("timeout") and tries[p] < most
    ]


@pytest.mark.parametrize(
    ("to_do", "remark"),
    [
        (right, ""),
        (lambda *given, **most: tuple(right(*given, **most)), ""),
        (without_most, "with most=2, a photo that timed out twice has to be done"),
        (anywhere, "mentions a time-out"),
        (last_row_decides, "in a row before that of a time-out has to be done"),
        (lambda photos, rows, most=3: photos, "that was answered has to be done"),
        (lambda photos, rows, most=3: [], "does not have to be done"),
        (lambda *given, **most: sorted(right(*given, **most)), "not in their order"),
        (lambda *given, **most: right(*given, **most) * 2, "twice"),
        (lambda photos, rows: right(photos, rows), "stopped with TypeError"),
        (lambda photos, rows, most=3: None, "stopped with TypeError"),
        ({}, "the function itself, not dict"),
    ],
)
def test_to_do(to_do, remark):
    verdict = fer.check("10.2", to_do)
    assert bool(verdict) == (not remark) and remark in verdict.text


def test_size_of_a_part():
    assert fer.check("10.3", 6000) and fer.check("10.3", 5_800)
    assert "too small" in fer.check("10.3", 2_000).text
    assert "too large" in fer.check("10.3", 12_000).text
