"""Exercises of notebook 7: waiting clients, errors as status codes, two bits."""

import numpy as np

from ..errors import FerError, PhotoError
from .exercise import exercise, learners_code, off_by

AT_ONCE, SECONDS, CLIENTS = 2, 0.040, 16
STATUS = {"unsupported": 415, "too_large": 413, "too_small": 422}
STEPS = 1  # whole numbers from −1 to 1


@exercise(
    "7.1",
    "How many photos does the service finish in a second, when it is always busy?",
    "Two at a time, 40 ms each: 50 a second. Little's law: clients = answers a second "
    "× seconds that each of them waits.",
    "The 16 clients share 50 answers a second, so each gets one in 16 / 50 seconds.",
    praise="With twice the clients it would be twice as long, and not one answer more.",
)
def wait_of_sixteen(answer: object) -> str:
    return off_by(answer, 1000 * CLIENTS * SECONDS / AT_ONCE, 1)


@exercise(
    "7.2",
    "Which class does `isinstance` have to ask for first: `PhotoError`, or `FerError`?",
    "First `PhotoError`, by its `kind`, with 400 for kinds that have no code of their "
    "own; then `FerError`; then all the rest.",
    "With STATUS from section 2: `STATUS.get(error.kind, 400)` for a `PhotoError`.",
    praise="The client learns whether to change the photo, the option, or nothing.",
)
def status_of_errors(answer: object) -> str:
    errors = [PhotoError("a photo", kind) for kind in (*STATUS, "broken", "url")]
    wanted = [*STATUS.values(), 400, 400]
    cases = [*zip(errors, wanted, strict=True), (FerError("an option"), 422)]
    cases += [(ZeroDivisionError("ours"), 500), (ValueError("ours"), 500)]
    for error, status in cases:
        with learners_code(answer):
            found = answer(error)
        if found != status:
            kind = getattr(error, "kind", "")
            what = type(error).__name__ + (f" of kind {kind!r}" if kind else "")
            return f"for a {what}, the code should be another than {found!r:.20}"
    return ""


@exercise(
    "7.3",
    "Which number in `quantised` says how many steps there are?",
    "Divide by 1 instead of 127, once with `per_channel` and once without.",
    "Both errors as in section 4, with 1 for 127; then the first by the second.",
    praise="Nearly all weights become 0 in both ways, so the scale hardly matters.",
)
def two_bits(answer: object, weights: object = None) -> str:
    try:
        array = np.asarray(weights, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 4 or not np.isfinite(array).all():
        return "pass the weights along: `weights=weights`"
    errors = []
    for axes in (None, (1, 2, 3)):
        scale = np.abs(array).max(axis=axes, keepdims=True) / STEPS
        whole = np.round(array / scale)
        errors.append(np.sqrt(np.mean((whole * scale - array) ** 2)))
    truth = errors[0] / errors[1]
    return off_by(answer, truth, 0.01 * truth)
