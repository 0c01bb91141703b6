"""From probabilities to scores: per class, on the full and on the clean test."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, model_validator
from typing_extensions import TypedDict

from ..data import FER2013
from ..errors import FerError
from ..models import Recognizer
from .calibration import calibration_error, top_answers
from .predict import predict_probabilities

# Five digits are more than 3,589 images can tell apart.
Rounded = Annotated[float, AfterValidator(lambda value: round(value, 5))]


class ClassScores(TypedDict):
    """Scores of one class; shares in 0..1, `support` in images."""

    precision: Rounded
    recall: Rounded
    f1: Rounded
    support: int


class Scores(BaseModel, frozen=True):
    """How good a set of probabilities is; all shares in 0..1.

    `confusion[i][j]` counts images of class i that were recognised as j. `clean` holds
    the same scores without the images whose pixels also occur in the training part.
    """

    count: int
    accuracy: Rounded
    top2_accuracy: Rounded
    macro_f1: Rounded
    log_loss: Rounded
    calibration_error: Rounded
    per_class: dict[str, ClassScores]
    confusion: list[list[int]]
    clean: "Scores | None" = None

    @model_validator(mode="after")
    def _square(self) -> "Scores":
        sizes = {len(row) for row in (self.confusion, *self.confusion)}
        if sizes != {len(self.per_class)}:
            raise ValueError("the confusion matrix does not fit the classes")
        return self

    def __str__(self) -> str:
        clean = f" · clean {self.clean.accuracy:.4f}" if self.clean else ""
        return (
            f"accuracy {self.accuracy:.4f}{clean} · macro-F1 {self.macro_f1:.4f} · "
            f"calibration error {self.calibration_error:.3f} · {self.count:,} images"
        )

    __repr__ = __str__


def evaluate(model: Recognizer, data: FER2013, views: int = 2) -> Scores:
    """Score a model on images it was not trained on; `views` as in `tta_views`."""
    return score(predict_probabilities(model, data.images, views), data)


def score(probabilities: np.ndarray, data: FER2013) -> Scores:
    """Score float probabilities [N,classes] against the labels of `data`."""
    from sklearn import metrics

    check_probabilities(probabilities, data)
    clean = None
    if data.clean is not None and not data.clean.all():
        clean = score(probabilities[data.clean], data.select(data.clean))
    labels, guesses = data.labels, probabilities.argmax(1)
    codes = np.arange(len(data.classes))
    columns = metrics.precision_recall_fscore_support(
        labels, guesses, labels=codes, zero_division=0
    )
    keys, rows = ClassScores.__annotations__, np.transpose(columns)
    # Stable: with equal probabilities the first class comes first, as for argmax.
    two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    exact = probabilities / probabilities.sum(1, keepdims=True, dtype=float)
    return Scores(
        count=len(labels),
        accuracy=(guesses == labels).mean(),
        top2_accuracy=(two == labels[:, None]).any(1).mean(),
        macro_f1=columns[2].mean(),
        log_loss=metrics.log_loss(labels, exact, labels=codes),
        calibration_error=calibration_error(probabilities, labels),
        per_class={
            name: dict(zip(keys, row, strict=True))
            for name, row in zip(data.classes, rows, strict=True)
        },
        confusion=metrics.confusion_matrix(labels, guesses, labels=codes).tolist(),
        clean=clean,
    )


def check_probabilities(probabilities: np.ndarray, data: FER2013) -> None:
    """Raise `FerError` unless there is a row of probabilities for each image."""
    if not len(data):
        raise FerError("no images to score: the data is empty")
    expected = (len(data), len(data.classes))
    if probabilities.shape != expected:
        raise FerError(
            f"probabilities {probabilities.shape}, but the data needs {expected}: one "
            f"column for each of {', '.join(data.classes)}"
        )
    if not np.allclose(probabilities.sum(1), 1, atol=0.01) or probabilities.min() < 0:
        raise FerError("not probabilities: each row must sum to 1; use softmax first")


def second_choices(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return int64 [classes,classes]: images of class i whose second guess is j."""
    from sklearn.metrics import confusion_matrix

    top_answers(probabilities, labels)  # checks the shapes
    second = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, 1]
    # On its diagonal is what the top-2 accuracy adds to the accuracy.
    return confusion_matrix(labels, second, labels=range(np.shape(probabilities)[1]))
