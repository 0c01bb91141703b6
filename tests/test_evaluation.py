"""Scores against cases small enough to be worked out by hand."""

import json
import warnings
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import nn

from fer_utils.confidence import (
    calibration_curve,
    calibration_error,
    coverage_curve,
    threshold_for,
)
from fer_utils.config import FerError
from fer_utils.evaluation import (
    apply_temperature,
    compare,
    evaluate,
    evaluate_run,
    fit_temperature,
    interval,
    predict_probabilities,
    recorded,
    score,
    second_choices,
)
from fer_utils.models import Recognizer
from fer_utils.recipes import Recipe
from fer_utils.run import Run
from fer_utils.training import train

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
    json.dumps(asdict(scores), allow_nan=False)


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


def test_temperature_mends_what_it_can():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([1, 1, 1], 4000)
    labels = np.array([rng.choice(3, p=row) for row in honest])
    boaster = apply_temperature(honest, 0.5)
    found = fit_temperature(boaster, labels)
    assert found == pytest.approx(2, rel=0.1)
    mended = apply_temperature(boaster, found)
    assert (mended.argmax(1) == boaster.argmax(1)).all()
    assert calibration_error(mended, labels) < calibration_error(boaster, labels) / 3


def test_coverage_curve():
    probabilities = np.r_[rows(0, sure=0.9), rows(1, 1, sure=0.7), rows(2, sure=0.5)]
    curve = coverage_curve(probabilities, np.array([0, 1, 0, 0]))
    assert np.allclose(curve.threshold, [0.9, 0.7, 0.5])  # equals stay together
    assert np.allclose(curve.coverage, [0.25, 0.75, 1])
    assert np.allclose(curve.accuracy, [1, 2 / 3, 0.5])
    assert threshold_for(curve, 0.6) == pytest.approx(0.7)
    assert threshold_for(curve, 0.5) == pytest.approx(0.5)
    assert threshold_for(curve, 1) == threshold_for(curve, 1.1) == pytest.approx(0.9)
    # Who answers from the threshold on gets what the curve promised.
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
    with pytest.raises(FerError, match="bins 0"):
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
    # It holds the truth as often as it says.
    rng = np.random.default_rng(0)
    bounds = [interval(rng.binomial(200, 0.7) / 200, 200) for _ in range(500)]
    assert 0.92 < np.mean([low <= 0.7 <= high for low, high in bounds]) < 0.98


@pytest.mark.parametrize("wrong", [(1.1, 10), (-0.1, 10), (0.5, 0), (0.5, 10, 95)])
def test_interval_of_nonsense(wrong):
    with pytest.raises(FerError, match="want a share of at least one image"):
        interval(*wrong)


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
        (rows(0, 1), r"probabilities \(2, 3\), but the data wants \(3, 3\)"),
        (rows(0, 1, 2, classes=7), "one column for each of happy, sad, neutral"),
        (rows(0, 1, 2) * 5, "no probabilities: each row must sum to 1"),
        (rows(0, 1, 2) * np.nan, "no probabilities"),
        (np.array([[2, -1, 0]] * 3), "no probabilities"),
    ],
)
def test_what_cannot_be_scored(probabilities, message):
    with pytest.raises(FerError, match=message):
        score(probabilities, labelled([0, 1, 2]))


def test_no_images():
    empty = tiny(3, classes=THREE).select(np.zeros(3, bool))
    with pytest.raises(FerError, match="no images to score"):
        evaluate(Recognizer("compact-cnn", THREE), empty)


class LeftOrRight(nn.Module):
    """Sees on which half the light is: what flip averaging must wipe out."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        images = images.float() * self.scale / 255
        return torch.stack([images[..., :24].sum((1, 2, 3)), images.sum((1, 2, 3))], 1)


def test_two_looks_average_with_the_mirror_image():
    images = np.zeros((300, 48, 48), np.uint8)
    images[::2, 5, 5] = images[1::2, 5, 40] = 255
    plain = predict_probabilities(LeftOrRight(), images, looks=1)
    assert np.allclose(plain[0], 0.5) and np.allclose(plain[1, 0], 1 / (1 + np.e))
    flipped = predict_probabilities(LeftOrRight(), images)
    assert np.allclose(flipped, (plain[0] + plain[1]) / 2)
    assert flipped.dtype == np.float32 and len(flipped) == 300


class Edge(nn.Module):
    """Sees light in the first row: what one of the two cuts takes away."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        light = images.mul(self.scale)[:, 0, 0].amax(1)
        return torch.stack([torch.zeros_like(light), light], 1)


def test_six_looks_average_with_cuts():
    images = np.zeros((2, 48, 48), np.uint8)
    images[1, 0, 0] = 255
    dark, light = predict_probabilities(Edge(), images, looks=6)
    seen = np.e / (1 + np.e)  # whole and without the last rows, mirrored or not
    assert np.allclose(dark, 0.5) and np.isclose(light[1], (4 * seen + 2 * 0.5) / 6)


@pytest.mark.parametrize("looks", [-1, 0, 3, 10])
def test_looks_that_do_not_exist(looks):
    with pytest.raises(FerError, match=f"looks {looks}: use one of 1, 2, 6"):
        predict_probabilities(LeftOrRight(), tiny(7).images, looks)


def test_probabilities_do_not_depend_on_the_batch():
    torch.manual_seed(0)
    model = Recognizer("compact-cnn").train()
    images = tiny(300).images
    whole = predict_probabilities(model, images)
    assert not model.training
    rest = predict_probabilities(model, images[256:])
    assert np.allclose(whole[256:], rest, atol=1e-5)


# Runs -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    data = tiny(98)
    usage = np.repeat(["Training", "PublicTest", "PrivateTest"], [56, 21, 21])
    data.images[97] = data.images[0]  # a copy of a training image in the test part
    return replace(data, usage=usage)


@pytest.fixture(scope="module")
def run(whole, tmp_path_factory):
    parts = whole.split()
    folder = tmp_path_factory.mktemp("run")
    chosen = Recipe("small", epochs=1, batch_size=16)
    return train(chosen, parts.train, parts.val, folder)


def test_scores_go_on_record_with_what_is_behind_them(run, whole):
    scores = evaluate_run(run, whole, "test")
    assert scores == evaluate(run.model, whole.split().test)
    assert scores.clean.count == 20
    loaded = Run.load(run.folder)
    assert loaded.record["scores"]["test"]["accuracy"] == scores.accuracy
    assert recorded(loaded, "test") == scores  # the clean ones too
    assert recorded(loaded, "val") is None
    stored = loaded.predictions()
    again = score(stored["test_probabilities"].astype(float), whole.split().test)
    assert again.confusion == scores.confusion
    evaluate_run(run, whole, "val")
    six = evaluate_run(run, whole, "val", looks=6)
    loaded = Run.load(run.folder)
    assert {"test_labels", "val_6_looks_labels"} <= loaded.predictions().keys()
    assert (
        recorded(loaded, "val", 6) == six == evaluate(run.model, whole.split().val, 6)
    )
    assert loaded.record["scores"]["val"]["looks"] == 2
    assert loaded.record["scores"]["val_6_looks"]["looks"] == 6


def test_other_data_does_not_go_on_record(run, whole):
    before = (run.folder / "run.json").read_text()
    with pytest.raises(FerError, match="part 'train': use val or test"):
        evaluate_run(run, whole, "train")
    other = replace(whole, usage=np.roll(whole.usage, 30))
    other.usage[:3] = "Training"
    with pytest.raises(FerError, match=r"trained on other data \(tiny\)"):
        evaluate_run(run, other, "test")
    assert (run.folder / "run.json").read_text() == before
