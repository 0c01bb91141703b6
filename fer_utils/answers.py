"""What the web service says and hears, as `/docs` shows it."""

from pydantic import BaseModel, ConfigDict, Field

from .labels import EMOTIONS
from .predict import Face


class FaceAnswer(BaseModel):
    """One face; `box` is left, top, right, bottom in pixels of the upright photo."""

    box: tuple[int, int, int, int]
    emotion: str = Field(description="`unsure` where the model had better not say")
    confidence: float
    probabilities: dict[str, float] = Field(description="all seven; they sum to 1")


EXAMPLE = {
    "predicted_class": "happy",
    "confidence": 0.94,
    "faces": [
        {
            "box": [180, 70, 270, 190],
            "emotion": "happy",
            "confidence": 0.94,
            "probabilities": dict.fromkeys(EMOTIONS, 0.01) | {"happy": 0.94},
        }
    ],
    "model": "taught",
    "milliseconds": 31.5,
    "message": None,
}


class Answer(BaseModel):
    """The expression of the largest face, then every face, largest first."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    predicted_class: str | None = Field(description="null where there is no face")
    confidence: float | None
    faces: list[FaceAnswer]
    model: str
    milliseconds: float = Field(description="time for finding and reading the faces")
    message: str | None = Field(description="a sentence where there is no face")


class Problem(BaseModel):
    """What was wrong and what to do."""

    detail: str


class Address(BaseModel):
    """Where a photo lies on the public web."""

    url: str = Field(max_length=2048, examples=["https://example.org/portrait.jpg"])


PROBLEMS = {
    400: "no photo, two photos, or a damaged one",
    408: "the body came too slowly",
    413: "more than 10 MB, or too many pixels",
    415: "not a form, or not a photo of an accepted kind",
    422: "a photo too small to hold a face, or JSON of another form",
    503: "every place is taken; come back after Retry-After seconds",
}
RESPONSES = {k: {"model": Problem, "description": v} for k, v in PROBLEMS.items()}
FORM = {
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
    "type": "object",
}
FORM_BODY = {"content": {"multipart/form-data": {"schema": FORM}}, "required": True}


def as_answer(faces: list[Face], model: str, seconds: float) -> Answer:
    """Put faces, largest first, into the form that `/predict` returns."""
    listed = [
        FaceAnswer(
            box=face.box,
            emotion=face.emotion,
            confidence=round(face.confidence, 4),
            probabilities={k: round(p, 4) for k, p in face.probabilities.items()},
        )
        for face in faces
    ]
    return Answer(
        predicted_class=listed[0].emotion if listed else None,
        confidence=listed[0].confidence if listed else None,
        faces=listed,
        model=model,
        milliseconds=round(seconds * 1000, 1),
        message=None if listed else "No face was found in this photo.",
    )
