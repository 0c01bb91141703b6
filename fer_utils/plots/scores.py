"""Figures of what a recogniser gets right and wrong."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..evaluation import Scores
from ..labels import COLOURS, EMOTIONS
from .style import ACCENT, INK, STYLE, Picture, picture


@rc_context(STYLE)
def confusion_matrix(scores: Scores, classes: Sequence[str] = EMOTIONS) -> Picture:
    """Counts and rates side by side: a row is what it is, a column what was said."""
    counts = np.array(scores.confusion)
    # Divided by the row sums: of all images of a class, which share was called what.
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, ((left, right),) = picture(10.5, 4.8, 1, 2)
    texts = ([f"{c:,}" for c in counts.flat], [f"{r:.0%}" for r in rates.flat])
    titles = ("Counts", "Rates: each row sums to 100 %")
    for axis, labels, title in zip((left, right), texts, titles, strict=True):
        matrix(axis, rates, labels, classes)
        axis.set_title(title)
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
    """Horizontal bars of shares 0..1, largest on top; expressions in their colours."""
    figure, ((axis,),) = picture(7, 0.36 * len(shares) + 0.9)
    names = sorted(shares, key=shares.get)
    values = [shares[name] for name in names]
    colours = [COLOURS.get(name, ACCENT) for name in names]
    drawn = axis.barh(names, values, color=colours)
    axis.bar_label(drawn, [f"{value:.1%}" for value in values], padding=3)
    axis.set(title=title, xlim=(0, max(values) * 1.12))
    axis.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axis.grid(axis="y", visible=False)
    return figure
