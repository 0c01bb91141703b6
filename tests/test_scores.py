"""Scores against cases small enough to be worked out by hand."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.evaluation import (
    Scores,
    apply_balance,
    apply_temperature,
    calibration_by_class,
    calibration_curve,
    calibration_error,
    compare,
    coverage_curve,
    difference,
    evaluate,
    fit_balance,
    fit_temperature,
    interval,
    level_of_each,
    score,
    second_choices,
    threshold_for,
)
from fer_utils.models import Recognizer

THREE = ("happy", "sad", "neutral")


def labelled(labels, classes=THREE, clean=None):
    data = tiny(len(labels), classes=classes)
    clean = None if clean is None else np.array(clean, bool)
    return replace(data, labels=np.array(labels), clean=clean)


def rows(*guesses: int, classes: int = 3, sure: float = 0.8) -> np.ndarray:
    """Probabilities that call image i `guesses[i]`, with a share `sure`."""
    out = np.full((len(guesses), classes), (1 - sure) / (classes - 1), np.float32)
    out[np.arange(len(guesses)), guesses] = sure
    return out


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_worked_out_by_hand():
    scores = score(rows(0, 0, 1, 1, 0), labelled([0, 0, 0, 1, 2]))
    assert scores.count == 5 and scores.accuracy == 0.6
    assert scores.confusion == [[2, 1, 0], [0, 1, 0], [1, 0, 0]]
    happy, sad, neutral = scores.per_class.values()
    assert list(happy) == ["precision", "recall", "f1", "support"]
    assert list(happy.values()) == [0.66667, 0.66667, 0.66667, 3]
    assert list(sad.values()) == [0.5, 1, 0.66667, 1]
    assert list(neutral.values()) == [0, 0, 0, 1]
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3, abs=1e-5)
    expected = -(3 * np.log(0.8) + 2 * np.log(0.1)) / 5
    assert scores.log_loss == pytest.approx(expected, abs=1e-5)
    assert scores.calibration_error == pytest.approx(0.2, abs=1e-5)
    assert scores.clean is None
    assert Scores.model_validate_json(scores.model_dump_json()) == scores


@pytest.mark.parametrize(
    ("guesses", "sure", "error"),
    [
        ([0, 0, 0, 0], 1.0, 0.25),  # always sure, right three times of four
        ([0, 0, 0, 0], 0.75, 0.0),  # exactly as sure as right
        ([1, 1, 1, 2], 1.0, 1.0),  # sure and always wrong
        ([0, 0, 0, 1], 1.0, 0.0),
    ],
)
def test_calibration_error_of_known_cases(guesses, sure, error):
    labels = np.array([0, 0, 0, 1])
    found = calibration_error(rows(*guesses, sure=sure), labels)
    assert found == pytest.approx(error, abs=1e-6)


def test_calibration_gaps_of_two_bins_do_not_cancel():
    probabilities = np.r_[rows(0, 0, sure=0.9), rows(1, 1, sure=0.5)]
    labels = np.array([1, 1, 1, 1])  # gaps of +0.9 and -0.5
    assert calibration_error(probabilities, labels) == pytest.approx(0.7, abs=1e-6)


def test_calibration_curve():
    probabilities = np.r_[rows(0, 0, 1, sure=0.9), rows(1, sure=0.5)]
    curve = calibration_curve(probabilities, np.array([0, 1, 1, 1]), bins=10)
    assert np.allclose(curve.confidence, [0.5, 0.9])
    assert np.allclose(curve.accuracy, [1, 2 / 3]) and curve.count.tolist() == [1, 3]
    whole = calibration_curve(probabilities, np.array([0, 1, 1, 1]), bins=1)
    assert whole.accuracy == [0.75] and whole.count == [4]
    surest = calibration_curve(rows(0, sure=1), np.array([0]))
    assert surest.confidence == [1] and surest.count.sum() == 1


def test_temperature_corrects_what_it_can():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([1, 1, 1], 4000)
    labels = np.array([rng.choice(3, p=row) for row in honest])
    too_sure = apply_temperature(honest, 0.5)
    found = fit_temperature(too_sure, labels)
    assert found == pytest.approx(2, rel=0.1)
    corrected = apply_temperature(too_sure, found)
    assert (corrected.argmax(1) == too_sure.argmax(1)).all()
    assert (
        calibration_error(corrected, labels) < calibration_error(too_sure, labels) / 3
    )


def test_balance_undoes_what_frequency_did():
    """Answers of a network that learned on other shares than the test's."""
    rng = np.random.default_rng(0)
    shares = np.array([0.9, 0.05, 0.05])
    labels = rng.integers(0, 3, 6000)
    fair = rng.dirichlet([1, 1, 1], 6000) + 0.5 * np.eye(3)[labels]
    leaning = apply_balance(fair, shares)
    factors = fit_balance(leaning, labels, shares)
    assert factors[1] == factors[2] > 3 * factors[0]
    balanced = apply_balance(leaning, factors)
    assert np.allclose(balanced.sum(1), 1)
    before, after = ((p.argmax(1) == labels).mean() for p in (leaning, balanced))
    assert after > before + 0.1
    unbiased = fit_balance(fair, labels, np.full(3, 1 / 3))
    assert np.allclose(unbiased, 1), "nothing to undo"


