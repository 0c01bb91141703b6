"""The figures of the report, drawn by the functions that the notebooks call.

Each is drawn from run records, from the photo that comes with the course, or from
FER2013 itself. FER2013 is not shipped: where it is not found, the pictures that need it
stay as they are in the repository. Same records, same machine: the same bytes.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from PIL import Image

from facts import ROOT, Facts, bench_row, counts_only
from fer_utils import explain, plots
from fer_utils.augment import POLICIES, Policy, augment
from fer_utils.confidence import calibration_curve, coverage_curve
from fer_utils.config import config, write_whole
from fer_utils.data import FER2013, KAGGLE, load_fer2013
from fer_utils.evaluation import (
    apply_temperature,
    fit_temperature,
    predict_probabilities,
    recorded,
)
from fer_utils.faces import crop_faces, find_faces
from fer_utils.labels import COLOURS, EMOTIONS
from fer_utils.models import load_model
from fer_utils.photos import open_photo
from fer_utils.plots import Picture
from fer_utils.predict import Predictor
from fer_utils.recipes import recipe_names
from fer_utils.run import Run

DPI = 200  # legible in print
PORTRAIT = ROOT / "data" / "photos" / "astronaut.jpg"
SCREENSHOTS = ("page", "request", "response")  # tools/screenshots.py: a browser's work


@dataclass(frozen=True)
class Figure:
    """How to draw a picture, and the recipes whose records it cannot do without.

    `draw` takes the facts, or FER2013 where `pixels`; of `some`, one record will do.
    """

    draw: Callable[..., Picture]
    every: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    bench: bool = False
    pixels: bool = False

    def missing(self, facts: Facts) -> str:
        """What is not on record and stops it from being drawn; empty if nothing."""
        lacking = [name for name in self.every if not facts.run(name)]
        if self.some and not any(map(facts.run, self.some)):
            lacking += self.some
        if self.bench and not facts.bench:
            lacking.append("`make bench`")
        return ", ".join(lacking)


def find_pixels() -> FER2013 | None:
    """FER2013 if it lies on this machine: in FER_DATA, or in Kaggle's cache."""
    if config.data == "sample":
        return None
    if config.data not in ("", "kaggle"):
        return load_fer2013(config.data)
    default = Path("~/.cache/kagglehub").expanduser()
    home = Path(os.environ.get("KAGGLEHUB_CACHE") or default)
    return load_fer2013("kaggle") if (home / "datasets" / KAGGLE).is_dir() else None


