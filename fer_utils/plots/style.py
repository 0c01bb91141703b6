"""One look for every figure, and a figure that shows itself small in a notebook."""

import io

import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from PIL import Image

from ..labels import COLOURS

INK, SOFT, ACCENT = "#222222", "#8A8A8A", "#0072B2"
# Okabe-Ito again, for lines that stand for no expression.
LINES = (ACCENT, "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
STYLE = {
    "axes.prop_cycle": cycler(color=LINES),
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "image.cmap": "gray",
}


class Picture(Figure):
    """A matplotlib figure that a notebook shows as PNG, the same bytes every time."""

    def _repr_png_(self) -> bytes:
        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=80)
        # Fewer shades keep a notebook full of faces under 300 KB.
        image = Image.open(drawn).convert("RGB")
        if np.ptp(np.asarray(image), axis=2).max() == 0:
            image = image.convert("L").point(
                lambda grey: round(grey / 4.05) * 255 // 63
            )
        else:
            # MAXCOVERAGE keeps the colours of small marks true.
            image = image.quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=1)
        image.save(small, "PNG", optimize=True)
        return small.getvalue()


def picture(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs):
    """Return a Picture of `width`×`height` inches and its axes [rows, columns]."""
    figure = Picture(figsize=(width, height), facecolor="white", layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def colour(name: str) -> str:
    """The colour of a class; a merged one takes its first expression's."""
    return COLOURS[name.split("+")[0]]


def percent(share: float, _position: int | None = None) -> str:
    """A tick's label, with as many digits as it takes: 62.5% is not 62%."""
    return f"{100 * share:.4g}%"