def test_coverage_curve():
    probabilities = np.r_[rows(0, sure=0.9), rows(1, 1, sure=0.7), rows(2, sure=0.5)]
    curve = coverage_curve(probabilities, np.array([0, 1, 0, 0]))
    assert np.allclose(curve.threshold, [0.9, 0.7, 0.5])  # equals stay together
    assert np.allclose(curve.coverage, [0.25, 0.75, 1])
    assert np.allclose(curve.accuracy, [1, 2 / 3, 0.5])
    assert threshold_for(curve, 0.6) == pytest.approx(0.7)
    assert threshold_for(curve, 0.5) == pytest.approx(0.5)
    assert threshold_for(curve, 1) == threshold_for(curve, 1.1) == pytest.approx(0.9)
    # Answering from the threshold on gives what the curve promised.
    answered = probabilities.astype(float).max(1) >= threshold_for(curve, 0.6)
    assert answered.mean() == 0.75


@pytest.mark.parametrize("curve", [calibration_curve, coverage_curve, second_choices])
@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (rows(0, 1), [0], "a label for each row"),
        (rows(0, 1), [[0], [1]], "a label for each row"),
        (rows(0)[0], [0, 1, 2], r"probabilities \(3,\)"),
        (rows(), [], "no images"),
    ],
)
def test_no_curve_of_what_does_not_fit(curve, probabilities, labels, message):
    with pytest.raises(FerError, match=message):
        curve(probabilities, np.array(labels))


def test_no_bins():
    with pytest.raises(FerError, match="bins = 0"):
        calibration_curve(rows(0), np.array([0]), bins=0)


def test_second_choices():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.6, 0.1, 0.3]])
    counts = second_choices(probabilities, np.array([0, 0, 1]))
    assert counts.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    scores = score(probabilities, labelled([0, 0, 1]))
    gained = np.trace(counts) / 3
    assert scores.top2_accuracy - scores.accuracy == pytest.approx(gained, abs=1e-4)


def test_interval():
    low, high = interval(0.68, 3589)
    assert (low, high) == pytest.approx((0.6646, 0.6951), abs=2e-4)
    narrow = interval(0.68, 100 * 3589)
    assert narrow[1] - narrow[0] == pytest.approx((high - low) / 10, rel=0.01)
    assert interval(0.68, 3589, 0.5)[0] > low
    assert interval(1, 10)[1] == 1 and interval(0, 10)[0] == 0
    # It holds the true value as often as it promises.
    rng = np.random.default_rng(0)
    bounds = [interval(rng.binomial(200, 0.7) / 200, 200) for _ in range(500)]
    assert 0.92 < np.mean([low <= 0.7 <= high for low, high in bounds]) < 0.98


@pytest.mark.parametrize("wrong", [(1.1, 10), (-0.1, 10), (0.5, 0), (0.5, 10, 95)])
def test_interval_of_nonsense(wrong):
    with pytest.raises(FerError, match="use shares from 0 to 1 and at least one image"):
        interval(*wrong)


