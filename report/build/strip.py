"""The picture that the README and the web site open with, from data to a photo."""

import numpy as np
from matplotlib import rc_context

from fer_utils import plots
from fer_utils.data import FER2013
from fer_utils.labels import EMOTIONS
from fer_utils.photos import PORTRAIT, Predictor, annotate, open_photo
from fer_utils.plots.scores import matrix
from fer_utils.plots.style import STYLE, picture
from fer_utils.training import records


@rc_context(STYLE)
def strip(data: FER2013) -> plots.Picture:
    """Faces; equal images with other labels; a confusion matrix; a photo's answer."""
    figure, (axes,) = picture(14, 3.5, 1, 4, width_ratios=[1.45, 0.95, 1.25, 0.9])
    for axis in (axes[0], axes[1], axes[3]):
        axis.axis("off")
    axes[0].imshow(wall(data), vmin=0, vmax=255)
    axes[0].set_title(f"{len(data):,} faces, seven expressions")
    first, second = doubtful_twins(data)
    axes[1].imshow(np.vstack([data.images[first], data.images[second]]))
    for row, twin in enumerate((first, second)):
        name = EMOTIONS[data.labels[twin]]
        axes[1].text(50, 48 * row + 26, f"{name},\nin {data.usage[twin]}", fontsize=10)
    axes[1].set_title("One image, two labels", loc="left")
    shipped = Predictor.load()
    counts = np.array(records()[shipped.model_name].scores("test").confusion)
    rates = counts / counts.sum(1, keepdims=True)
    matrix(axes[2], rates, [""] * rates.size, EMOTIONS)
    axes[2].set(xticks=[], xlabel="recognised as, in the same order")
    axes[2].set_title("Where a network and the labels differ")
    photo = open_photo(PORTRAIT)
    faces = shipped.predict(photo)
    axes[3].imshow(annotate(photo, faces, panel=False).crop((60, 20, 400, 360)))
    axes[3].set_title(f"Your photo: {faces[0].emotion}, {faces[0].confidence:.0%}")
    return figure


def wall(data: FER2013, rows: int = 4, columns: int = 7) -> np.ndarray:
    """Return faces of Training side by side, uint8: a column for each expression."""
    rng = np.random.default_rng(2)
    here = data.select(data.usage == "Training")
    drawn = [rng.choice(np.flatnonzero(here.labels == c), rows) for c in range(columns)]
    faces = here.images[np.array(drawn).T]  # [rows, columns, 48, 48]
    return faces.transpose(0, 2, 1, 3).reshape(48 * rows, 48 * columns)


def doubtful_twins(data: FER2013) -> tuple[int, int]:
    """Return two images with the same pixels, in two parts, and different labels."""
    order = np.argsort(data.groups, kind="stable")
    for one, other in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
        same = data.groups[one] == data.groups[other]
        parts = {data.usage[one], data.usage[other]}
        blank = np.ptp(data.images[one]) < 100
        differ = data.labels[one] != data.labels[other] and len(parts) == 2
        if same and differ and not blank:
            return one, other
    raise LookupError("no such twins")
