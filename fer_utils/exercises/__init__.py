"""The exercises at the end of each notebook: checked, with hints, one after the other.

A module for each notebook holds its exercises; `check` is what learners call.
"""

import importlib
from collections import Counter
from importlib.util import find_spec
from typing import NamedTuple

from ..errors import FerError
from .exercise import EXERCISES, Wrong

# The module of a notebook's exercises, by the notebook's number.
LESSONS = {1: "explore", 2: "augmentation", 3: "training", 4: "fine_tuning"}
LESSONS |= {5: "evaluation", 6: "photos", 7: "serving", 8: "records"}
LESSONS |= {9: "quiet_faults", 10: "scaling"}
TRIES: Counter[str] = Counter()  # wrong answers so far, by exercise


class Verdict(NamedTuple):
    """What `check` found; a notebook shows the text, `if` and `assert` ask `right`."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text


def check(number: str, answer: object, **given) -> Verdict:
    """Return whether an exercise is solved; every wrong answer brings a clearer hint.

    `number`: as in the notebook, "3.2". `given`: what the exercise says to pass along.
    """
    number = str(number)
    one = find(number)
    if answer is None or answer is ...:
        return Verdict(False, f"**{number}** is still open: give an answer.")
    try:
        problem = one.problem(answer, **given)
    except Wrong as wrong:
        problem = str(wrong)
    if not problem:
        TRIES.pop(number, None)
        return Verdict(True, f"**{number} is right.** {one.praise}".rstrip())
    TRIES[number] += 1
    hint = one.hints[min(TRIES[number], len(one.hints)) - 1]
    return Verdict(False, f"**{number}, not yet:** {problem}. *Hint:* {hint}")


def find(number: str):
    """Return an exercise; `FerError` if there is none of this number."""
    lesson = number.partition(".")[0]
    module = LESSONS.get(int(lesson) if lesson.isdecimal() else 0)
    if module and find_spec(f"{__name__}.{module}"):
        importlib.import_module(f".{module}", __name__)
    if number not in EXERCISES:
        raise FerError(
            f"there is no exercise {number!r:.40}; notebook 3's second one is '3.2'"
        )
    return EXERCISES[number]
