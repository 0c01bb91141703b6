"""What is said of a face."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """A face and the expression that it shows to a viewer."""

    box: tuple[int, int, int, int]  # left, top, right, bottom: pixels, upright photo
    probabilities: dict[str, float]  # of all classes, in the model's order; sum 1
    emotion: str  # the likeliest class, or "unsure"
    confidence: float  # its probability
