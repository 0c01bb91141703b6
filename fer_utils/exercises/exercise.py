"""What an exercise is made of, and the checks that many of them share."""

import math
from collections.abc import Callable
from typing import NamedTuple


class Exercise(NamedTuple):
    """`problem` returns what is wrong with an answer, in words, or an empty text."""

    problem: Callable[..., str]
    hints: tuple[str, ...]  # from a nudge to nearly the answer
    praise: str  # what the right answer means


EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, *hints: str, praise: str = "") -> Callable:
    """Register the decorated function as the check of an exercise."""

    def register(problem: Callable[..., str]) -> Callable[..., str]:
        EXERCISES[number] = Exercise(problem, hints, praise)
        return problem

    return register


def off_by(answer: object, truth: float, tolerance: float) -> str:
    """Return what is wrong with a number, or an empty text: its side, not its value."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return f"the answer has to be one number, not {type(answer).__name__}"
    if not math.isfinite(value):
        return "the answer has to be a finite number"
    if abs(value - truth) <= tolerance:
        return ""
    return f"{value:g} is too {'small' if value < truth else 'large'}"
