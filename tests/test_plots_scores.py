"""Figures of scores are drawn from records and arrays, whole or with gaps."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny

from fer_utils import plots
from fer_utils.errors import FerError
from fer_utils.evaluation import (
    calibration_curve,
    coverage_curve,
    score,
    second_choices,
    threshold_for,
)
from fer_utils.training import records


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    data = tiny(70)
    clean = np.arange(70) > 6
    return replace(data, clean=clean), rng.dirichlet(np.ones(7), 70)


def texts(figure) -> str:
    """All that is written in a figure."""
    figure.draw_without_rendering()
    found = []
    for axis in figure.axes:
        labels = [*axis.get_yticklabels(), *axis.texts, *axis.get_xticklabels()]
        found += [label.get_text() for label in labels]
        found += [axis.get_title("left"), axis.get_title("center")]
        if axis.get_legend():
            found += [text.get_text() for text in axis.get_legend().get_texts()]
    return "\n".join(found)


def test_matrices_show_rates(answers):
    data, probabilities = answers
    counts = second_choices(probabilities, data.labels)
    figure = plots.second_choices(counts)
    rates = [float(text.get_text()[:-1]) for text in figure.axes[0].texts]
    assert np.allclose(np.reshape(rates, (7, 7)).sum(1), 100, atol=4)
    assert plots.second_choices(np.zeros((7, 7), int))  # no image at all: no warning


def test_curves(answers):
    data, probabilities = answers
    curve = calibration_curve(probabilities, data.labels)
    figure = plots.calibration({"as it is": curve, "once more": curve})
    assert len(figure.axes) == 4 and "once more" in texts(figure)
    covered = coverage_curve(probabilities, data.labels)
    threshold = threshold_for(covered, 0.3)
    figure = plots.coverage({"one": covered, "two": covered}, threshold)
    answered = (probabilities.max(1) >= threshold).mean()
    assert f"from {threshold:.0%} on: {answered:.0%} answered" in texts(figure)
    assert plots.coverage({"one": covered})


def test_copies_and_gaps(answers):
    data, probabilities = answers
    scores = score(probabilities, data)
    gap = scores.accuracy - scores.clean.accuracy
    figure = plots.clean_full(
        {"ours": scores, "theirs": None, "all clean": scores.clean}
    )
    assert f"{gap:+.1%}".replace("%", " points") in texts(figure)
    assert "+0.0 points" in texts(figure) and "not run" in texts(figure)
    assert plots.clean_full({"theirs": None})


def test_runs_in_order_of_accuracy():
    runs = records()
    figure = plots.model_comparison({"missing": None} | runs, "test")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    scored = {name: run.scores("test") for name, run in runs.items()}
    best = max((s.accuracy, name) for name, s in scored.items() if s)[1]
    assert len(names) == len(runs) + 1 and names[0].split(" ")[0] == best
    unscored = sum(score is None for score in scored.values())
    assert texts(figure).count("not run") == unscored + 1
    assert "not run" in texts(plots.model_comparison({"missing": None}))


def test_best_of():
    gain = np.arange(100) / 1e4
    assert "5 % waver" in texts(plots.best_of({"5 % waver": gain, "10 %": gain * 2}))


def test_single_answers(answers):
    data, probabilities = answers
    figure = plots.predictions(data.images[:4], probabilities[:4], data.labels[:4])
    assert f"labelled {data.classes[data.labels[0]]}" in texts(figure)
    maps = np.zeros((3, 48, 48), np.float32)
    figure = plots.grad_cam(data.images[:3], maps, ["one"])
    assert "one" in texts(figure) and len(figure.axes) == 6
    assert plots.grad_cam(data.images[:1] / 255, maps[:1])._repr_png_()


def test_seeds_spread_around_their_mean():
    rows = {"three": [0.66, 0.68, 0.67], "one": [0.7], "none": []}
    figure = plots.spread(rows, "Accuracy", {"reference": 0.659})
    said = texts(figure)
    assert "67.0 ± 1.0 % (3 seeds)" in said and "70.0%" in said
    assert "not run" in said and "reference" in said
    with pytest.raises(FerError, match="no rows"):
        plots.spread({}, "Accuracy")


def test_columns_share_a_scale():
    figure = plots.columns({"before": [3, 1], "after": [1, 1]}, "rank")
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim() and len(left.patches) == 2
    with pytest.raises(FerError, match="no panel"):
        plots.columns({})
