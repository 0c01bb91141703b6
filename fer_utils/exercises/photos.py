"""Exercises of notebook 6: smoothing over time, a photo too dark, what costs most."""

import math
from collections.abc import Sequence

from PIL import Image, ImageEnhance

from .exercise import exercise, learners_code, off_by

EVERY, CONSTANT, WANTED = 0.2, 0.5, 0.8  # seconds, seconds, a probability
DARKNESS = 0.06  # of the brightness of the portrait: the answer is wrong


@exercise(
    "6.1",
    "With each look, what is missing to 1 shrinks by the same factor. Which factor?",
    "The factor is exp(−0.2 / 0.5). After n looks, exp(−0.2 n / 0.5) is still missing.",
    "Call `smooth(0.2 * np.arange(11), [0] + [1] * 10)`, and count the values after "
    "the first, up to the one that is above 0.8.",
    praise="It comes 0.8 seconds after the first look at the change: the price of an "
    "answer that does not flicker.",
)
def looks_until_sure(answer: object) -> str:
    rest = -math.log(1 - WANTED) * CONSTANT / EVERY
    return off_by(answer, math.ceil(rest), 0)


@exercise(
    "6.2",
    "The networks need differences between light and dark. Which grey values does the "
    "dark photo use, out of 0 to 255?",
    "Stretch the values so that the darkest becomes 0 and the lightest 255. "
    "`PIL.ImageOps` has a function for it.",
    "`ImageOps.autocontrast(photo)` returns such a photo. Return its result.",
    praise="A repair before the answer helps where the differences are only small. "
    "What the camera did not record, no repair brings back.",
)
def repair_the_dark(answer: object) -> str:
    from ..photos import PORTRAIT, Predictor, open_photo

    photo = open_photo(PORTRAIT)
    predictor = Predictor.load()
    dark = ImageEnhance.Brightness(photo).enhance(DARKNESS)
    for name, each in {"dark": dark, "usual": photo}.items():
        with learners_code(answer):
            mended = answer(each.copy())
        if not isinstance(mended, Image.Image):
            kind = type(mended).__name__
            return f"your function has to return an image of Pillow, not {kind}"
        if mended.size != photo.size:
            return f"the {name} photo comes back with another size"
        near = [face for face in predictor.predict(mended, 2) if _at_the_face(face.box)]
        if not near:
            return f"in the {name} photo, the face is not found"
        if near[0].emotion != "happy":
            return f"the {name} photo's answer is not *happy*"
    return ""


def _at_the_face(box: Sequence[int]) -> bool:
    """Whether a box holds the middle of the portrait's face."""
    left, top, right, bottom = box
    return left < 223 < right and top < 117 < bottom


@exercise(
    "6.3",
    "Compare each level with the line whose level is None. When are two intervals "
    "apart?",
    "The loss is beyond doubt where the upper end of the level's interval is below the "
    "lower end of the interval of the faces as they are.",
    "`{line.axis for line in card if line.high < whole.low}`, where `whole` is the "
    "line of the faces as they are.",
    praise="An axis that is not among them may cost something, too: intervals this "
    "wide cannot tell. More faces can.",
)
def beyond_doubt(answer: object, card: Sequence | None = None) -> str:
    try:
        whole = next(line for line in card if line.level is None)
    except (TypeError, AttributeError, StopIteration):
        return "pass the stress card along: `card=card`"
    truth = {line.axis for line in card if line.high < whole.low}
    if isinstance(answer, str) or not isinstance(
        answer, set | frozenset | list | tuple
    ):
        return "the answer has to be a set of names of axes"
    names = {line.axis for line in card} - {whole.axis}
    if strange := [name for name in answer if name not in names]:
        return f"{strange[0]!r:.30} is no axis of the card"
    missing, extra = len(truth - set(answer)), len(set(answer) - truth)
    parts = [f"{missing} missing"] * bool(missing) + [f"{extra} too many"] * bool(extra)
    return f"of the axes, {' and '.join(parts)}" if parts else ""