def save(picture: Picture, path: Path) -> None:
    """Write a picture as PNG: same picture, same bytes; no date, no version in it."""
    drawn, small = BytesIO(), BytesIO()
    picture.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    image = Image.open(drawn).convert("RGB")
    if np.ptp(np.asarray(image), axis=2).max() == 0:
        image = image.convert("L").point(lambda grey: round(grey / 4.05) * 255 // 63)
    else:
        image = few_colours(image)
    image.save(small, "PNG", optimize=True, dpi=(DPI, DPI))
    write_whole(path, small.getvalue())


def few_colours(image: Image.Image) -> Image.Image:
    """Keep 256 colours: small files. White and the expressions' stay as they are."""
    kept = ("#FFFFFF", *COLOURS.values())
    own = [int(colour[i : i + 2], 16) for colour in kept for i in (1, 3, 5)]
    found = image.quantize(256 - len(kept)).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette(found + own)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


# --- the photo ---


@cache
def portrait() -> Image.Image:
    cv2.setNumThreads(1)  # several wait for each other where others want the cores
    return open_photo(PORTRAIT).convert("RGB")


def stock_image(facts: Facts) -> Picture:
    return plots.stock_image(portrait(), find_faces(portrait()))


def inference_process(facts: Facts) -> Picture:
    (answer,) = Predictor.load().predict(portrait())
    found = find_faces(portrait())[0]
    return plots.inference_process(portrait(), found, answer.probabilities)


def transformed_images(facts: Facts) -> Picture:
    """One face, every kind of change, and three whole policies."""
    crop = crop_faces(portrait(), find_faces(portrait())[:1])
    face = torch.from_numpy(crop).unsqueeze(1) / 255
    kinds = {
        "as it is": Policy(),
        "flip": Policy(flip=0.5),
        "rotate": Policy(rotate=30),
        "scale": Policy(scale=0.3),
        "shift": Policy(shift=0.2),
        "contrast": Policy(contrast=0.6),
        "erase": Policy(erase=1),
        "A's policy": POLICIES["flip-rotate"],
        "D's policy": POLICIES["invert-jitter"],
        "the course's own": POLICIES["standard"],
        "too much": POLICIES["too-much"],
    }
    torch.manual_seed(1)
    copies = face.repeat(7, 1, 1, 1)
    rows = {name: augment(copies, policy).numpy() for name, policy in kinds.items()}
    return plots.transformed_images(rows)


# --- run records ---

SHIPPED = load_model().metadata["recipe"]["name"]
AUGMENTED = {
    "augment-none": "none",
    "augment-a": "A's",
    "augment-ours": "ours",
    "augment-too-much": "too much",
}


def named(facts: Facts, names: dict[str, str]) -> dict[str, Run]:
    """What is on record of these recipes, under the given words."""
    found = {words: facts.run(name) for name, words in names.items()}
    return {words: run for words, run in found.items() if run}


def class_counts(facts: Facts) -> Picture:
    return plots.class_counts(counts_only(facts))


def learning_curves(facts: Facts) -> Picture:
    runs = named(facts, AUGMENTED)
    return plots.histories(runs, ("train_loss", "val_accuracy"))


def loss_info(facts: Facts) -> Picture:
    return plots.loss_info(facts.run(SHIPPED))


def confusion_matrix(facts: Facts) -> Picture:
    return plots.confusion_matrix(recorded(facts.run(SHIPPED), "test"))


def fine_tuning(facts: Facts) -> Picture:
    return plots.fine_tuning(facts.run("a-head"), facts.run("a-fine-tuned"))


RUNGS = {
    "c-linear": "linear head",
    "c-one-rate": "all layers, one rate",
    "c-frozen-lower": "lower half frozen",
    "c-discriminative": "discriminative rates",
    "c-augmented": "+ augmentation",
}


def ladder(facts: Facts) -> Picture:
    theirs = {
        RUNGS[figure["ours"]]: figure["value"]
        for figure in facts.references["figure"]
        if (figure["project"], figure["part"]) == ("C", "val")
    }
    return plots.ladder({w: facts.run(n) for n, w in RUNGS.items()}, theirs)


SIZES = {n: int(n[2:]) for n in recipe_names() if n.startswith("f-")}


def resolution(facts: Facts) -> Picture:
    """Accuracy on record, and the time a face took when its features were computed."""
    runs = {side: facts.run(name) for name, side in SIZES.items()}
    accuracies, times = {}, {}
    for side, run in runs.items():
        scores = run and recorded(run, "val")
        accuracies[side] = scores.accuracy if scores else None
        if run and run.recipe.views:
            times[side] = feature_milliseconds(run)
    return plots.resolution(accuracies, times)


def feature_milliseconds(run: Run) -> float:
    """Milliseconds a face: in its first epoch such a run computes all features."""
    first, *later = (epoch["seconds"] for epoch in run.history)
    data, views = run.record["data"], run.recipe.views
    faces = data["train"] * views + data["val"]
    return 1000 * (first - (median(later) if later else 0)) / faces


def calibrated(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test probabilities as they came, with the temperature, and the labels."""
    stored = run.predictions()
    clean = stored["val_clean"]
    val = stored["val_probabilities"].astype(float)[clean]
    temperature = fit_temperature(val, stored["val_labels"][clean])
    raw = stored["test_probabilities"].astype(float)
    return raw, apply_temperature(raw, temperature), stored["test_labels"]


def calibration(facts: Facts) -> Picture:
    raw, scaled, labels = calibrated(facts.run(SHIPPED))
    names = {"as trained": raw, "with its temperature": scaled}
    curves = {name: calibration_curve(p, labels) for name, p in names.items()}
    return plots.calibration(curves)


def coverage(facts: Facts) -> Picture:
    _, scaled, labels = calibrated(facts.run(SHIPPED))
    return plots.coverage({"shipped": coverage_curve(scaled, labels)}, 0.6)


COMPARED = (
    SHIPPED, "compact-cnn", "laptop", "custom-cnn", "resnet9", "a-head",
    "a-fine-tuned", "c-linear", "c-one-rate", "c-discriminative", "c-augmented",
    "f-128", "g-vgg16",
)  # fmt: skip


def model_comparison(facts: Facts) -> Picture:
    return plots.model_comparison({n: facts.run(n) for n in COMPARED}, "test")


def clean_full(facts: Facts) -> Picture:
    runs = {name: facts.run(name) for name in COMPARED}
    return plots.clean_full({n: r and recorded(r, "test") for n, r in runs.items()})


def augmentation_throughput(facts: Facts) -> Picture:
    slow = bench_row(facts, "augment 128 images: DataLoader")
    batch = bench_row(facts, "augment 128 images: torchvision")
    rates = {
        "one by one, PIL": 128 / slow["usual"],
        "torchvision, per batch": 128 / batch["usual"],
        "ours, per image": 128 / slow["ours"],
    }
    return plots.augmentation_throughput(rates)


# --- FER2013 itself ---


def emotions(data: FER2013) -> Picture:
    return plots.emotions(data, each=5)


def grad_cam(data: FER2013) -> Picture:
    """The surest right answer for each expression, of some validation images."""
    model, val = load_model(), data.split().val
    chosen = np.flatnonzero(val.clean)
    part = val.select(np.random.default_rng(0).permutation(chosen)[:700])
    chances = predict_probabilities(model, part.images, looks=1)
    right = chances.argmax(1) == part.labels
    chosen = [
        int(np.where(right & (part.labels == code), chances[:, code], 0).argmax())
        for code in range(len(EMOTIONS))
    ]
    titles = [f"{EMOTIONS[part.labels[i]]}, {chances[i].max():.0%}" for i in chosen]
    images = part.images[chosen]
    return plots.grad_cam(images, explain.grad_cam(model, images), titles)


FIGURES = {
    "class_counts": Figure(class_counts),
    "emotions": Figure(emotions, pixels=True),
    "transformed_images": Figure(transformed_images),
    "augmentation_throughput": Figure(augmentation_throughput, bench=True),
    "learning_curves": Figure(learning_curves, some=tuple(AUGMENTED)),
    "loss_info": Figure(loss_info, every=(SHIPPED,)),
    "fine_tuning": Figure(fine_tuning, some=("a-head", "a-fine-tuned")),
    "ladder": Figure(ladder, some=tuple(RUNGS)),
    "resolution": Figure(resolution, some=tuple(SIZES)),
    "model_comparison": Figure(model_comparison, some=COMPARED),
    "confusion_matrix": Figure(confusion_matrix, every=(SHIPPED,)),
    "clean_full": Figure(clean_full, some=COMPARED),
    "calibration": Figure(calibration, every=(SHIPPED,)),
    "coverage": Figure(coverage, every=(SHIPPED,)),
    "gradcam": Figure(grad_cam, pixels=True),
    "stock_image": Figure(stock_image),
    "inference_process": Figure(inference_process),
}
