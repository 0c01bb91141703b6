"""Figures of how trainings went."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.ticker import PercentFormatter

from ..run import Run
from .style import ACCENT, SOFT, STYLE, Picture, picture


@rc_context(STYLE)
def histories(runs: dict[str, Run], keys: Sequence[str] = ("val_accuracy",)) -> Picture:
    """Learning curves of several runs on shared axes, one panel a key."""
    figure, (axes,) = picture(4.5 * len(keys), 3.4, 1, len(keys))
    for axis, key in zip(axes, keys, strict=True):
        for name, run in runs.items():
            values = [epoch[key] for epoch in run.history]
            axis.plot(range(1, len(values) + 1), values, label=name)
        axis.set(title=key.replace("_", " "), xlabel="epoch")
    axes[0].legend()
    return figure


@rc_context(STYLE)
def loss_info(run: Run) -> Picture:
    """Loss and accuracy of one run, epoch by epoch, and the epoch that was kept."""
    figure, ((loss, accuracy),) = picture(9, 3.4, 1, 2)
    epochs = [entry["epoch"] for entry in run.history]
    for key, shade in (("train_loss", SOFT), ("val_loss", ACCENT)):
        loss.plot(epochs, [e[key] for e in run.history], color=shade, label=key[:-5])
    loss.set(title="Loss (training: augmented)", xlabel="epoch")
    loss.legend()
    values = [entry["val_accuracy"] for entry in run.history]
    accuracy.plot(epochs, values, color=ACCENT)
    best = run.best
    accuracy.plot(best["epoch"], best["val_accuracy"], "o", color="#D55E00")
    accuracy.annotate(
        f"kept: epoch {best['epoch']}, {best['val_accuracy']:.1%}",
        (best["epoch"], best["val_accuracy"]),
        xytext=(0, -48),
        textcoords="offset points",
        ha="right",
    )
    accuracy.set(title="Accuracy on validation images", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, 0))
    return figure
