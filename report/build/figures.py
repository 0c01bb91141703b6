"""The figures of the report, drawn by the functions that the notebooks call.

Each is drawn from run records, from the photo that comes with the course, or from
FER2013 itself. FER2013 is not shipped: where it is not found, the pictures that need it
stay as they are in the repository. Same records, same machine: the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np
import torch
from PIL import Image

from fer_utils import evaluation, plots
from fer_utils.config import config
from fer_utils.data import FER2013, load_fer2013
from fer_utils.data.load import kaggle_cache
from fer_utils.labels import EMOTIONS
from fer_utils.models import load_model
from fer_utils.photos import PORTRAIT, Predictor, crop_faces, find_faces, open_photo
from fer_utils.training import POLICIES, Policy, Run, augment, recipe_names

from .effects import many_scores
from .facts import Facts, counts_only
from .strip import strip

DPI = 200  # legible in print
SCREENSHOTS = ("page", "request", "response")  # made by tools/screenshots.py


@dataclass(frozen=True)
class Figure:
    """How to draw a picture, and what it cannot do without."""

    draw: Callable[..., plots.Picture]
    every: tuple[str, ...] = ()  # recipes, all of them on record
    some: tuple[str, ...] = ()  # recipes, of which one record will do
    bench: bool = False
    pixels: bool = False  # `draw` takes FER2013, not the facts

    def lacking(self, facts: Facts) -> str:
        """Name what is not on record and stops it from being drawn."""
        lacking = [name for name in self.every if not facts.find(name)]
        if not any(map(facts.find, self.some)):
            lacking += self.some
        if self.bench and not facts.bench:
            lacking.append("`make bench`")
        return ", ".join(lacking)


def find_pixels() -> FER2013 | None:
    """FER2013 if it lies on this machine: in FER_DATA, or in Kaggle's cache."""
    source = config.data or "kaggle"
    if source == "sample" or (source == "kaggle" and not kaggle_cache().is_dir()):
        return None
    return load_fer2013(source)


@cache
def portrait() -> Image.Image:
    return open_photo(PORTRAIT).convert("RGB")


def inference_process(facts: Facts) -> plots.Picture:
    (face,), (answer,) = find_faces(portrait()), Predictor.load().predict(portrait())
    return plots.inference_process(portrait(), face, answer.probabilities)


def transformed_images(facts: Facts) -> plots.Picture:
    """One face, every kind of change, and three whole policies."""
    crop = crop_faces(portrait(), find_faces(portrait())[:1])
    copies = torch.from_numpy(crop).unsqueeze(1).repeat(7, 1, 1, 1) / 255
    kinds = {
        "as it is": Policy(), "flip": Policy(flip=0.5), "rotate": Policy(rotate=30),
        "scale": Policy(scale=0.3), "shift": Policy(shift=0.2),
        "contrast": Policy(contrast=0.6), "erase": Policy(erase=1),
        "A's policy": POLICIES["flip-rotate"], "D's policy": POLICIES["invert-jitter"],
        "the course's own": POLICIES["standard"], "too much": POLICIES["too-much"],
    }  # fmt: skip
    torch.manual_seed(1)
    rows = {name: augment(copies, policy).numpy() for name, policy in kinds.items()}
    return plots.transformed_images(rows)


ABOUT = load_model("fer2013-labels").metadata
SHIPPED, VIEWS = ABOUT["recipe"]["name"], ABOUT["views"]
AUGMENTED = {
    "augment-none": "none", "augment-a": "A's", "augment-ours": "ours",
    "augment-too-much": "too much",
}  # fmt: skip


def learning_curves(facts: Facts) -> plots.Picture:
    runs = {words: r for name, words in AUGMENTED.items() if (r := facts.find(name))}
    return plots.histories(runs, ("train_loss", "val_accuracy"))


TRANSFER = ("a-head", "a-fine-tuned")
RUNGS = {
    "c-linear": "linear head", "c-one-rate": "all layers, one rate",
    "c-frozen-lower": "lower half frozen", "c-discriminative": "discriminative rates",
    "c-augmented": "+ augmentation, longer",
}  # fmt: skip


def ladder(facts: Facts) -> plots.Picture:
    theirs = {
        RUNGS[figure["ours"]]: figure["value"]
        for figure in facts.references["figure"]
        if (figure["project"], figure["part"]) == ("C", "val")
    }
    return plots.ladder({w: facts.find(n) for n, w in RUNGS.items()}, theirs)


SIZES = {n: int(n[2:]) for n in recipe_names() if n.startswith("f-")}


