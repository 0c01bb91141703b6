"""Exercises of notebook 5: what scores depend on, decisions by cost, sample sizes."""

import numpy as np

from ..evaluation import interval
from .exercise import exercise, learners_code, off_by

HAPPY, FEAR = 3, 2
WORDS = ("lower", "same", "higher")


@exercise(
    "5.1",
    "Which row of the confusion matrix is halved, and which sums contain that row?",
    "A recall is computed inside a single row. A precision is computed in a column, "
    "and every column runs through the halved row.",
    "Halve the row of happy in `counts` and compute all four scores again, as in "
    "section 2.",
    praise="A recall is a property of its own class. A precision and the accuracy "
    "depend on how many faces of each class the test holds.",
)
def fewer_happy_faces(answer: object, counts: np.ndarray | None = None) -> str:
    if np.shape(counts) != (7, 7):
        return "pass the confusion matrix along: `counts=counts`"
    counts = np.asarray(counts, float)
    fewer = counts.copy()
    fewer[HAPPY] /= 2
    truth = {}
    for (key, before), after in zip(
        _four_scores(counts).items(), _four_scores(fewer).values(), strict=True
    ):
        truth[key] = WORDS[1 + (after > before + 1e-9) - (after < before - 1e-9)]
    if not isinstance(answer, dict) or set(answer) != set(truth):
        return f"the answer has to be a dict with the keys {', '.join(truth)}"
    if strange := [word for word in answer.values() if word not in WORDS]:
        return f"{strange[0]!r:.20} is none of the words {', '.join(WORDS)}"
    wrong = sum(answer[key] != truth[key] for key in truth)
    return f"{wrong} of the four words {'is' if wrong == 1 else 'are'} not right" * (
        wrong > 0
    )


def _four_scores(counts: np.ndarray) -> dict[str, float]:
    found, labels, answers = np.diag(counts), counts.sum(1), counts.sum(0)
    return {
        "recall of happy": found[HAPPY] / max(labels[HAPPY], 1),
        "precision of happy": found[HAPPY] / max(answers[HAPPY], 1),
        "recall of fear": found[FEAR] / max(labels[FEAR], 1),
        "accuracy": found.sum() / counts.sum(),
    }


@exercise(
    "5.2",
    "The expected cost of the answer j is a sum over all labels i: the probability of "
    "i, times the cost of answering j when i is true.",
    "Such sums for all faces and all answers at once are one product of two matrices.",
    "`probabilities @ costs` holds the expected costs, a row for each face. What is "
    "left is to find the place of the smallest one in each row.",
    praise="The network stays as it is: good probabilities let you change the decision "
    "without training again.",
)
def decide_by_cost(answer: object) -> str:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.ones(7), 60)
    costs = rng.uniform(0, 10, (7, 7)) * (1 - np.eye(7))
    equal = 1 - np.eye(7)
    with learners_code(answer):
        plain, chosen = (
            np.asarray(answer(probabilities.copy(), table.copy()))
            for table in (equal, costs)
        )
    if chosen.shape != (60,) or chosen.dtype.kind not in "iu":
        kind = f"shape {chosen.shape} of {chosen.dtype}"
        return f"60 faces need 60 whole numbers from 0 to 6, not {kind}"
    if (plain != probabilities.argmax(1)).any():
        if (plain == (probabilities @ equal).argmax(1)).all():
            return "it chooses the answer with the highest expected cost"
        return "with equal costs, the answer has to be the likeliest class"
    if (chosen == (probabilities @ costs).argmin(1)).all():
        return ""
    if (chosen == (probabilities @ costs.T).argmin(1)).all():
        return "rows and columns of the costs are exchanged: the row is the true label"
    return "with unequal costs, some answers are not the cheapest"


@exercise(
    "5.3",
    "Half the width of the interval has to be at most half a point. Try some counts "
    "with `interval(0.68, count)`.",
    "Four times as many faces halve the interval. Start from the table in section 8 "
    "and work out how many times the faces you need.",
    "Count up in steps of 1,000 and stop at the first count whose interval is at most "
    "one point wide from end to end.",
    praise="That is about as many faces as all of FER2013 has, and its test part is a "
    "tenth of it.",
)
def faces_for_half_a_point(answer: object) -> str:
    truth = 1000
    while np.diff(interval(0.68, truth))[0] > 0.01:
        truth += 1000
    remark = off_by(answer, truth, 0)
    # An exact count is right in itself: do not call it too small.
    if remark.endswith(("small", "large")) and float(answer) % 1000:
        return "round up to full thousands, such as 5_000"
    return remark
