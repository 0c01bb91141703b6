"""Figures of how trainings went."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from ..errors import FerError
from ..training import Run
from .style import (
    ACCENT,
    INK,
    SECOND,
    SOFT,
    STYLE,
    Picture,
    percent_tick,
    picture,
    whole_numbers,
)


@rc_context(STYLE)
def histories(runs: dict[str, Run], keys: Sequence[str] = ("val_accuracy",)) -> Picture:
    """Draw the learning curves of several runs together, a panel for each key."""
    figure, (axes,) = picture(4.5 * len(keys), 3.4, 1, len(keys))
    for axis, key in zip(axes, keys, strict=True):
        for name, run in runs.items():
            values = [epoch[key] for epoch in run.history]
            places = range(1, len(values) + 1)
            axis.plot(places, values, _line_or_dot(values), label=name)
        axis.set(title=key.replace("_", " "), xlabel="epoch")
        whole_numbers(axis)
    if runs:
        axes[0].legend()
    return figure


@rc_context(STYLE)
def loss_info(run: Run) -> Picture:
    """Draw the loss and accuracy of one run, epoch by epoch, and the kept epoch."""
    figure, ((loss, accuracy),) = picture(9, 3.4, 1, 2)
    epochs = [entry["epoch"] for entry in run.history]
    for key, shade in (("train_loss", SOFT), ("val_loss", ACCENT)):
        values = [entry[key] for entry in run.history]
        loss.plot(epochs, values, _line_or_dot(values), color=shade, label=key[:-5])
    loss.set(title="Loss (training: augmented)", xlabel="epoch")
    loss.legend()
    values = [entry["val_accuracy"] for entry in run.history]
    accuracy.plot(epochs, values, color=ACCENT)
    best = run.best
    accuracy.plot(best["epoch"], best["val_accuracy"], "o", color=SECOND)
    accuracy.annotate(
        f"kept: epoch {best['epoch']}, {best['val_accuracy']:.1%}",
        (0.97, 0.05),  # curves end high: there is room below
        xycoords="axes fraction",
        ha="right",
        color=SECOND,
    )
    accuracy.set(title="Accuracy on validation images", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(percent_tick)
    for axis in (loss, accuracy):
        whole_numbers(axis)
    return figure


def _line_or_dot(values: Sequence[float]) -> str:
    return "-" if len(values) > 1 else "o"  # one epoch makes no line


def _not_run(axis: Axes, name: str) -> None:
    """Write into an empty panel that there is no record to draw."""
    axis.set(xticks=[], yticks=[])
    axis.text(
        0.5, 0.5, f"{name}: not run", color=SOFT, ha="center", transform=axis.transAxes
    )


@rc_context(STYLE)
def weight_movement(moved: dict[str, dict[str, float]]) -> Picture:
    """Draw how far each part's weights moved, as shares of their length, per rate."""
    if not moved:
        raise FerError("no movement to draw: give at least one rate")

    def percent(share: float) -> str:  # two digits, and never 2e+02
        return np.format_float_positional(100 * share, 2, fractional=False, trim="-")

    figure, ((axis,),) = picture(8, 3.4)
    shades = np.linspace(1, 0.3, len(moved))
    high = 0.8 / len(moved)
    for i, (name, shares) in enumerate(moved.items()):
        place = np.arange(len(shares)) + (i - (len(moved) - 1) / 2) * high
        drawn = axis.barh(
            place, [*shares.values()], high * 0.92, color=ACCENT, alpha=shades[i],
            label=name,
        )  # fmt: skip
        texts = [f"{percent(value)} %" for value in shares.values()]
        axis.bar_label(drawn, texts, padding=3, fontsize=8)
        axis.set_yticks(range(len(shares)), shares)
    axis.set(title="Movement of the weights, as a share of their length", xscale="log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{percent(value)} %")
    axis.margins(x=0.12)
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axis.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def fine_tuning(head: Run | None, fine: Run | None) -> Picture:
    """Draw both phases of a transfer on one axis, the head's first; None: not run."""
    figure, ((loss, accuracy),) = picture(9.5, 3.6, 1, 2)
    first = [] if head is None else head.history
    second = [] if fine is None else fine.history
    lines = {
        loss: (("train_loss", "training", SOFT), ("val_loss", "validation", ACCENT)),
        accuracy: (("val_accuracy", "validation", ACCENT),),
    }
    for axis, keys in lines.items():
        for key, label, shade in keys:
            values = [entry[key] for entry in [*first, *second]]
            axis.plot(range(1, len(values) + 1), values, ".-", color=shade, label=label)
        border = len(first) + 0.5
        axis.axvline(border, color=SECOND, linestyle="--", linewidth=1)
        for name, history, side in (("head", first, -1), ("all layers", second, 1)):
            text = name if history else f"{name}: not run"
            axis.annotate(
                text, (border, 1.01), xycoords=("data", "axes fraction"),
                xytext=(5 * side, 0), textcoords="offset points", fontsize=9,
                color=SECOND, ha="right" if side < 0 else "left",
            )  # fmt: skip
        axis.set(xlabel="epoch, both phases")
        axis.set_xlim(0, border + max(len(second), 1) + 0.5)
        whole_numbers(axis)
    loss.set_title("Loss", pad=20)
    loss.legend()
    accuracy.set_title("Accuracy on validation images", pad=20)
    accuracy.yaxis.set_major_formatter(percent_tick)
    return figure


