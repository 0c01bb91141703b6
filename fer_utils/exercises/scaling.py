"""Exercises of notebook 10: Amdahl's law, attempts, the size of a part."""

import math

from .exercise import exercise, learners_code, off_by

SHARE, TIMES = 0.90, 5  # in parallel; as fast
WRITE, PHOTO, BETWEEN = 2.0, 0.020, 3600.0  # seconds; see `lost` in the notebook
NEAR = 500  # photos


@exercise(
    "10.1",
    "Five times as fast: which share of the time is left, and how much of that does "
    "the part take that cannot be shared?",
    "A fifth of the time is left, and 0.1 of the whole cannot be shared. How much is "
    "left for the other 0.9?",
    "0.9 / n has to fit into 0.2 − 0.1; find the smallest n, or try one after the "
    "other with `amdahl(0.9, n)`.",
    praise="And no number of cores makes it more than ten times as fast.",
)
def cores_for_five(answer: object) -> str:
    return off_by(answer, SHARE / (1 / TIMES - (1 - SHARE)), 0.5)


@exercise(
    "10.2",
    "Which rows settle a photo for good, and which only count as an attempt?",
    "Settled is each photo with a row whose error does not start with `timeout`; an "
    "empty error is one of these. Count the attempts of all others.",
    "`tries = Counter(row['photo'] for row in rows)`, a set of the settled photos, and "
    "a list comprehension over `photos`, which keeps their order.",
    praise="Such a job ends by itself: what fails every time is not tried for ever.",
)
def still_to_do(answer: object) -> str:
    kinds = {
        "was answered": [""],
        "was never tried": [],
        "timed out once": ["timeout after 10 s"],
        "was answered after a time-out": ["timeout", ""],
        "was answered, in a row before that of a time-out": ["", "timeout"],
        "is damaged": ["the photo is damaged"],
        "timed out, and is damaged": ["timeout", "the photo is damaged"],
        "mentions a time-out, but not at the start": ["the address had a timeout"],
        "timed out twice": ["timeout"] * 2,
        "timed out three times": ["timeout"] * 3,
    }
    photos = [f"{number}.jpg" for number in (3, 9, 0, 7, 4, 1, 8, 5, 2, 6)]
    attempts = dict(zip(photos, kinds.values(), strict=True))
    rows = [
        {"photo": photo, "error": errors[turn]}
        for turn in range(3)
        for photo, errors in attempts.items()
        if turn < len(errors)
    ]
    for most in (3, 2):
        wanted = [
            photo
            for photo, errors in attempts.items()
            if len(errors) < most and all(e.startswith("timeout") for e in errors)
        ]
        with learners_code(answer):
            given = {"most": most} if most != 3 else {}
            found = list(answer(list(photos), [dict(row) for row in rows], **given))
        for photo, kind in zip(photos, kinds, strict=True):
            if (photo in found) != (photo in wanted):
                said = "has" if photo in found else "does not have"
                return f"with most={most}, a photo that {kind} {said} to be done"
        if sorted(found) != sorted(wanted):
            return "a photo is in the list twice, or was never asked for"
        if found != wanted:
            return "the photos are not in their order"
    return ""


@exercise(
    "10.3",
    "Draw `lost(size)` for sizes from 100 to 50,000. On which side is the time lost by "
    "writing, and on which by doing things again?",
    "Try them all: `sizes = np.arange(100, 50_000, 10)`, and look at the smallest of "
    "`lost(sizes)`.",
    "`sizes[lost(sizes).argmin()]`",
    praise="About two minutes of work: Young's rule, the square root of twice the time "
    "of writing times the time between two kills.",
)
def size_of_a_part(answer: object) -> str:
    def lost(size: int) -> float:
        useful = size * PHOTO
        return 1 - useful / (BETWEEN * math.expm1((useful + WRITE) / BETWEEN))

    return off_by(answer, min(range(100, 50_000, 10), key=lost), NEAR)
