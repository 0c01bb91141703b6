"""The answer to a photo as JSON, the same from the web service and from Lambda."""

from ..errors import PhotoError
from ..labels import NOTICE
from ..photos import Face

ABSTAIN_BELOW = 0.4  # calibrated: less confident answers are wrong more often than not
# Pixels; a larger search takes half a minute for a photo of 40 million pixels.
LIMITS = {"min_size": (12, 2048), "search_size": (48, 2048)}
STATUS = {
    "unsupported": 415,
    "too_large": 413,
    "too_small": 422,
    "no_face": 422,
    "private": 403,
    "timeout": 504,
}  # others: 400
NO_FACE = (
    "No face was found in this photo. If it shows one, try a sharper or larger photo, "
    "or a smaller min_size; for a photo that is nothing but a face, assume_cropped."
)


def as_answer(faces: list[Face], model: str, seconds: float) -> dict:
    """Return the expression of the largest face, then every face, largest first.

    Without a face the first two are None, and `message` is a sentence about it.
    """
    return {
        "predicted_class": faces[0].emotion if faces else None,
        "confidence": round(faces[0].confidence, 4) if faces else None,
        "faces": [as_dict(face) for face in faces],
        "model": model,
        "milliseconds": round(seconds * 1000, 1),
        "message": None if faces else NO_FACE,
        "notice": NOTICE,
    }


def as_dict(face: Face) -> dict:
    """Return a face's box in pixels of the upright photo, and its probabilities."""
    return {
        "box": list(face.box),
        "emotion": face.emotion,
        "confidence": round(face.confidence, 4),
        "probabilities": shares(face.probabilities),
    }


def shares(probabilities: dict[str, float]) -> dict[str, float]:
    """Return the probabilities of all classes, each with four digits."""
    return {name: round(value, 4) for name, value in probabilities.items()}


def status_of(error: PhotoError) -> int:
    """Return the HTTP status that says why a photo was refused."""
    return STATUS.get(error.kind, 400)