@rc_context(STYLE)
def ladder(runs: dict[str, Run | None], reference: dict[str, float]) -> Picture:
    """Draw the validation accuracy of each rung, the reference's (0..1) beside ours."""
    if not runs:
        raise FerError("no rungs to draw: name at least one, None if it is not run")
    figure, ((axis,),) = picture(8, 0.62 * len(runs) + 1)
    ours = [
        np.nan if run is None else run.best["val_accuracy"] for run in runs.values()
    ]
    theirs = [reference.get(name, np.nan) for name in runs]
    place = np.arange(len(runs))
    for values, shift, shade, label in (
        (theirs, -0.2, SOFT, "reference"), (ours, 0.2, ACCENT, "ours")
    ):  # fmt: skip
        drawn = axis.barh(
            place + shift, np.nan_to_num(values), 0.38, color=shade, label=label
        )
        texts = ["not run" if np.isnan(v) else f"{v:.1%}" for v in values]
        axis.bar_label(drawn, texts, padding=3, fontsize=9)
    axis.set_yticks(place, runs)
    axis.set_title("Accuracy on validation images")
    axis.xaxis.set_major_formatter(percent_tick)
    axis.set_xlim(0, np.nanmax([*ours, *theirs, 0.1]) * 1.12)
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axis.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def plateau(runs: dict[str, Run | None]) -> Picture:
    """Draw validation loss over learning rate, a column for each run; None: not run."""
    if not runs:
        raise FerError("no runs to draw: name at least one, None if it is not run")
    figure, axes = picture(3.2 * len(runs) + 0.6, 4, 2, len(runs))
    for (name, run), (loss, rate) in zip(runs.items(), axes.T, strict=True):
        loss.set_title(name)
        if run is None:
            _not_run(loss, name)
            _not_run(rate, name)
            continue
        epochs = [entry["epoch"] for entry in run.history]
        losses = [entry["val_loss"] for entry in run.history]
        loss.plot(epochs, losses, ".-", color=ACCENT)
        for i in range(1, len(losses)):
            if losses[i] > min(losses[:i]) * (1 - 1e-4):  # what the schedule counts
                loss.plot(epochs[i], losses[i], "o", color=SECOND)
        rates = [entry["lr"] for entry in run.history]
        rate.step(epochs, rates, where="mid", color=ACCENT)
        rate.set(xlabel="epoch", yscale="log")
        for axis in (loss, rate):
            whole_numbers(axis)
        rate.set_ylim(min(rates) / 1.5, max(rates) * 1.5)
    axes[0, 0].set_ylabel("validation loss")
    axes[1, 0].set_ylabel("learning rate")
    return figure


@rc_context(STYLE)
def resolution(
    accuracies: dict[int, float | None],
    milliseconds: dict[int, float],
    title: str = "Milliseconds a face",
) -> Picture:
    """Draw accuracy (0..1, None: not run) and ms per face against pixels a side."""
    if not milliseconds:
        raise FerError("no times to draw: measure at least one size")
    figure, ((left, right),) = picture(9, 3.4, 1, 2)
    known = {size: value for size, value in accuracies.items() if value is not None}
    left.plot([*known], [*known.values()], "o-", color=ACCENT)
    for size, value in known.items():
        left.annotate(
            f"{value:.1%}", (size, value), xytext=(0, 7), textcoords="offset points",
            ha="center", fontsize=9,
        )  # fmt: skip
    left.set(title="Accuracy on validation images", xlabel="pixels a side")
    left.yaxis.set_major_formatter(percent_tick)
    missing = [str(size) for size in accuracies if size not in known]
    if not known:
        _not_run(left, ", ".join(missing) + " px")
    elif missing:
        text = f"not run: {', '.join(missing)}"
        left.text(0.97, 0.04, text, color=SOFT, ha="right", transform=left.transAxes)
    right.plot([*milliseconds], [*milliseconds.values()], "o-", color=SECOND)
    right.set(title=title, xlabel="pixels a side")
    right.set_ylim(0, max(milliseconds.values()) * 1.15)
    for axis in (left, right) if known else (right,):
        axis.set_xscale("log", base=2)  # keeps the small sizes apart
        ticks = sorted({*accuracies, *milliseconds})
        axis.set_xticks(ticks, ticks)
        axis.minorticks_off()
        axis.margins(x=0.08, y=0.15)
    return figure


@rc_context(STYLE)
def curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    xlabel: str = "step",
    x: Sequence[float] | None = None,
    log: str = "",
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Draw named lines, a panel for each title, over 1, 2, 3, … or over `x`.

    `log`: the axes with a logarithmic scale, `x`, `y` or `xy`. `marks`: places on the
    x axis that get a name and a dotted line. `FerError` without a line to draw.
    """
    if not panels or not all(panels.values()):
        raise FerError("nothing to draw: give at least one line for each title")
    longest = max(len(line) for lines in panels.values() for line in lines.values())
    if x is not None and len(x) < longest:
        raise FerError(f"{len(x)} places on the x axis for {longest} values: add some")
    places = range(1, longest + 1) if x is None else x
    figure, (axes,) = picture(max(4.5 * len(panels), 6.5), 3.4, 1, len(panels))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        # Dashes as well as colours, so that the figure can be read in grey too.
        looks = zip(cycle((ACCENT, SECOND, "#009E73", INK)), cycle(("-", "--", ":")))
        for (name, values), (shade, dash) in zip(lines.items(), looks, strict=False):
            axis.plot(places[: len(values)], values, dash, color=shade, label=name)
        axis.set(title=title, xlabel=xlabel)
        axis.set_xscale("log" if "x" in log else "linear")
        axis.set_yscale("log" if "y" in log else "linear")
        for name, place in (marks or {}).items():
            axis.axvline(place, color=SOFT, linestyle=":")
            axis.annotate(
                name, (place, 1), xycoords=("data", "axes fraction"), xytext=(3, -10),
                textcoords="offset points", fontsize=9, color=INK,
            )  # fmt: skip
    if max(map(len, panels.values())) > 1:
        axes[0].legend()
    return figure
