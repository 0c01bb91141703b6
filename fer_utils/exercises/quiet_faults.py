"""Notebook 9: what goes wrong without an error message."""

import numpy as np

from .exercise import exercise, learners_code, off_by


@exercise(
    "9.1",
    "float16 keeps eleven binary digits: near which number is the next one 2 away?",
    "between 2^10 and 2^11 the numbers of float16 are 1 apart; after 2^11, 2 apart",
    "try it: `count = torch.zeros((), dtype=torch.float16)`, then `count += 1` in a "
    "loop of 3,000",
    praise="From there on, one more rounds back to the same number. Count in integers.",
)
def count_in_float16(answer: object) -> str:
    count = np.float16(0)
    for _ in range(3000):
        count = np.float16(count + np.float16(1))
    return off_by(answer, float(count), 0.5)


@exercise(
    "9.2",
    "a picture that occurs twice has to go to one side with all its copies",
    "split `np.unique(groups)` first, 80 to 20; only then look for the rows of each "
    "part, and draw rows of rare classes again, in the training part alone",
    "groups on the validation side: `chosen = rng.permutation(np.unique(groups))`, the "
    "first fifth; `held = np.isin(groups, chosen)`; then `rng.choice(rows, missing)` "
    "for each class among the rows that are not held",
    praise="No picture is on both sides, and validation is left as it was.",
)
def split_then_oversample(answer: object) -> str:
    labels, groups = small_set()
    with learners_code(answer, "on a small example, your function"):
        tries = [answer(labels.copy(), groups.copy(), seed) for seed in (0, 0, 1)]
        (train, val), again, other = (tuple(map(np.asarray, one)) for one in tries)
        if bool in (train.dtype, val.dtype):
            return "it returned True and False for each row; return the rows' numbers"
        pictures = [set(groups[part].tolist()) for part in (train, val)]
        repeats = pictures[1] == set(groups[again[1]].tolist())
        moves = pictures[1] != set(groups[other[1]].tolist())
    share = len(pictures[1]) / len(np.unique(groups))
    counts = np.bincount(labels[train], minlength=labels.max() + 1)
    if pictures[0] & pictures[1]:
        return "at least one picture is on both sides"
    if len(np.unique(val)) < len(val):
        return "a row occurs twice in the validation part"
    if not 0.15 <= share <= 0.25:
        return f"the validation part holds {share:.0%} of the pictures, not a fifth"
    if len(pictures[0]) + len(pictures[1]) < len(np.unique(groups)):
        return "some pictures are on neither side"
    if np.ptp(counts):
        return "the classes of the training part are not equally large"
    if not repeats:
        return "the same seed gave two different splits"
    return "" if moves else "another seed gave the same split"


def small_set() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and picture numbers of 300 rows; 40 of them are copies."""
    rng = np.random.default_rng(9)
    labels = rng.choice(3, 260, p=[0.1, 0.3, 0.6])
    groups = np.arange(260)
    copies = rng.choice(260, 40, replace=False)
    order = rng.permutation(300)
    return np.r_[labels, labels[copies]][order], np.r_[groups, groups[copies]][order]


@exercise(
    "9.3",
    "how many faces should the last batch hold, to count far too much?",
    "look for sizes that leave one single face for the last batch, and few batches",
    "try them all: `max(range(2, 1001), key=misled)`",
    praise="One face alone then counts as much as a whole batch.",
)
def most_misleading_batch(answer: object, right) -> str:
    """`right`: whether each answer is right, in the order of the batches."""
    right = np.asarray(right, float)
    if problem := off_by(answer, 501, 499):
        return f"{problem}; sizes go from 2 to 1,000"
    size = float(answer)
    if size % 1:
        return "a batch size has to be a whole number"
    worst = max(batch_bias(right, other) for other in range(2, 1001))
    found = batch_bias(right, int(size))
    if found >= worst - 1e-6:
        return ""
    return f"batches of {size:.0f} mislead by {found:.2%}, and another size by more"


def batch_bias(right: np.ndarray, size: int) -> float:
    """Return how far the mean of the batches' means is from the mean."""
    starts = range(0, len(right), size)
    means = [right[start : start + size].mean() for start in starts]
    return abs(float(np.mean(means) - right.mean()))
