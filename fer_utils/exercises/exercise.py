"""What an exercise is made of, and the checks that many of them share."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Exercise(NamedTuple):
    """`problem` returns what is wrong with an answer, in words, or an empty text."""

    problem: Callable[..., str]
    hints: tuple[str, ...]  # from a nudge to nearly the answer
    praise: str  # what the right answer means


class Wrong(Exception):
    """Ends a check: what is wrong with the answer, in words."""


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


@contextmanager
def learners_code(function: object, name: str = "your function") -> Iterator[None]:
    """Run what a learner wrote; `Wrong` if it is no function, or if it raises."""
    if not callable(function):
        raise Wrong(f"pass the function itself, not {type(function).__name__}")
    try:
        yield
    except Exception as error:
        what = f"{type(error).__name__}: {error!s:.120}".rstrip(": ")
        raise Wrong(f"{name} stopped with {what}") from None
