"""What is said of a face, in a photo or at one moment of a video."""

from dataclasses import dataclass

from ..labels import UNSURE


@dataclass(frozen=True)
class Face:
    """A face and the expression that it shows to a viewer."""

    box: tuple[int, int, int, int]  # left, top, right, bottom: pixels, upright photo
    probabilities: dict[str, float]  # of all classes, in the model's order; sum 1
    emotion: str  # the likeliest class, or "unsure"
    confidence: float  # its probability


@dataclass(frozen=True)
class Sighting(Face):
    """A person's face at one moment of a video; probabilities smoothed over time."""

    time: float  # seconds from the start
    person: int  # 1, 2, …, in the order of their first appearance


def judge(probabilities: dict[str, float], abstain_below: float) -> tuple[str, float]:
    """Return the likeliest class, or "unsure" if it is less likely; and how likely."""
    best = max(probabilities, key=probabilities.get)
    confidence = probabilities[best]
    return (best if confidence >= abstain_below else UNSURE), confidence
