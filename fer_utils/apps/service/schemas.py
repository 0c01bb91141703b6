"""What the web service accepts and returns, as `/docs` shows it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ...errors import first_problem
from ...evaluation.tta import check_views
from ...labels import EMOTIONS, NOTICE
from ...photos.detect import MIN_SIZE, SEARCH_SIZE
from ..answer import ABSTAIN_BELOW, LIMITS

ALL_CLASSES = dict.fromkeys(EMOTIONS, 0.01) | {"happy": 0.94}


class FaceAnswer(BaseModel):
    """One face; `box` is left, top, right, bottom in pixels of the upright photo."""

    box: tuple[int, int, int, int] = Field(examples=[(180, 70, 270, 190)])
    emotion: str = Field(description="or `unsure`", examples=["happy"])
    confidence: float = Field(examples=[0.94])
    probabilities: dict[str, float] = Field(
        description="all classes; they sum to 1", examples=[ALL_CLASSES]
    )


class Answer(BaseModel):
    """The expression of the largest face, then every face, largest first.

    Without a face the first two are null, and `message` is a sentence about it.
    """

    predicted_class: str | None = Field(examples=["happy"])
    confidence: float | None = Field(examples=[0.94])
    faces: list[FaceAnswer]
    model: str = Field(examples=["people"])
    milliseconds: float = Field(examples=[31.5])
    message: str | None = Field(examples=[None])
    notice: str = Field(examples=[NOTICE])


class Problem(BaseModel):
    """What was wrong and what to do next."""

    detail: str


def _views(views: int) -> int:
    check_views(views)
    return views


def _within(name: str) -> dict[str, int]:
    low, high = LIMITS[name]
    return {"ge": low, "le": high}


class Options(BaseModel):
    """How to look at a photo; all of it may be left out."""

    model_config = ConfigDict(extra="forbid")

    views: Annotated[int, AfterValidator(_views)] | None = Field(
        None, description="1, 2 or 6 of each face; else as many as the model's scores"
    )
    assume_cropped: bool | Literal["auto"] = Field(
        "auto", description="the photo is one face; `auto`: if it looks like one"
    )
    abstain_below: float = Field(
        ABSTAIN_BELOW, ge=0, le=1, description="less confidence is `unsure`"
    )
    min_size: int = Field(
        MIN_SIZE,
        **_within("min_size"),
        description="of a face, in pixels after shrinking",
    )
    search_size: int = Field(
        SEARCH_SIZE,
        **_within("search_size"),
        description="larger photos are shrunk to it",
    )


def read_options(fields: dict[str, str]) -> Options:
    """Read the text fields of a form; `ValueError` says in one line what is wrong."""
    try:
        return Options.model_validate(fields)
    except ValidationError as error:
        raise ValueError(problem_of(error.errors())) from None


def problem_of(problems: list[dict]) -> str:
    """Return in one line what is wrong with a request first."""
    return first_problem(problems, "field", Options.model_fields)


class Address(Options):
    """The address of a photo on the public web, and how to look at it."""

    url: str = Field(max_length=2048, examples=["https://example.org/portrait.jpg"])


PROBLEMS = {
    400: "no photo, two photos, or a damaged one",
    408: "the body arrived too slowly",
    413: "more than 10 MB, or too many pixels",
    415: "not a form, or not a photo in an accepted format",
    422: "a photo too small to hold a face, or a field that cannot be read",
    503: "the service is busy; try again after Retry-After seconds",
}
URL_PROBLEMS = PROBLEMS | {
    403: "addresses are off, or this one is in a private network",
    504: "the server that has the photo was too slow",
}


def responses(problems: dict[int, str]) -> dict[int, dict]:
    """Return the statuses and their meanings as `/docs` wants them."""
    return {k: {"model": Problem, "description": v} for k, v in problems.items()}


FILE = {"file": {"type": "string", "format": "binary"}}
FIELDS = FILE | Options.model_json_schema()["properties"]
FORM = {"type": "object", "required": ["file"], "properties": FIELDS}
FORM_BODY = {"content": {"multipart/form-data": {"schema": FORM}}, "required": True}