def resolution(facts: Facts) -> plots.Picture:
    """Accuracy on record, and how long an image took while the network learned."""
    accuracies, times = {}, {}
    for name, side in SIZES.items():
        run = facts.find(name)
        scores = run and run.scores("val")
        accuracies[side] = scores.accuracy if scores else None
        if run:
            epoch = median(each["seconds"] for each in run.history)
            times[side] = 1000 * epoch / run.record.data.train
    return plots.resolution(accuracies, times, "Milliseconds an image, training")


def calibrated(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test probabilities as they came, with the temperature, and the labels."""
    stored = run.predictions()
    clean = stored["val_clean"]
    val = stored["val_probabilities"].astype(float)[clean]
    temperature = evaluation.fit_temperature(val, stored["val_labels"][clean])
    raw = stored["test_probabilities"].astype(float)
    return raw, evaluation.apply_temperature(raw, temperature), stored["test_labels"]


def calibration(facts: Facts) -> plots.Picture:
    raw, scaled, labels = calibrated(facts.run(SHIPPED))
    curves = [evaluation.calibration_curve(found, labels) for found in (raw, scaled)]
    names = "as trained", "with its temperature"
    return plots.calibration(dict(zip(names, curves, strict=True)))


def coverage(facts: Facts) -> plots.Picture:
    _, scaled, labels = calibrated(facts.run(SHIPPED))
    return plots.coverage({"shipped": evaluation.coverage_curve(scaled, labels)}, 0.6)


COMPARED = (
    SHIPPED, "wide-cnn-triangle", "compact-cnn", "laptop", "custom-cnn", "resnet9",
    "a-head", "a-fine-tuned", "c-linear", "c-one-rate", "c-augmented", "f-96",
    "g-vgg16",
)  # fmt: skip


def model_comparison(facts: Facts) -> plots.Picture:
    return plots.model_comparison({n: facts.find(n) for n in COMPARED}, "test")


def clean_full(facts: Facts) -> plots.Picture:
    runs = {name: facts.find(name) for name in COMPARED}
    return plots.clean_full({n: r and r.scores("test") for n, r in runs.items()})


def augmentation_throughput(facts: Facts) -> plots.Picture:
    slow = facts.bench_row("augment 128 images: DataLoader")
    batch = facts.bench_row("augment 128 images: torchvision")["usual"]
    seconds = {"one by one, PIL": slow["usual"], "torchvision, per batch": batch}
    seconds["ours, per image"] = slow["ours"]
    return plots.augmentation_throughput({k: 128 / s for k, s in seconds.items()})


def gradcam(data: FER2013) -> plots.Picture:
    """The surest right answer for each expression, of some validation images."""
    model, val = load_model("fer2013-labels"), data.split().val
    clean = np.random.default_rng(0).permutation(np.flatnonzero(val.clean))
    part = val.select(clean[:700])
    chances = evaluation.predict_probabilities(model, part.images, views=1)
    sure = chances.max(1) * (chances.argmax(1) == part.labels)
    chosen = [int((sure * (part.labels == i)).argmax()) for i in range(len(EMOTIONS))]
    titles = [f"{EMOTIONS[part.labels[i]]}, {chances[i].max():.0%}" for i in chosen]
    images = part.images[chosen]
    return plots.grad_cam(images, evaluation.grad_cam(model, images), titles)


FIGURES = {
    "strip": Figure(strip, every=("people",), pixels=True),
    "many_scores": Figure(lambda facts: many_scores(facts, SHIPPED), (SHIPPED,)),
    "class_counts": Figure(lambda facts: plots.class_counts(counts_only(facts))),
    "emotions": Figure(lambda data: plots.emotions(data, each=5), pixels=True),
    "transformed_images": Figure(transformed_images),
    "augmentation_throughput": Figure(augmentation_throughput, bench=True),
    "learning_curves": Figure(learning_curves, some=tuple(AUGMENTED)),
    "loss_info": Figure(lambda facts: plots.loss_info(facts.run(SHIPPED)), (SHIPPED,)),
    "fine_tuning": Figure(
        lambda facts: plots.fine_tuning(*map(facts.find, TRANSFER)), some=TRANSFER
    ),
    "ladder": Figure(ladder, some=tuple(RUNGS)),
    "resolution": Figure(resolution, some=tuple(SIZES)),
    "model_comparison": Figure(model_comparison, some=COMPARED),
    "confusion_matrix": Figure(
        lambda facts: plots.confusion_matrix(facts.run(SHIPPED).scores("test")),
        (SHIPPED,),
    ),
    "clean_full": Figure(clean_full, some=COMPARED),
    "calibration": Figure(calibration, (SHIPPED,)),
    "coverage": Figure(coverage, (SHIPPED,)),
    "gradcam": Figure(gradcam, pixels=True),
    "stock_image": Figure(
        lambda facts: plots.stock_image(portrait(), find_faces(portrait()))
    ),
    "inference_process": Figure(inference_process),
}
