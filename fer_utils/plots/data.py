"""Figures of images, and of what happens to them before training."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context

from ..data import FER2013, USAGES
from ..errors import FerError
from ..labels import class_colour
from .style import ACCENT, INK, SOFT, STYLE, Picture, percent_tick, picture


@rc_context(STYLE)
def class_counts(data: FER2013) -> Picture:
    """Draw the number of images of each class, by split, and its share of all."""
    figure, ((bars, shares),) = picture(9, 3.6, 1, 2, width_ratios=[3, 2])
    present = [usage for usage in USAGES if usage in data.usage]
    counts = np.array([data.select(data.usage == u).counts() for u in present])
    place = np.arange(len(data.classes))
    for i, (usage, alpha) in enumerate(zip(present, (1, 0.65, 0.4), strict=False)):
        colours = [class_colour(name) for name in data.classes]
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
    drawn = shares.barh(names, portion[order], color=[class_colour(n) for n in names])
    shares.bar_label(drawn, [f"{p:.1%}" for p in portion[order]], padding=3)
    equal = shares.axvline(1 / len(names), color=INK, linestyle=":", linewidth=1)
    shares.legend([equal], ["equal shares"], loc="lower right")
    shares.set(title="Share of all images")
    shares.set_xlim(0, portion.max() * 1.2)
    shares.xaxis.set_major_formatter(percent_tick)
    shares.grid(axis="y", visible=False)
    return figure


@rc_context(STYLE)
def emotions(data: FER2013, each: int = 8, seed: int = 0) -> Picture:
    """Draw a row of random examples for every class."""
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
def faces(
    images: np.ndarray, titles: Sequence[str] = (), columns: int = 8, size: float = 1.1
) -> Picture:
    """Draw a grid of grey images [N,H,W], `size` inches each, with titles above."""
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
def pixel_statistics(data: FER2013) -> Picture:
    """Draw a histogram of all pixels, and a dot for each image's mean and spread."""
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
def transformed_images(rows: dict[str, Sequence[np.ndarray]]) -> Picture:
    """Draw a row for every transform, a column for every draw; grey images in 0..1."""
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
def face_grid(
    rows: dict[str, Sequence[np.ndarray]], zoom: int = 2, titles: Sequence[str] = ()
) -> Picture:
    """Draw grey images in 0..1, all of one size, in named rows, enlarged by `zoom`.

    A pixel of an image becomes exactly zoom × zoom pixels of a notebook's picture: no
    blur that was not there, and a small file. `titles` stand above the columns.
    """
    images = [[np.squeeze(image) for image in row] for row in rows.values()]
    if not images or not all(images):
        raise FerError("no image to draw: give at least one for each row")
    height, width = images[0][0].shape
    gap, columns = 2, max(map(len, images))
    sheet = np.ones((len(images) * (height + gap), columns * (width + gap)))
    for i, row in enumerate(images):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = image
    margin = 12 + 7 * max(map(len, rows))  # room for the names, about 7 pixels a letter
    above = 20 * bool(titles)
    across, down = sheet.shape[1] * zoom, sheet.shape[0] * zoom
    size = ((margin + across) / 80, (above + down) / 80)  # inches, as _repr_png_ has it
    figure = Picture(figsize=size, facecolor="white")
    place = [margin, 0, across, down] / np.array([margin + across, above + down] * 2)
    axis = figure.add_axes(place)
    axis.imshow(sheet, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axis.spines[:].set_visible(False)
    axis.grid(visible=False)
    axis.tick_params(length=0)
    axis.set_yticks(np.arange(len(rows)) * (height + gap) + height / 2, [*rows])
    axis.xaxis.tick_top()
    places = np.arange(len(titles)) * (width + gap) + width / 2
    axis.set_xticks(places, titles)
    return figure


@rc_context(STYLE)
def augmentation_throughput(rates: dict[str, float]) -> Picture:
    """Draw images per second of each way to augment, as multiples of the slowest."""
    figure, ((axis,),) = picture(8, 0.5 * len(rates) + 1)
    values, slowest = [*rates.values()], min(rates.values())
    drawn = axis.barh([*rates], values, color=[SOFT] * (len(rates) - 1) + [ACCENT])
    texts = [f"{value:,.0f}  ({value / slowest:.1f} ×)" for value in values]
    axis.bar_label(drawn, texts, padding=3)
    axis.set(title="Augmented images per second", xlim=(0, max(values) * 1.3))
    axis.set_ylim(len(rates) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    return figure
