"""Figures of single answers: what a network calls a face, and where it looks."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context

from ..labels import EMOTIONS, class_colour
from .style import INK, STYLE, Picture, picture


@rc_context(STYLE)
def predictions(
    images: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] = EMOTIONS,
) -> Picture:
    """Draw faces [N,H,W], each above the probabilities of its classes [N,classes]."""
    count = len(images)
    figure, axes = picture(
        1.5 * count + 0.8, 3.4, 2, count, height_ratios=[1, 1.1], sharey="row"
    )
    place = np.arange(len(classes))
    for i, (face, bars) in enumerate(axes.T):
        face.imshow(images[i], vmin=0, vmax=255, interpolation="nearest")
        face.set_title(f"labelled {classes[labels[i]]}", fontsize=9, loc="center")
        face.axis("off")
        values = probabilities[i]
        drawn = bars.barh(place, values, color=[class_colour(name) for name in classes])
        texts = [f"{value:.0%}" for value in values]
        bars.bar_label(drawn, texts, padding=2, fontsize=8)
        bars.set(xlim=(0, 1.3), xticks=[])
        bars.set_yticks(place, classes)
        bars.set_ylim(len(classes) - 0.4, -0.6)
        bars.spines[["bottom", "left"]].set_visible(False)
        bars.tick_params(length=0, pad=9)
        bars.grid(visible=False)
        # The label is marked, so that one sees at once where the answer differs.
        bars.plot(-0.04, labels[i], ">", color=INK, markersize=5, clip_on=False)
    return figure


@rc_context(STYLE)
def grad_cam(
    images: np.ndarray, maps: np.ndarray, titles: Sequence[str] = ()
) -> Picture:
    """Draw faces [N,H,W], and below them the same under heat maps 0..1 [N,H,W]."""
    count = len(images)
    figure, axes = picture(1.6 * count, 3.4, 2, count)
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.02)
    for i, (plain, heated) in enumerate(axes.T):
        top = 1 if images[i].max() <= 1 else 255
        for axis in (plain, heated):
            axis.imshow(images[i], vmin=0, vmax=top, interpolation="nearest")
            axis.axis("off")
        # Where there is no evidence for the class, the face stays as it is.
        heated.imshow(
            maps[i], cmap="inferno", vmin=0, vmax=1, alpha=0.75 * maps[i],
            interpolation="nearest",
        )  # fmt: skip
        if i < len(titles):
            plain.set_title(titles[i], fontsize=8, fontweight="normal", loc="center")
    return figure
