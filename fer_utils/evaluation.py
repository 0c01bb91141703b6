"""Probabilities → scores: per class, calibrated or not, on the full and clean test."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .config import FerError, device
from .data import FER2013
from .models import Recognizer
from .run import Run


@dataclass(frozen=True)
class Scores:
    """What a set of probabilities is worth; all shares in 0..1.

    `confusion[i][j]` counts images of class i that were called j. `clean` holds the
    same scores without the images whose pixels also stand in the training part.
    """

    count: int
    accuracy: float
    top2_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    per_class: dict[str, dict[str, float]]  # precision, recall, f1, support
    confusion: list[list[int]]
    clean: "Scores | None" = None

    def __repr__(self) -> str:
        clean = f" · clean {self.clean.accuracy:.4f}" if self.clean else ""
        return (
            f"accuracy {self.accuracy:.4f}{clean} · macro-F1 {self.macro_f1:.4f} · "
            f"calibration error {self.calibration_error:.3f} · {self.count:,} images"
        )


def evaluate(model: Recognizer, data: FER2013, flip: bool = True) -> Scores:
    """Score a model on images it was not trained on; `flip` averages with mirrors."""
    return score(predict_probabilities(model, data.images, flip), data)


@torch.inference_mode()
def predict_probabilities(
    model: Recognizer, images: np.ndarray, flip: bool = True, progress: bool = False
) -> np.ndarray:
    """Return float32 [N,classes] for uint8 images [N,H,W].

    With `flip`, the mean of what the model says of each image and its mirror image:
    an expression has no left or right, so the two guesses are equally good.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = []
    batches = torch.from_numpy(images).unsqueeze(1).split(256)
    for batch in tqdm(batches, disable=not progress, leave=False):
        batch = batch.to(device, memory_format=torch.channels_last)
        probabilities = model(batch).float().softmax(1)
        if flip:
            probabilities = (
                probabilities + model(batch.flip(3)).float().softmax(1)
            ) / 2
        parts.append(probabilities.cpu())
    return torch.cat(parts).numpy()


def score(probabilities: np.ndarray, data: FER2013) -> Scores:
    """Score float probabilities [N,classes] against the labels of `data`."""
    expected = (len(data), len(data.classes))
    if not len(data):
        raise FerError("no images to score")
    if probabilities.shape != expected:
        raise FerError(
            f"probabilities {probabilities.shape}, but the data wants {expected}: one "
            f"column for each of {', '.join(data.classes)}"
        )
    if not np.allclose(probabilities.sum(1), 1, atol=0.01) or probabilities.min() < 0:
        raise FerError("no probabilities: each row must sum to 1, as softmax makes it")
    clean = None
    if data.clean is not None and not data.clean.all():
        clean = score(probabilities[data.clean], data.select(data.clean))
    return _score(probabilities, data.labels, data.classes, clean)


def _score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    clean: Scores | None = None,
) -> Scores:
    from sklearn import metrics

    codes = np.arange(len(classes))
    guesses = probabilities.argmax(1)
    columns = metrics.precision_recall_fscore_support(
        labels, guesses, labels=codes, zero_division=0
    )
    names = ("precision", "recall", "f1", "support")
    per_class = {
        name: {
            key: _plain(column[i]) for key, column in zip(names, columns, strict=True)
        }
        for i, name in enumerate(classes)
    }
    # Stable: with equal probabilities the first class comes first, as for argmax.
    two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    exact = probabilities / probabilities.sum(1, keepdims=True, dtype=float)
    return Scores(
        count=len(labels),
        accuracy=_plain((guesses == labels).mean()),
        top2_accuracy=_plain((two == labels[:, None]).any(1).mean()),
        macro_f1=_plain(columns[2].mean()),
        log_loss=_plain(metrics.log_loss(labels, exact, labels=codes)),
        calibration_error=_plain(calibration_error(probabilities, labels)),
        per_class=per_class,
        confusion=metrics.confusion_matrix(labels, guesses, labels=codes).tolist(),
        clean=clean,
    )


def _plain(value: Any) -> float | int:
    """A number as JSON likes it; five digits are more than 3,589 images can tell."""
    return (
        int(value) if np.issubdtype(type(value), np.integer) else round(float(value), 5)
    )


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy (Guo et al., 2017, arXiv:1706.04599)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def evaluate_run(run: Run, data: FER2013, part: str, flip: bool = True) -> Scores:
    """Score a run on a part of its split, `val` or `test`, and put it on record."""
    if part not in ("val", "test"):
        raise FerError(f"part {part!r}: use val or test")
    recipe = run.recipe
    chosen = data if recipe.classes == "all" else data.with_classes(recipe.classes)
    parts = chosen.split(recipe.protocol, recipe.seed)
    sizes = {"train": len(parts.train), "val": len(parts.val)}
    if not sizes.items() <= run.record["data"].items():
        raise FerError(
            f"{run.folder} was trained on other data ({run.record['data']['source']}): "
            "its record would mix the two; evaluate(run.model, ...) scores without one"
        )
    piece = getattr(parts, part)
    model = run.model.to(device())
    probabilities = predict_probabilities(model, piece.images, flip, progress=True)
    scores = score(probabilities, piece)
    run.add_scores(
        part,
        {"flip": flip, "data": piece.source, **asdict(scores)},
        probabilities=probabilities.astype(np.float16),
        labels=piece.labels.astype(np.int8),
        clean=piece.clean,
    )
    return scores


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that makes confidence mean what it says.

    Found on validation images: the T > 0 that lowers the log-loss of
    softmax(log p / T) most (Guo et al., 2017). It never changes which class leads.
    """
    from scipy.optimize import minimize_scalar

    def log_loss(log_t: float) -> float:
        scaled = apply_temperature(probabilities, np.exp(log_t))
        return -np.log(scaled[np.arange(len(labels)), labels] + 1e-12).mean()

    return float(np.exp(minimize_scalar(log_loss, bounds=(-2, 2)).x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log p / T), float [N,classes]; T < 1 sharpens, T > 1 softens."""
    powers = np.asarray(probabilities, float) ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)
