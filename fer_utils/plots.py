"""Every figure of the notebooks and the report, in one style.

Functions return a `Picture`, which shows itself at the end of a notebook cell and is
saved with `savefig`. They draw on no global state, so nothing is ever shown twice.
"""

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from PIL import Image

from .data import FER2013
from .evaluation import Scores
from .faces import Found, crop_faces
from .labels import COLOURS, EMOTIONS
from .readers import USAGES
from .run import Run

INK, SOFT, ACCENT = "#222222", "#8A8A8A", "#0072B2"
STYLE = {
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
            image = image.quantize(128)
        image.save(small, "PNG", optimize=True)
        return small.getvalue()


def picture(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs):
    """Return a Picture of `width`×`height` inches and its axes [rows, columns]."""
    figure = Picture(figsize=(width, height), facecolor="white", layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def colour(name: str) -> str:
    """The colour of a class; a merged one takes its first expression's."""
    return COLOURS[name.split("+")[0]]


@rc_context(STYLE)
def class_counts(data: FER2013) -> Picture:
    """Bars: images of each class in each split, and every class's share."""
    figure, ((bars, shares),) = picture(9, 3.6, 1, 2, width_ratios=[3, 2])
    present = [usage for usage in USAGES if usage in data.usage]
    counts = np.array([data.select(data.usage == u).counts() for u in present])
    place = np.arange(len(data.classes))
    for i, (usage, alpha) in enumerate(zip(present, (1, 0.65, 0.4), strict=False)):
        colours = [colour(name) for name in data.classes]
        x = place + (i - (len(present) - 1) / 2) * 0.27
        drawn = bars.bar(x, counts[i], 0.26, color=colours, alpha=alpha, label=usage)
        if i == 0:
            labels = [f"{count:,}" for count in counts[0]]
            bars.bar_label(drawn, labels, fontsize=8, padding=2)
    bars.set(title="Images of each class, by split", xticks=place)
    bars.set_xticklabels(data.classes, rotation=30, ha="right")
    legend = bars.legend()
    for handle in legend.legend_handles:
        handle.set_facecolor(INK)
    bars.grid(axis="x", visible=False)

    portion = counts.sum(0) / counts.sum()
    order = portion.argsort()
    names = [data.classes[i] for i in order]
    drawn = shares.barh(names, portion[order], color=[colour(n) for n in names])
    shares.bar_label(drawn, [f"{p:.1%}" for p in portion[order]], padding=3)
    equal = shares.axvline(1 / len(names), color=INK, linestyle=":", linewidth=1)
    shares.legend([equal], ["equal shares"], loc="lower right")
    shares.set(title="Share of all images")
    shares.set_xlim(0, portion.max() * 1.2)
    shares.xaxis.set_major_formatter(PercentFormatter(1, 0))
    shares.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def faces(
    images: np.ndarray, titles: Sequence[str] = (), columns: int = 8, size: float = 1.1
) -> Picture:
    """A grid of grey images [N,H,W], `size` inches each, a title above each."""
    rows = -(-len(images) // columns)
    high = size * (1.25 if len(titles) else 1.02)
    figure, axes = picture(size * columns, high * rows, rows, columns)
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i < len(images):
            axis.imshow(images[i], vmin=0, vmax=1 if images[i].max() <= 1 else 255)
        if i < min(len(titles), len(images)):
            axis.set_title(titles[i], fontsize=8, fontweight="normal", loc="center")
    return figure


@rc_context(STYLE)
def emotions(data: FER2013, each: int = 8, seed: int = 0) -> Picture:
    """A row of random examples for every class."""
    rng = np.random.default_rng(seed)
    height = 0.82 * len(data.classes)
    figure, axes = picture(0.85 * each + 1, height, len(data.classes), each)
    for label, row in enumerate(axes):
        rows = np.flatnonzero(data.labels == label)
        chosen = rng.choice(rows, min(each, len(rows)), replace=False)
        for column, axis in enumerate(row):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column < len(chosen):
                axis.imshow(data.images[chosen[column]], vmin=0, vmax=255)
        name = data.classes[label]
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
        row[0].yaxis.label.set_fontweight("bold")
    return figure


@rc_context(STYLE)
def pixel_statistics(data: FER2013) -> Picture:
    """All pixels as a histogram, and every image's mean and spread as a cloud."""
    figure, ((left, right),) = picture(9, 3.2, 1, 2)
    counts = np.bincount(data.images.ravel(), minlength=256)
    left.bar(np.arange(256), counts / counts.sum(), 1, color=ACCENT)
    left.set(title="All pixels", xlabel="grey value", ylabel="share")
    flat = data.images.reshape(len(data), -1)
    right.plot(
        flat.mean(1), flat.std(1), ".", markersize=1.5, alpha=0.25, color=ACCENT,
        rasterized=True,
    )  # fmt: skip
    right.set(title="Each image: a dot", xlabel="mean (brightness)")
    right.set_ylabel("standard deviation (contrast)")
    return figure


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


@rc_context(STYLE)
def stock_image(image: Image.Image, found: Sequence[Found]) -> Picture:
    """A photo with what the detector found: boxes, landmarks, confidences."""
    figure, ((axis,),) = picture(5, 5 * image.height / image.width)
    axis.imshow(image)
    axis.axis("off")
    for face in found:
        _box(axis, face)
        axis.plot(*face.landmarks.T, "o", color="white", mec=ACCENT, markersize=6)
        axis.text(
            face.box[0], face.box[1] - 6, f"face, {face.confidence:.2%}", va="bottom",
            color="white", backgroundcolor=ACCENT, fontsize=8,
        )  # fmt: skip
    return figure


@rc_context(STYLE)
def inference_process(
    image: Image.Image, face: Found, probabilities: dict[str, float]
) -> Picture:
    """From a photo to an answer: box, upright crop, grey 48×48, seven bars."""
    figure, (axes,) = picture(12, 2.7, 1, 5, width_ratios=[1, 1, 1, 1, 1.25])
    figure.get_layout_engine().set(wspace=0.12)
    corners = np.reshape(face.box, (2, 2))
    near = corners.mean(0) + np.ptp(corners, axis=0).max() * np.array([[-0.8], [0.8]])
    # In colour, crop by crop of each band.
    bands = image.convert("RGB").split()
    upright = np.stack([crop_faces(band, [face])[0] for band in bands], axis=-1)
    (grey,) = crop_faces(image, [face])
    shown = [image, image, upright, grey]
    titles = ["1 photo", "2 face found", "3 upright, 48×48", "4 grey"]
    for axis, picture_, title in zip(axes, shown, titles, strict=False):
        axis.imshow(picture_)
        axis.set_title(title)
        axis.axis("off")
    for axis in axes[:2]:
        _box(axis, face)
    axes[1].set(xlim=near[:, 0], ylim=near[::-1, 1])
    for left, right in pairwise(axes[:4]):
        arrow = {"arrowstyle": "->", "color": SOFT, "linewidth": 1.5}
        ends = {"xycoords": right.transAxes, "textcoords": left.transAxes}
        left.annotate("", (0, 0.5), (1, 0.5), arrowprops=arrow, **ends)
    _seven(axes[4], probabilities, "5 seven probabilities")
    return figure


@rc_context(STYLE)
def answers(named: dict[str, dict[str, float]]) -> Picture:
    """The bars of several answers side by side, on one scale, in the model's order."""
    figure, (axes,) = picture(3.1 * len(named), 2.4, 1, len(named), sharey=True)
    for axis, (title, probabilities) in zip(axes, named.items(), strict=True):
        _seven(axis, probabilities, title)
    return figure


def _box(axis: Axes, face: Found) -> None:
    left, top, right, bottom = face.box
    size = (right - left, bottom - top)
    axis.add_patch(Rectangle((left, top), *size, fill=False, color=ACCENT, lw=2))


def _seven(axis: Axes, probabilities: dict[str, float], title: str) -> None:
    names, values = [*probabilities], [*probabilities.values()]
    drawn = axis.barh(names, values, color=[colour(name) for name in names])
    axis.bar_label(drawn, [f"{value:.0%}" for value in values], padding=3, fontsize=8)
    axis.set(title=title, xlim=(0, 1.15), xticks=[])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.spines["bottom"].set_visible(False)
    axis.grid(visible=False)


@rc_context(STYLE)
def transformed_images(rows: dict[str, Sequence[np.ndarray]]) -> Picture:
    """A named row for every transform, a column for every draw; grey images in 0..1."""
    columns = max(map(len, rows.values()))
    size = (0.65 * columns + 1.3, 0.66 * len(rows))
    figure, axes = picture(*size, len(rows), columns)
    for (name, images), row in zip(rows.items(), axes, strict=True):
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for axis, image in zip(row, images, strict=False):
            axis.imshow(np.squeeze(image), vmin=0, vmax=1)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


@rc_context(STYLE)
def augmentation_throughput(rates: dict[str, float]) -> Picture:
    """Bars: images a second of each way to augment, and how often the slowest."""
    figure, ((axis,),) = picture(8, 0.5 * len(rates) + 1)
    values, slowest = [*rates.values()], min(rates.values())
    drawn = axis.barh([*rates], values, color=[SOFT] * (len(rates) - 1) + [ACCENT])
    texts = [f"{value:,.0f}  ({value / slowest:.1f} ×)" for value in values]
    axis.bar_label(drawn, texts, padding=3)
    axis.set(title="Augmented images per second", xlim=(0, max(values) * 1.3))
    axis.set_ylim(len(rates) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    return figure
