"""One style for every figure, and a figure that shows itself small in a notebook."""

import io
import sys

import numpy as np
from matplotlib import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from ..labels import COLOURS

INK, SOFT, ACCENT, SECOND = "#222222", "#8A8A8A", "#0072B2", "#D55E00"
# The same palette as that of the expressions, for lines of other meaning.
LINES = (ACCENT, SECOND, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
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

    # How many shades a notebook shows, so that one full of faces stays under 300 KB.
    greys = 20  # of a picture without colours
    colours = 64  # of any other

    def _repr_png_(self) -> bytes:
        return self.png(dpi=80, colours=self.colours, greys=self.greys)

    def png(self, dpi: int, colours: int = 256, greys: int = 64) -> bytes:
        """Return a small PNG file, without date or version: same figure, same bytes."""
        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None})
        image = few_colours(Image.open(drawn).convert("RGB"), colours, greys)
        image.save(small, "PNG", optimize=True, dpi=(dpi, dpi))
        return small.getvalue()


def show_small() -> None:
    """Let a notebook show a Picture as its own PNG, whatever it does with figures.

    As soon as a notebook has controls, ipywidgets brings matplotlib's own way to show
    a figure in, and that would win over `_repr_png_`: larger, and twice the bytes.
    """
    ipython = sys.modules.get("IPython")
    if shell := ipython and ipython.get_ipython():
        png = shell.display_formatter.formatters["image/png"]
        png.for_type(Picture, Picture._repr_png_)


show_small()


def few_colours(image: Image.Image, colours: int = 256, greys: int = 64) -> Image.Image:
    """Return an RGB image with so few colours, or greys if it has no others.

    White and the colours of the expressions stay as they are, even in small marks.
    """
    if np.ptp(np.asarray(image), axis=2).max() == 0:
        steps = greys - 1
        level = [round(grey * steps / 255.15) * 255 // steps for grey in range(256)]
        return image.convert("L").point(level)
    kept = ("#FFFFFF", *COLOURS.values())
    own = [int(colour[i : i + 2], 16) for colour in kept for i in (1, 3, 5)]
    found = np.reshape(image.quantize(colours - len(kept)).getpalette(), (-1, 1, 3))
    # What is nearly a kept colour would take its place.
    far = np.abs(found - np.reshape(own, (-1, 3))).max(2).min(1) > 12
    palette = Image.new("P", (1, 1))
    palette.putpalette(found[far].ravel().tolist() + own)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def picture(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs):
    """Return a Picture of `width`×`height` inches and its axes [rows, columns]."""
    figure = Picture(figsize=(width, height), facecolor="white", layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def whole_numbers(axis: Axes) -> None:
    """Give the x axis no ticks between whole numbers, such as epochs."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def percent_tick(share: float, _position: int | None = None) -> str:
    """Return a tick's label with as many digits as it needs: 62.5%, not 62%."""
    return f"{100 * share:.4g}%"
