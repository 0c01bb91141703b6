"""Slices of PrivateTest for the model card, kept on record (`python tools/slices.py`).

    FER_DATA=... FER_VOTES=... python tools/slices.py && python tools/ship.py --card

How often each shipped network is right, by its own yardstick, on dark and bright, sharp
and blurred, upright and tilted faces, and where people agree or do not; and, for each
expression, how sure its answers are and how often right. From the stored answers of
the runs on record, balanced and scaled as the shipped files say: no network runs but
the face detector, which looks for eyes (a minute).
"""

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fer_utils.data import FER2013, load_fer2013, read_votes
from fer_utils.errors import FerError
from fer_utils.evaluation import (
    apply_balance,
    apply_temperature,
    calibration_by_class,
    level_of_each,
    sliced,
    thirds,
)
from fer_utils.files import write_atomic
from fer_utils.labels import EMOTIONS
from fer_utils.models import load_model
from fer_utils.photos import find_faces
from fer_utils.shipped import SHIPPED
from fer_utils.training import records
from ship import SLICES, answers, apart, yardstick

ENLARGED = 4  # times, before eyes are looked for


def brightness(data: FER2013) -> np.ndarray:
    """Mean grey value of each face, 0..255."""
    return data.images.mean((1, 2))


def contrast(data: FER2013) -> np.ndarray:
    """Standard deviation of each face's grey values."""
    return data.images.std((1, 2))


def sharpness(data: FER2013) -> np.ndarray:
    """Variance of each face's Laplacian: little in a blurred face, much with noise."""
    grey = data.images.astype(float)
    middle = grey[:, 1:-1, 1:-1]
    above, below = grey[:, :-2, 1:-1], grey[:, 2:, 1:-1]
    left, right = grey[:, 1:-1, :-2], grey[:, 1:-1, 2:]
    return (above + below + left + right - 4 * middle).var((1, 2))


def tilt(data: FER2013) -> np.ndarray:
    """Degrees between the line through the eyes and level, 0..180; nan: none found."""
    faces = tqdm(data.images, "eyes", leave=False)
    return np.array([tilt_of(image) for image in faces])


def tilt_of(image: np.ndarray) -> float:
    """As `tilt`, of one face. Turned by 15°, half the faces measure 13° to 17° more."""
    face = Image.fromarray(image)
    large = face.resize((ENLARGED * face.width, ENLARGED * face.height))
    found = find_faces(large)
    if not found:
        return np.nan
    x, y = found[0].landmarks[1] - found[0].landmarks[0]
    return abs(float(np.degrees(np.arctan2(y, x))))


def agreement(data: FER2013) -> np.ndarray:
    """How many of ten people chose the expression that most of them chose."""
    return read_votes(data)[:, : len(EMOTIONS)].max(1)


class Measure(NamedTuple):
    """What is measured of a face, the names of its bands, and where they meet."""

    of: Callable[[FER2013], np.ndarray]
    bands: tuple[str, ...]
    edges: tuple[float, ...] | None = None  # None: thirds

    @property
    def name(self) -> str:
        return self.of.__name__


MEASURES = (
    Measure(brightness, ("darkest third", "middle third", "brightest third")),
    Measure(contrast, ("weakest third", "middle third", "strongest third")),
    Measure(sharpness, ("least sharp third", "middle third", "sharpest third")),
    Measure(tilt, ("under 5°", "5° to 15°", "15° or more", "no eyes found"), (5, 15)),
    Measure(agreement, ("5 or fewer", "6 or 7", "8 or 9", "all ten"), edges=(6, 8, 10)),
)


class Answers(NamedTuple):
    """A shipped network's answers that count by its own yardstick."""

    faces: np.ndarray  # bool [N]: which faces of PrivateTest
    probabilities: np.ndarray  # float [faces,classes], as the shipped files scale them
    classes: np.ndarray  # int [faces], right answers


def read_answers(network: str, header: dict[str, Any], data: FER2013) -> Answers:
    """Return what a network on record answered to the faces of PrivateTest."""
    run = records()[header["recipe"]["name"]]
    stored = answers(run, "test", header["views"])
    balanced = apply_balance(stored, np.array(header.get("balance", 1)))
    scaled = apply_temperature(balanced, header["temperature"])
    faces, classes = yardstick(network, data)
    return Answers(faces, scaled[faces], classes[faces])


def record(data: FER2013, measures: tuple[Measure, ...] = MEASURES) -> dict[str, Any]:
    """Return the slices of both networks, and how well each answer is calibrated."""
    values = {each.name: each.of(data).astype(float) for each in measures}
    edges = {each.name: each.edges or thirds(values[each.name]) for each in measures}
    headers = {name: load_model(name).metadata for name in SHIPPED}
    found = {name: read_answers(name, headers[name], data) for name in SHIPPED}

    def groups(network: str, level: float) -> dict[str, Any]:
        faces, probabilities, classes = found[network]
        right = probabilities.argmax(1) == classes
        cut = {}
        for each in measures:
            name = each.name
            lines = sliced(values[name][faces], right, edges[name], level)
            cut[name] = {each.bands[line.band]: tidy(line) for line in lines}
        answered = calibration_by_class(probabilities, classes, level)
        return {
            "date": headers[network]["date"],
            "faces": len(right),
            "slices": cut,
            "answered": {EMOTIONS[line.code]: tidy(line) for line in answered},
        }

    counted = [groups(name, 0.95) for name in SHIPPED]
    count = sum(len(part) for it in counted for part in it["slices"].values())
    count += sum(len(it["answered"]) for it in counted)
    level = level_of_each(count)
    return {
        "groups": count,
        "level": level,
        "bands": {each.name: each.bands for each in measures},
        "edges": {name: [round(edge, 1) for edge in edges[name]] for name in edges},
        "networks": {name: groups(name, level) for name in SHIPPED},
    }


def tidy(line: NamedTuple) -> dict[str, Any]:
    """Return a group's fields but its number, with four digits."""
    fields = list(line._asdict().items())[1:]
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in fields}


def main() -> None:
    found = record(load_fer2013().split().test)
    write_atomic(SLICES, (json.dumps(found, indent=1) + "\n").encode())
    for name, network in found["networks"].items():
        print(f"{name}, right less often: {apart(network, False)}")
        print(f"{name}, right more often: {apart(network, True)}")


if __name__ == "__main__":
    try:
        main()
    except FerError as error:
        sys.exit(f"slices: {error}")
