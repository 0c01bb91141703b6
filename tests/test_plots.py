"""Figures: every one is drawn, says what is missing, and shows itself as PNG."""

import io
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from fer_utils import plots
from fer_utils.errors import FerError
from fer_utils.training import Recipe, Run
from fer_utils.training.record import Record


def test_curves():
    lines = {"slow": [3.0, 2.5, 2.0], "stopped": [3.0, math.nan]}
    drawn = plots.curves({"Loss": lines, "Norm": {"slow": [1.0, 2.0, 4.0]}}, log="y")
    loss, norm = drawn.axes
    assert [line.get_label() for line in loss.lines] == ["slow", "stopped"]
    assert loss.lines[1].get_xdata()[-1] == 2, "a shorter line ends earlier"
    assert (loss.get_legend() is not None, norm.get_legend()) == (True, None)
    assert drawn._repr_png_().startswith(b"\x89PNG")


def test_curves_over_given_places():
    drawn = plots.curves(
        {"Loss": {"": [2.0, 1.0]}}, "rate", x=[0.1, 1.0], log="x", marks={"here": 0.3}
    )
    (axis,) = drawn.axes
    assert axis.get_xscale() == "log" and axis.get_yscale() == "linear"
    assert [text.get_text() for text in axis.texts] == ["here"]


@pytest.mark.parametrize("panels", [{}, {"Loss": {}}], ids=str)
def test_curves_without_a_line(panels):
    with pytest.raises(FerError, match="at least one line for each title"):
        plots.curves(panels)


def test_curves_with_too_few_places():
    with pytest.raises(FerError, match="1 places on the x axis for 2 values"):
        plots.curves({"Loss": {"": [1.0, 2.0]}}, x=[1.0])


def test_no_history_is_no_crash(recwarn):
    assert plots.histories({})._repr_png_() and not recwarn


def test_ticks_between_whole_per_cents_say_so():
    drawn = plots.loss_info(trained([0.44, 0.5, 0.58, 0.642]))
    drawn.draw_without_rendering()
    axis = drawn.axes[1].yaxis
    labels = [float(label.get_text().rstrip("%")) for label in axis.get_ticklabels()]
    assert labels == pytest.approx([100 * tick for tick in axis.get_ticklocs()])
    assert any(label % 1 for label in labels), "no tick between whole per cents"


def test_a_pixel_of_a_face_is_a_square_of_pixels():
    """Nearest, on whole pixels: what is drawn is what the network sees."""
    faces = np.random.default_rng(0).integers(0, 2, (3, 1, 8, 8)).astype(float)
    drawn = plots.face_grid({"one": faces[:2], "other": faces[2:]}, zoom=3)
    image = Image.open(io.BytesIO(drawn._repr_png_())).convert("L")
    sheet = np.asarray(image)[:, -2 * 10 * 3 :] / 255
    assert sheet.shape == (2 * 10 * 3, 2 * 10 * 3)
    for face, (top, left) in zip(faces, ((0, 0), (0, 30), (30, 0)), strict=True):
        found = sheet[top : top + 24, left : left + 24]
        assert np.allclose(found, face[0].repeat(3, 0).repeat(3, 1), atol=0.02)


def test_titles_of_a_face_grid():
    drawn = plots.face_grid({"a": np.zeros((2, 8, 8))}, titles=("left", "right"))
    (axis,) = drawn.axes
    assert [text.get_text() for text in axis.get_xticklabels()] == ["left", "right"]


@pytest.mark.parametrize("rows", [{}, {"a": []}], ids=str)
def test_a_face_grid_without_faces(rows):
    with pytest.raises(FerError, match="at least one for each row"):
        plots.face_grid(rows)


def test_a_picture_stays_small_beside_controls(monkeypatch):
    """ipywidgets makes IPython show matplotlib's figures in its own, larger way."""
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    shell.display_formatter.formatters["image/png"].for_type(Figure, lambda _: b"large")
    drawn = plots.face_grid({"a": np.zeros((1, 8, 8))})
    assert shell.display_formatter.format(drawn)[0]["image/png"] == b"large"
    plots.style.show_small()
    assert shell.display_formatter.format(drawn)[0]["image/png"] == drawn._repr_png_()


