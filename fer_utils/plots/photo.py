"""Figures of the way from a photo to an answer."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from ..errors import FerError
from ..evaluation.stress import Stress
from ..labels import UNSURE, class_colour
from ..photos import Found, Sighting, crop_faces
from .style import ACCENT, LINES, SOFT, STYLE, Picture, picture


@rc_context(STYLE)
def stock_image(image: Image.Image, found: Sequence[Found]) -> Picture:
    """Draw a photo with the boxes, landmarks and confidences of its faces."""
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
    """Draw the way from a photo to an answer: box, upright crop, grey 48×48, bars."""
    figure, (axes,) = picture(12, 2.7, 1, 5, width_ratios=[1, 1, 1, 1, 1.25])
    figure.get_layout_engine().set(wspace=0.12)
    corners = np.reshape(face.box, (2, 2))
    near = corners.mean(0) + np.ptp(corners, axis=0).max() * np.array([[-0.8], [0.8]])
    # For a crop in colour, each band is cropped by itself.
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
    _bars(axes[4], probabilities, "5 seven probabilities")
    return figure


@rc_context(STYLE)
def probability_bars(named: dict[str, dict[str, float]]) -> Picture:
    """Draw the probabilities of several answers side by side, in the model's order."""
    figure, (axes,) = picture(3.1 * len(named), 2.4, 1, len(named), sharey=True)
    for axis, (title, probabilities) in zip(axes, named.items(), strict=True):
        _bars(axis, probabilities, title)
    return figure


def _box(axis: Axes, face: Found) -> None:
    left, top, right, bottom = face.box
    size = (right - left, bottom - top)
    axis.add_patch(Rectangle((left, top), *size, fill=False, color=ACCENT, lw=2))


def _bars(axis: Axes, probabilities: dict[str, float], title: str) -> None:
    names, values = [*probabilities], [*probabilities.values()]
    drawn = axis.barh(names, values, color=[class_colour(name) for name in names])
    axis.bar_label(drawn, [f"{value:.0%}" for value in values], padding=3, fontsize=8)
    axis.set(title=title, xlim=(0, 1.15), xticks=[])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.spines["bottom"].set_visible(False)
    axis.grid(visible=False)


@rc_context(STYLE)
def timeline(sightings: Sequence[Sighting]) -> Picture:
    """Draw what each person in a video shows over time: a strip of colours and lines.

    The strip tells the expression; the lines the smoothed probabilities behind it.
    """
    if not sightings:
        raise FerError("nobody was seen in this video: there is nothing to draw")
    people = sorted({each.person for each in sightings})
    figure, axes = picture(9, 0.6 + 1.7 * len(people), len(people), 1, sharex=True)
    for (axis,), person in zip(axes, people, strict=True):
        seen = [each for each in sightings if each.person == person]
        times = np.array([each.time for each in seen])
        step = np.diff(times).min(initial=1.0) if len(times) > 1 else 0.2
        for name in seen[0].probabilities:
            chances = [each.probabilities[name] for each in seen]
            axis.plot(times, chances, color=class_colour(name), label=name)
        for each in seen:
            shade = "white" if each.emotion == UNSURE else class_colour(each.emotion)
            axis.axvspan(each.time, each.time + step, 0.93, 1, color=shade, lw=0)
        axis.set(ylim=(0, 1.1), yticks=(0, 0.5, 1), ylabel=f"person {person}")
    axes[-1][0].set_xlabel("seconds")
    names = len(sightings[0].probabilities)
    axes[0][0].legend(ncols=names, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    return figure


@rc_context(STYLE)
def stress(cards: dict[str, Sequence[Stress]]) -> Picture:
    """Draw stress cards: a panel for each axis, a line for each named network.

    Bars are 95 % intervals; the dashed line is the accuracy on faces as they are.
    """
    first = next(iter(cards.values()))
    axes_ = list(dict.fromkeys(each.axis for each in first if each.level is not None))
    columns = -(-len(axes_) // 2)
    figure, axes = picture(11, 4.6, 2, columns, sharey=True)
    for axis, name in zip(axes.ravel(), axes_, strict=False):
        for colour, (network, card) in zip(LINES, cards.items(), strict=False):
            whole = next(each for each in card if each.level is None)
            seen = sorted((e for e in card if e.axis == name), key=lambda e: e.level)
            places = np.arange(len(seen))
            means = np.array([each.accuracy for each in seen])
            bounds = [means - [e.low for e in seen], [e.high for e in seen] - means]
            axis.errorbar(
                places, means, bounds, fmt="o-", color=colour, ms=4, label=network
            )
            axis.axhline(whole.accuracy, color=colour, ls="--", lw=1)
        axis.set(title=name, xticks=places, ylim=(0, 1))
        axis.set_xticklabels([f"{each.level:g}" for each in seen])
    for axis in axes.ravel()[len(axes_) :]:
        axis.set_visible(False)
    axes[0][0].set_ylabel("accuracy")
    axes[1][0].set_ylabel("accuracy")
    if len(cards) > 1:
        axes[0][0].legend(fontsize=8)
    return figure
