"""What the web service accepts and returns, as `/docs` shows it."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...labels import EMOTIONS
from ...photos import Face

Share = Annotated[float, AfterValidator(partial(round, ndigits=4))]
ALL_CLASSES = dict.fromkeys(EMOTIONS, 0.01) | {"happy": 0.94}


class FaceAnswer(BaseModel):
    """One face; `box` is left, top, right, bottom in pixels of the upright photo."""

    model_config = ConfigDict(from_attributes=True)

    box: tuple[int, int, int, int] = Field(examples=[(180, 70, 270, 190)])
    emotion: str = Field(description="or `unsure`", examples=["happy"])
    confidence: Share = Field(examples=[0.94])
    probabilities: dict[str, Share] = Field(
        description="all classes; they sum to 1", examples=[ALL_CLASSES]
    )


class Answer(BaseModel):
    """The expression of the largest face, then every face, largest first.

    Without a face the first two are null, and `message` is a sentence about it.
    """

    predicted_class: str | None = Field(examples=["happy"])
    confidence: Share | None = Field(examples=[0.94])
    faces: list[FaceAnswer]
    model: str = Field(examples=["taught"])
    milliseconds: float = Field(examples=[31.5])
    message: str | None = Field(examples=[None])


class Problem(BaseModel):
    """What was wrong and what to do next."""

    detail: str


class Address(BaseModel):
    """The address of a photo on the public web."""

    url: str = Field(max_length=2048, examples=["https://example.org/portrait.jpg"])


PROBLEMS = {
    400: "no photo, two photos, or a damaged one",
    408: "the body arrived too slowly",
    413: "more than 10 MB, or too many pixels",
    415: "not a form, or not a photo in an accepted format",
    422: "a photo too small to hold a face, or JSON of another form",
    503: "the service is busy; try again after Retry-After seconds",
}
RESPONSES = {k: {"model": Problem, "description": v} for k, v in PROBLEMS.items()}
FILE = {"file": {"type": "string", "format": "binary"}}
FORM = {"type": "object", "required": ["file"], "properties": FILE}
FORM_BODY = {"content": {"multipart/form-data": {"schema": FORM}}, "required": True}


def as_answer(faces: list[Face], model: str, seconds: float) -> Answer:
    """Put faces, largest first, into the form that `/predict` returns."""
    return Answer(
        predicted_class=faces[0].emotion if faces else None,
        confidence=faces[0].confidence if faces else None,
        faces=faces,
        model=model,
        milliseconds=round(seconds * 1000, 1),
        message=None if faces else "No face was found in this photo.",
    )
