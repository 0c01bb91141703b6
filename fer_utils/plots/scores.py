"""Figures of what a recogniser gets right and wrong."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..errors import FerError
from ..evaluation import Scores, interval
from ..evaluation.calibration import Calibration, Coverage
from ..labels import COLOURS, EMOTIONS
from ..training import Run
from .style import ACCENT, INK, SECOND, SOFT, STYLE, Picture, percent_tick, picture

MARKS = {"official": "o", "course": "s", "csv": "^"}  # of the protocols


@rc_context(STYLE)
def confusion_matrix(scores: Scores, classes: Sequence[str] = EMOTIONS) -> Picture:
    """Draw counts and rates side by side: rows are labels, columns are answers."""
    counts = np.array(scores.confusion)
    # Divided by the row sums: which share of a class got which answer.
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, ((left, right),) = picture(10.5, 4.8, 1, 2)
    texts = ([f"{c:,}" for c in counts.flat], [f"{r:.0%}" for r in rates.flat])
    titles = ("Counts", "Rates: each row sums to 100 %")
    for axis, labels, title in zip((left, right), texts, titles, strict=True):
        matrix(axis, rates, labels, classes)
        axis.set_title(title)
    return figure


@rc_context(STYLE)
def second_choices(
    counts: np.ndarray, classes: Sequence[str] = EMOTIONS, title: str = "Second choices"
) -> Picture:
    """Draw rates of second guesses: rows are labels, the diagonal is right."""
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, ((axis,),) = picture(5.4, 4.8)
    matrix(axis, rates, [f"{rate:.0%}" for rate in rates.flat], classes)
    axis.set(title=title, xlabel="second guess")
    return figure


def matrix(axis: Axes, shades: np.ndarray, texts: Sequence[str], names) -> None:
    """Draw a labelled square matrix, shaded 0..1."""
    axis.imshow(shades, cmap="Blues", vmin=0, vmax=1)
    axis.grid(visible=False)
    axis.set(xlabel="recognised as", ylabel="labelled")
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axis.set_yticks(range(len(names)), names)
    for place, text in enumerate(texts):
        row, column = divmod(place, len(names))
        dark = shades[row, column] > 0.5
        axis.text(
            column, row, text, ha="center", va="center", fontsize=9,
            color="white" if dark else INK,
        )  # fmt: skip


@rc_context(STYLE)
def bars(shares: dict[str, float], title: str) -> Picture:
    """Draw bars of shares 0..1, the largest on top; expressions in their colours."""
    figure, ((axis,),) = picture(7, 0.36 * len(shares) + 0.9)
    names = sorted(shares, key=shares.get)
    values = [shares[name] for name in names]
    colours = [COLOURS.get(name, ACCENT) for name in names]
    drawn = axis.barh(names, values, color=colours)
    axis.bar_label(drawn, [f"{value:.1%}" for value in values], padding=3)
    axis.set(title=title, xlim=(0, max(values) * 1.12))
    axis.xaxis.set_major_formatter(percent_tick)
    axis.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def calibration(curves: dict[str, Calibration]) -> Picture:
    """Draw how often answers of each confidence are right, and how many there are."""
    size = (3 * len(curves) + 0.7, 4.3)
    figure, axes = picture(
        *size, 2, len(curves), height_ratios=[3, 1], sharex=True, sharey="row"
    )
    figure.get_layout_engine().set(wspace=0.06)  # else 100 % runs into the next 0 %
    for (name, curve), (above, below) in zip(curves.items(), axes.T, strict=True):
        pairs = zip(curve.accuracy, curve.count, strict=True)
        bounds = np.array([interval(share, int(count)) for share, count in pairs])
        reach = np.abs(bounds.T - curve.accuracy)
        above.plot([0, 1], [0, 1], ":", color=INK, label="as sure as right")
        above.errorbar(
            curve.confidence, curve.accuracy, reach, fmt="o-", color=ACCENT,
            markersize=4, elinewidth=1, label="measured, 95 % interval",
        )  # fmt: skip
        above.set(title=name, xlim=(0, 1.02), ylim=(0, 1.02))
        below.bar(curve.confidence, curve.count, 0.04, color=SOFT)
        below.set(xlabel="confidence")
        below.xaxis.set_major_formatter(percent_tick)
    axes[0, 0].set_ylabel("right")
    axes[1, 0].set_ylabel("answers")
    axes[0, 0].yaxis.set_major_formatter(percent_tick)
    axes[0, 0].legend(fontsize=8, loc="upper left")
    return figure


@rc_context(STYLE)
def coverage(curves: dict[str, Coverage], threshold: float | None = None) -> Picture:
    """Draw accuracy against the share of faces answered; `threshold` marks a choice."""
    figure, ((axis,),) = picture(6.4, 3.6)
    shades = cycle((ACCENT, SECOND, SOFT))
    for (name, curve), shade in zip(curves.items(), shades, strict=False):
        drawn = curve.coverage >= 0.02  # the accuracy of few answers is mere chance
        axis.plot(curve.coverage[drawn], curve.accuracy[drawn], color=shade, label=name)
        if threshold is None:
            continue
        place = np.searchsorted(-curve.threshold, -threshold, side="right") - 1
        share, right = curve.coverage[max(place, 0)], curve.accuracy[max(place, 0)]
        axis.plot(share, right, "o", color=shade)
        axis.annotate(
            f"from {threshold:.0%} on: {share:.0%} answered, {right:.0%} right",
            (share, right), xytext=(-6, -14), textcoords="offset points", ha="right",
            fontsize=9, color=shade,
        )  # fmt: skip
    axis.set(title="Answer only when sure", xlim=(0, 1.02))
    axis.set(xlabel="share of faces answered", ylabel="right, of these")
    axis.xaxis.set_major_formatter(percent_tick)
    axis.yaxis.set_major_formatter(percent_tick)
    if len(curves) > 1:
        axis.legend()
    return figure


@rc_context(STYLE)
def clean_full(scores: dict[str, Scores | None]) -> Picture:
    """Draw accuracy on all images and without copies, row by row; None: not run."""
    figure, ((axis,),) = picture(7.5, 0.34 * len(scores) + 1.2)
    for shade, name in ((SOFT, "all images"), (ACCENT, "without copies")):
        axis.plot([], [], "o", color=shade, label=name)
    for row, one in enumerate(scores.values()):
        if one is None:
            _not_run(axis, row)
            continue
        clean = (one.clean or one).accuracy
        axis.plot([clean, one.accuracy], [row, row], color=SOFT, zorder=1)
        axis.plot(one.accuracy, row, "o", color=SOFT)
        axis.plot(clean, row, "o", color=ACCENT)
        text = f"{one.accuracy - clean:+.1%}".replace("%", " points")
        axis.annotate(
            text, (max(one.accuracy, clean), row), xytext=(8, 0), va="center",
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    _named_rows(axis, [*scores], "Accuracy: what copies of training images buy")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@rc_context(STYLE)
def model_comparison(runs: dict[str, Run | None], part: str = "val") -> Picture:
    """Draw each run's accuracy on `part`, best on top, 95 % interval, training time.

    Small grey dots leave out copies of training images. Protocols differ in what they
    train and score on, so each has its own mark. Runs without a score of that part, and
    None, come last, as not run.
    """
    found = {name: run and run.scores(part) for name, run in runs.items()}
    key = {name: one.accuracy if one else -1 for name, one in found.items()}
    order = sorted(found, key=lambda name: -key[name])
    figure, ((left, right),) = picture(
        9.5, 0.34 * len(order) + 1.2, 1, 2, width_ratios=[3, 2], sharey=True
    )
    names = []
    for row, name in enumerate(order):
        run, one = runs[name], found[name]
        names.append(name)
        if not run or not one:
            _not_run(left, row)
            continue
        if len(one.per_class) != len(EMOTIONS):
            names[-1] = f"{name} ({len(one.per_class)} classes)"
        bounds = interval(one.accuracy, one.count)
        left.plot(bounds, [row, row], color=ACCENT, linewidth=2)
        left.plot(one.accuracy, row, MARKS[run.recipe.protocol], color=ACCENT)
        left.plot((one.clean or one).accuracy, row, ".", color=SOFT)
        seconds = run.record.seconds
        right.barh(row, seconds, color=SOFT)
        text = f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
        right.annotate(
            text, (seconds, row), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    used = {run.recipe.protocol for name, run in runs.items() if found[name]}
    for protocol in sorted(used):
        left.plot([], [], MARKS[protocol], color=ACCENT, label=f"{protocol} protocol")
    _named_rows(left, names, "Accuracy, 95 % interval; grey: without copies")
    if used:
        left.legend(loc="lower right", fontsize=8)
    right.set(title="Training time, log scale", xscale="log")
    right.margins(x=0.2)
    right.grid(axis="y", visible=False)
    return figure


def _not_run(axis: Axes, row: int) -> None:
    """Write into an empty row that there is no record to draw."""
    place = axis.get_yaxis_transform()  # x as a share of the width, y in rows
    axis.text(0.02, row, "not run", color=SOFT, va="center", transform=place)


def _named_rows(axis: Axes, names: Sequence[str], title: str) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_title(title)
    axis.margins(x=0.12)
    axis.xaxis.set_major_formatter(percent_tick)


@rc_context(STYLE)
def best_of(gains: dict[str, np.ndarray]) -> Picture:
    """Draw how much choosing the best of 1, 2, … equal epochs adds to a score, 0..1."""
    figure, ((axis,),) = picture(6.4, 3.4)
    for (name, gain), alpha in zip(
        gains.items(), np.linspace(1, 0.3, len(gains)), strict=True
    ):
        axis.plot(range(1, len(gain) + 1), gain * 100, color=ACCENT, alpha=alpha)
        axis.annotate(
            name, (len(gain), gain[-1] * 100), xytext=(4, 0), va="center",
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
    axis.set(title="Best of n epochs, all equally good", xlabel="n")
    axis.set_ylabel("points too many")
    return figure


@rc_context(STYLE)
def spread(
    values: dict[str, Sequence[float]],
    title: str,
    lines: dict[str, float] | None = None,
) -> Picture:
    """Draw a row for each recipe: a dot for each seed, mean ± standard deviation.

    `values` and `lines`, named upright lines, are shares 0..1. A row without values is
    marked as not run; a single value has no deviation to show.
    """
    if not values:
        raise FerError("no rows to draw: name at least one, [] if it is not run")
    figure, ((axis,),) = picture(8, 0.34 * len(values) + 1.2)
    for row, found in enumerate(map(np.asarray, values.values())):
        if not len(found):
            _not_run(axis, row)
            continue
        mean, text = found.mean(), f"{found.mean():.1%}"
        if len(found) > 1:
            std = found.std(ddof=1)
            axis.plot([mean - std, mean + std], [row, row], color=ACCENT, linewidth=2)
            axis.plot(found, [row] * len(found), ".", color=INK, markersize=4, zorder=3)
            text = f"{100 * mean:.1f} ± {100 * std:.1f} % ({len(found)} seeds)"
        axis.plot(mean, row, "o", color=ACCENT, markersize=7)
        axis.annotate(
            text, (1.01, row), xycoords=("axes fraction", "data"), va="center",
            fontsize=9,
        )  # fmt: skip
    for name, place in (lines or {}).items():
        axis.axvline(place, color=SECOND, linestyle="--", linewidth=1)
        left = place > np.mean(axis.get_xlim())  # the name goes where there is room
        axis.annotate(
            name, (place, 0), xycoords=("data", "axes fraction"),
            xytext=(-4 if left else 4, 4), textcoords="offset points",
            ha="right" if left else "left", color=SECOND, fontsize=9,
        )  # fmt: skip
    _named_rows(axis, [*values], title)
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.xaxis.set_major_formatter(percent_tick)
    if not any(map(len, values.values())):
        axis.set_xticks([])
    return figure


@rc_context(STYLE)
def columns(panels: dict[str, Sequence[float]], xlabel: str = "") -> Picture:
    """Draw upright bars at 1, 2, 3, …, a panel for each title, all on one scale."""
    if not panels:
        raise FerError("no panel to draw: give at least one title and its values")
    figure, (axes,) = picture(3.4 * len(panels), 2.8, 1, len(panels), sharey=True)
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        axis.bar(range(1, len(values) + 1), values, color=ACCENT)
        axis.set(title=title, xlabel=xlabel)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="x", visible=False)
    return figure