# Transfer (notebook 4) ------------------------------------------------------------


def trained(accuracies: list[float], lrs: list[float] | None = None) -> Run:
    """A run on record with these accuracies; its loss falls as they rise."""
    history = [
        {
            "epoch": i + 1,
            "lr": (lrs or [1e-3] * len(accuracies))[i],
            "train_loss": 2 - value,
            "val_loss": 1.9 - value,
            "val_accuracy": value,
            "seconds": 1.0,
        }
        for i, value in enumerate(accuracies)
    ]
    return Run(
        Path("nowhere"), Record.model_construct(recipe=Recipe("x"), history=history)
    )


def texts(drawn) -> str:
    """All that is written into the panels of a figure."""
    return " · ".join(text.get_text() for axis in drawn.axes for text in axis.texts)


def test_fine_tuning_puts_both_phases_on_one_axis():
    drawn = plots.fine_tuning(trained([0.3, 0.4]), trained([0.5, 0.6, 0.7]))
    loss, accuracy = drawn.axes
    assert accuracy.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert accuracy.lines[0].get_ydata().tolist() == [0.3, 0.4, 0.5, 0.6, 0.7]
    for axis in (loss, accuracy):
        assert axis.lines[-1].get_xdata() == [2.5, 2.5], "the border"
    assert "not run" not in texts(drawn) and drawn._repr_png_()


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ((trained([0.3]), None), "all layers: not run"),
        ((None, trained([0.3])), "head: not run"),
        ((None, None), "head: not run"),
    ],
    ids=["no second", "no first", "neither"],
)
def test_fine_tuning_says_which_phase_is_missing(runs, said, recwarn):
    drawn = plots.fine_tuning(*runs)
    assert said in texts(drawn) and drawn._repr_png_() and not recwarn


def test_ladder(recwarn):
    runs = {"linear": trained([0.3, 0.41, 0.4]), "higher": None}
    drawn = plots.ladder(runs, {"linear": 0.4039, "higher": 0.6149})
    (axis,) = drawn.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [*runs]
    assert texts(drawn) == "40.4% · 61.5% · 41.0% · not run"
    assert plots.ladder({"linear": None}, {})._repr_png_() and not recwarn


def test_plateau(recwarn):
    runs = {"d": trained([0.5, 0.6, 0.55, 0.61], [2e-3, 2e-3, 2e-3, 1e-3]), "e": None}
    drawn = plots.plateau(runs)
    loss, missing, rate, _ = drawn.axes
    marked = [line for line in loss.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in marked] == [[3]], "no better than 2"
    assert rate.get_yscale() == "log" and missing.texts[0].get_text() == "e: not run"
    assert drawn._repr_png_() and not recwarn


def test_resolution(recwarn):
    drawn = plots.resolution({32: 0.3, 64: None, 128: 0.5}, {32: 5.0, 64: 9.0})
    accuracy, speed = drawn.axes
    assert accuracy.lines[0].get_xdata().tolist() == [32, 128]
    assert speed.lines[0].get_ydata().tolist() == [5.0, 9.0]
    assert texts(drawn) == "30.0% · 50.0% · not run: 64"
    nothing = plots.resolution({32: None, 64: None}, {32: 5.0})
    assert texts(nothing) == "32, 64 px: not run"
    assert nothing._repr_png_() and not recwarn


def test_weight_movement():
    moved = {"rate 1": {"stem": 0.5, "head": 2.0}, "rate 0.1": {"stem": 0, "head": 0.2}}
    drawn = plots.weight_movement(moved)
    (axis,) = drawn.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [*moved]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["stem", "head"]
    assert drawn._repr_png_()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.ladder({}, {}), "no rungs"),
        (lambda: plots.plateau({}), "no runs"),
        (lambda: plots.resolution({32: 0.3}, {}), "no times"),
        (lambda: plots.weight_movement({}), "no movement"),
    ],
    ids=["ladder", "plateau", "resolution", "weight_movement"],
)
def test_nothing_to_draw_is_a_clear_error(draw, message):
    with pytest.raises(FerError, match=message):
        draw()