def test_difference():
    """Newcombe's (1998) own example: 56 of 70 beside 48 of 80, 0.0524 to 0.3339."""
    low, high = difference((56 / 70, 70), (48 / 80, 80))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    back = difference((48 / 80, 80), (56 / 70, 70))
    assert back == pytest.approx((-high, -low))
    wide = difference((56 / 70, 70), (48 / 80, 80), 0.999)
    assert wide[0] < 0 < low and wide[1] > high
    with pytest.raises(FerError, match="at least one image"):
        difference((0.5, 10), (0.5, 0))


def test_level_of_each():
    assert level_of_each(1) == pytest.approx(0.95)
    assert level_of_each(47) == pytest.approx(1 - 0.05 / 47)
    for wrong in ((0,), (5, 95), (5, 0)):
        with pytest.raises(FerError, match="use at least 1, and a share"):
            level_of_each(*wrong)


def test_calibration_by_class():
    sure, unsure = np.array([0.9, 0.1, 0]), np.array([0.4, 0.6, 0])
    found = calibration_by_class(np.stack([sure] * 4 + [unsure]), np.array([0] * 5))
    first, second = found  # nobody answered the third
    assert (first.code, first.faces, first.accuracy) == (0, 4, 1)
    assert first.confidence == pytest.approx(0.9)
    assert (first.low, first.high) == interval(1, 4)
    assert (second.code, second.faces, second.accuracy) == (1, 1, 0)
    wider = calibration_by_class(np.stack([sure] * 4), np.array([0] * 4), 0.999)
    assert wider[0].low < first.low
    with pytest.raises(FerError, match=r"pass \[N,classes\] and \[N\]"):
        calibration_by_class(sure, np.array([0]))
    with pytest.raises(FerError, match="the data is empty"):
        calibration_by_class(np.zeros((0, 3)), np.zeros(0, int))


def test_compare():
    first = np.array([1, 1, 1, 1, 1, 1, 0, 1], bool)
    second = np.array([0, 0, 0, 0, 0, 0, 0, 1], bool)
    found = compare(first, second)
    assert found[:2] == (6, 0) and found.p_value == pytest.approx(2 / 2**6)
    assert compare(second, first)[:2] == (0, 6)
    assert compare(first, first) == (0, 0, 1.0)
    for other in (second[:5], second[None]):
        with pytest.raises(FerError, match="the same images"):
            compare(first, other)


def test_second_guess():
    probabilities = np.array([[0.6, 0.3, 0.1]] * 3)
    assert score(probabilities, labelled([0, 1, 2])).top2_accuracy == 0.66667
    # A sure model leaves only zeros behind: they are no second guess for all.
    sure = score(rows(0, 0, 0, sure=1), labelled([0, 1, 2]))
    assert sure.top2_accuracy == 0.66667 and np.isfinite(sure.log_loss)


def test_classes_that_do_not_occur():
    scores = score(rows(3, 3, classes=7), labelled([3, 3], tiny(7).classes))
    assert scores.accuracy == 1 and scores.macro_f1 == pytest.approx(1 / 7, abs=1e-5)
    assert scores.per_class["disgust"]["support"] == 0
    assert np.shape(scores.confusion) == (7, 7)


def test_clean_leaves_the_copies_out():
    clean = [True, False, True, True]
    scores = score(rows(0, 0, 1, 1), labelled([0, 0, 0, 1], clean=clean))
    assert (scores.accuracy, scores.clean.accuracy) == (0.75, 0.66667)
    assert scores.clean.count == 3 and "clean 0.6667" in repr(scores)
    assert score(rows(0), labelled([0], clean=[True])).clean is None


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (rows(0, 1), r"probabilities \(2, 3\), but the data needs \(3, 3\)"),
        (rows(0, 1, 2, classes=7), "one column for each of happy, sad, neutral"),
        (rows(0, 1, 2) * 5, "not probabilities: each row must sum to 1"),
        (rows(0, 1, 2) * np.nan, "not probabilities"),
        (np.array([[2, -1, 0]] * 3), "not probabilities"),
    ],
)
def test_what_cannot_be_scored(probabilities, message):
    with pytest.raises(FerError, match=message):
        score(probabilities, labelled([0, 1, 2]))


def test_no_images():
    empty = tiny(3, classes=THREE).select(np.zeros(3, bool))
    with pytest.raises(FerError, match="no images to score"):
        evaluate(Recognizer("compact-cnn", THREE), empty)
