"""Figures of how trainings went."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..config import FerError
from ..run import Run
from .style import ACCENT, INK, SOFT, STYLE, Picture, percent, picture


@rc_context(STYLE)
def histories(runs: dict[str, Run], keys: Sequence[str] = ("val_accuracy",)) -> Picture:
    """Learning curves of several runs on shared axes, one panel a key."""
    figure, (axes,) = picture(4.5 * len(keys), 3.4, 1, len(keys))
    for axis, key in zip(axes, keys, strict=True):
        for name, run in runs.items():
            values = [epoch[key] for epoch in run.history]
            look = "-" if len(values) > 1 else "o"  # one epoch makes no line
            axis.plot(range(1, len(values) + 1), values, look, label=name)
        axis.set(title=key.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if runs:
        axes[0].legend()
    return figure


@rc_context(STYLE)
def loss_info(run: Run) -> Picture:
    """Loss and accuracy of one run, epoch by epoch, and the epoch that was kept."""
    figure, ((loss, accuracy),) = picture(9, 3.4, 1, 2)
    epochs = [entry["epoch"] for entry in run.history]
    look = "-" if len(epochs) > 1 else "o"  # one epoch makes no line
    for key, shade in (("train_loss", SOFT), ("val_loss", ACCENT)):
        values = [entry[key] for entry in run.history]
        loss.plot(epochs, values, look, color=shade, label=key[:-5])
    loss.set(title="Loss (training: augmented)", xlabel="epoch")
    loss.legend()
    values = [entry["val_accuracy"] for entry in run.history]
    accuracy.plot(epochs, values, color=ACCENT)
    best = run.best
    accuracy.plot(best["epoch"], best["val_accuracy"], "o", color="#D55E00")
    accuracy.annotate(
        f"kept: epoch {best['epoch']}, {best['val_accuracy']:.1%}",
        (0.97, 0.05),  # curves end high: there is room below
        xycoords="axes fraction",
        ha="right",
        color="#D55E00",
    )
    accuracy.set(title="Accuracy on validation images", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(percent)
    for axis in (loss, accuracy):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _not_run(axis: Axes, name: str) -> None:
    """Say in an empty panel that there is no record to draw."""
    axis.set(xticks=[], yticks=[])
    axis.text(
        0.5, 0.5, f"{name}: not run", color=SOFT, ha="center", transform=axis.transAxes
    )


@rc_context(STYLE)
def weight_movement(moved: dict[str, dict[str, float]]) -> Picture:
    """Bars: how far each part's weights went, in shares of their length, per rate."""
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
    """Both phases of a transfer on one axis, head first; None: not run."""
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
        axis.axvline(border, color="#D55E00", linestyle="--", linewidth=1)
        for name, history, side in (("head", first, -1), ("all layers", second, 1)):
            text = name if history else f"{name}: not run"
            axis.annotate(
                text, (border, 1.01), xycoords=("data", "axes fraction"),
                xytext=(5 * side, 0), textcoords="offset points", fontsize=9,
                color="#D55E00", ha="right" if side < 0 else "left",
            )  # fmt: skip
        axis.set(xlabel="epoch, both phases")
        axis.set_xlim(0, border + max(len(second), 1) + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    loss.set_title("Loss", pad=20)
    loss.legend()
    accuracy.set_title("Accuracy on validation images", pad=20)
    accuracy.yaxis.set_major_formatter(percent)
    return figure


@rc_context(STYLE)
def ladder(runs: dict[str, Run | None], reference: dict[str, float]) -> Picture:
    """Bars: validation accuracy of each rung, the reference's (0..1) beside ours."""
    if not runs:
        raise FerError("no rungs to draw: name at least one run, None if not run")
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
    axis.xaxis.set_major_formatter(percent)
    axis.set_xlim(0, np.nanmax([*ours, *theirs, 0.1]) * 1.12)
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axis.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def plateau(runs: dict[str, Run | None]) -> Picture:
    """Validation loss above, learning rate below, a column a run; None: not run."""
    if not runs:
        raise FerError("no runs to draw: name at least one, None if not run")
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
                loss.plot(epochs[i], losses[i], "o", color="#D55E00")
        rates = [entry["lr"] for entry in run.history]
        rate.step(epochs, rates, where="mid", color=ACCENT)
        rate.set(xlabel="epoch", yscale="log")
        for axis in (loss, rate):
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        rate.set_ylim(min(rates) / 1.5, max(rates) * 1.5)
    axes[0, 0].set_ylabel("validation loss")
    axes[1, 0].set_ylabel("learning rate")
    return figure


@rc_context(STYLE)
def resolution(
    accuracies: dict[int, float | None], milliseconds: dict[int, float]
) -> Picture:
    """Accuracy (0..1, None: not run) and ms a face, both against pixels a side."""
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
    left.yaxis.set_major_formatter(percent)
    missing = [str(size) for size in accuracies if size not in known]
    if not known:
        _not_run(left, ", ".join(missing) + " px")
    elif missing:
        text = f"not run: {', '.join(missing)}"
        left.text(0.97, 0.04, text, color=SOFT, ha="right", transform=left.transAxes)
    right.plot([*milliseconds], [*milliseconds.values()], "o-", color="#D55E00")
    right.set(title="Milliseconds a face", xlabel="pixels a side")
    right.set_ylim(0, max(milliseconds.values()) * 1.15)
    for axis in (left, right) if known else (right,):
        axis.set_xscale("log", base=2)  # sizes are ratios, and small ones keep apart
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
    """Named lines, a panel for each title, over their places from 1 on or over `x`.

    `log`: the axes with a logarithmic scale, `x`, `y` or `xy`. `marks`: places on the
    x axis that get a name and a dotted line. `FerError` without a line to draw.
    """
    if not panels or not all(panels.values()):
        raise FerError("curves: want a title, and for each title at least one line")
    longest = max(len(line) for lines in panels.values() for line in lines.values())
    if x is not None and len(x) < longest:
        raise FerError(f"curves: {len(x)} places on the x axis for {longest} values")
    places = range(1, longest + 1) if x is None else x
    figure, (axes,) = picture(max(4.5 * len(panels), 6.5), 3.4, 1, len(panels))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        # Dashes as well as colours: the figure is to be read in grey too.
        looks = zip(cycle((ACCENT, "#D55E00", "#009E73", INK)), cycle(("-", "--", ":")))
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
