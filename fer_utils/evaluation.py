"""Probabilities → scores: per class, calibrated or not, on the full and clean test."""

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from .confidence import answers, calibration_error
from .config import FerError, device
from .data import FER2013
from .looks import look
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


def evaluate(model: Recognizer, data: FER2013, looks: int = 2) -> Scores:
    """Score a model on images it was not trained on; `looks` as in `looks.views`."""
    return score(predict_probabilities(model, data.images, looks), data)


def predict_probabilities(
    model: Recognizer, images: np.ndarray, looks: int = 2, progress: bool = False
) -> np.ndarray:
    """Return float32 [N,classes] for uint8 images [N,H,W].

    The mean of what the model says of so many `looks` at each image (`looks.views`):
    1, 2 (the mirror image too) or 6.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = []
    batches = torch.from_numpy(images).unsqueeze(1).split(256)
    for batch in tqdm(batches, disable=not progress, leave=False):
        batch = batch.to(device, memory_format=torch.channels_last)
        parts.append(look(model, batch, looks).cpu())
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


def second_choices(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return int64 [classes,classes]: images of class i whose second guess is j.

    `probabilities` [N,classes], `labels` int [N]. The diagonal is what the top-2
    accuracy adds to the accuracy.
    """
    answers(probabilities, labels)
    second = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, 1]
    counts = np.zeros((np.shape(probabilities)[1],) * 2, np.int64)
    np.add.at(counts, (labels, second), 1)
    return counts


def interval(accuracy: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return bounds that hold the true accuracy in a share `level` of all such tests.

    `accuracy` was measured on `count` images. Wilson's interval (1927), which stays
    within 0..1.
    """
    from scipy.stats import binomtest

    if not 0 <= accuracy <= 1 or count < 1 or not 0 < level < 1:
        raise FerError(
            f"accuracy {accuracy}, count {count}, level {level}: want a share of at "
            "least one image and a level between 0 and 1"
        )
    found = binomtest(round(accuracy * count), count)
    return tuple(map(float, found.proportion_ci(level, "wilson")))


class Comparison(NamedTuple):
    """Two recognisers on the same images; what both got right or wrong says nothing."""

    first_only: int  # images that only the first got right
    second_only: int
    p_value: float  # how often chance alone splits them at least so unevenly


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare who was right, bool [N] each, on the same images (McNemar, 1947)."""
    from scipy.stats import binomtest

    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1:
        raise FerError(
            f"compare: {first.shape} and {second.shape}: want one bool for each of "
            "the same images"
        )
    only = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = binomtest(only[0], sum(only)).pvalue if any(only) else 1
    return Comparison(*only, float(p_value))


def evaluate_run(run: Run, data: FER2013, part: str, looks: int = 2) -> Scores:
    """Score a run on a part of its split, `val` or `test`, and put it on record.

    Two looks are what the records compare; with another number the scores stand beside
    those, as `test_6_looks`.
    """
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
    probabilities = predict_probabilities(model, piece.images, looks, progress=True)
    scores = score(probabilities, piece)
    run.add_scores(
        scores_name(part, looks),
        {"looks": looks, "data": piece.source, **asdict(scores)},
        probabilities=probabilities.astype(np.float16),
        labels=piece.labels.astype(np.int8),
        clean=piece.clean,
    )
    return scores


def scores_name(part: str, looks: int) -> str:
    """Under what name scores are on record, and the arrays behind them."""
    return part if looks == 2 else f"{part}_{looks}_looks"


def recorded(run: Run, part: str, looks: int = 2) -> Scores | None:
    """Return the scores that a run has on record for `val` or `test`; None if none."""
    stored = run.record["scores"].get(scores_name(part, looks))
    if stored is None:
        return None
    own = {field.name: stored[field.name] for field in fields(Scores)}
    return Scores(**own | {"clean": own["clean"] and Scores(**own["clean"])})


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
