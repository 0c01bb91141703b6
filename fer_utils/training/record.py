"""What a `run.json` holds: every field with its type, checked when it is read."""

from pydantic import BaseModel, ValidationError, model_validator
from typing_extensions import TypedDict

from ..evaluation import PeopleScores, Scores
from ..formats import duration
from .recipes import Recipe, problem_of


class Epoch(TypedDict):
    """One epoch: means over its images; `lr` is the head's at its start."""

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


class Hardware(BaseModel):
    """The machine and the versions of a training."""

    device: str  # "cpu", "mps", or the name of the GPU
    cpu: str
    cores: int
    threads: int
    python: str
    torch: str
    fer_utils: str

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        others = {"cpu": threads, "mps": f"Apple GPU, {threads}"}
        return others.get(self.device, self.device)


class DataSummary(BaseModel):
    """The images of a training: counts, and a digest of pixels and labels."""

    source: str
    train: int
    val: int
    fingerprint: str


class RecordedScores(Scores):
    """Scores on record, with the number of views of each face that were averaged.

    `people`: the same answers against FER+ votes, where these were at hand.
    """

    views: int
    data: str
    people: PeopleScores | None = None


class Record(BaseModel):
    """A training on record; times are in UTC, `seconds` is the sum over epochs."""

    recipe: Recipe
    profile: str
    started: str
    finished: str | None
    hardware: Hardware
    data: DataSummary
    seconds: float
    history: list[Epoch]
    scores: dict[str, RecordedScores]

    @property
    def took(self) -> str:
        """Time and hardware, as people say them: 34 min (2 threads)."""
        return f"{duration(self.seconds)} ({self.hardware})"

    @model_validator(mode="after")
    def _has_epochs(self) -> "Record":
        if self.finished and not self.history:
            raise ValueError("finished without an epoch")
        return self


def read_record(text: str | bytes) -> Record:
    """Return the record in a JSON text; `ValueError` names the field that is wrong."""
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(problem_of(error)) from None
