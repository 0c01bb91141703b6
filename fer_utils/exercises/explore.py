"""Exercises of notebook 1, *Explore the data*."""

import numpy as np

from ..data import FER2013
from .exercise import exercise, learners_code, off_by


def no_data(data: object) -> str:
    """Return what is wrong with what was passed as `data`, or an empty text."""
    return "" if isinstance(data, FER2013) else "pass the faces along: `data=data`"


@exercise(
    "1.1",
    "The baseline always says one expression. Which one is it, now that *happy* is "
    "gone? The training images decide that.",
    "Training has counts for each expression in section 5. Take the most frequent one "
    "that is left, and count it in PublicTest, where the *happy* images are missing "
    "too.",
    "Keep the rows with `labels != 3` in both parts. `counts().argmax()` of the kept "
    "training images names the answer; its share of the kept PublicTest images is the "
    "accuracy.",
    praise="Without the largest class the baseline falls, and nobody has become worse: "
    "accuracies of tasks with different classes cannot be compared.",
)
def without_happy(answer: object, data: object = None) -> str:
    if problem := no_data(data):
        return problem
    train, val, _ = (part.select(part.labels != 3) for part in data.split())
    truth = (val.labels == train.counts().argmax()).mean()
    return off_by(answer, truth, 0.003)


@exercise(
    "1.2",
    "Draw lots for groups, not for images: two images with the same group number must "
    "go the same way.",
    "Get the distinct group numbers with `np.unique(groups)`, draw one random number "
    "for each of them, and look up the result for every image.",
    "`unique, which = np.unique(groups, return_inverse=True)`, then "
    "`rng.random(len(unique)) < share`, then index that with `which`.",
    praise="No image has a copy on the other side any more. The same idea keeps all "
    "pictures of a person on one side, where a data set names its people.",
)
def split_whole_groups(answer: object, data: object = None) -> str:
    rng = np.random.default_rng(5)
    groups = rng.permutation(np.r_[np.arange(400), np.repeat(np.arange(400, 500), 4)])
    with learners_code(answer, "`split_groups(groups, 0.25, 0)`"):
        first, same, other, more = (
            np.asarray(answer(groups.copy(), share, seed))
            for share, seed in ((0.25, 0), (0.25, 0), (0.25, 1), (0.6, 0))
        )
    if first.shape != groups.shape or first.dtype != bool:
        return "it has to return one True or False for each image, as an array"
    if set(groups[first]) & set(groups[~first]):
        return "some group has images on both sides"
    for share, part in ((0.25, first), (0.6, more)):
        if abs(part.mean() - share) > 0.12:
            return f"asked for {share:.0%}, it put {part.mean():.0%} into the test"
    if not np.array_equal(first, same):
        return "the same seed gave two different splits"
    if np.array_equal(first, other):
        return "another seed gave the same split"
    return ""


@exercise(
    "1.3",
    "Build a dictionary from group number to label with the Training images, then look "
    "up the PrivateTest images in it.",
    "`dict(zip(groups, labels))` on the Training rows makes it. Only PrivateTest rows "
    "whose group number is a key count.",
    "Over those rows, take the mean of `label_of[group] == label`.",
    praise="Someone who has only learned the training images by heart gets nearly all "
    "of these test images for free. That is why we report the *clean* score as well.",
)
def same_label(answer: object, data: object = None) -> str:
    if problem := no_data(data):
        return problem
    training, private = (data.usage == u for u in ("Training", "PrivateTest"))
    label_of = dict(zip(data.groups[training], data.labels[training], strict=True))
    copies = private & np.isin(data.groups, data.groups[training])
    there = [label_of[group] for group in data.groups[copies]]
    # So close that PublicTest's share, 0.0013 away, does not pass for PrivateTest's.
    return off_by(answer, (there == data.labels[copies]).mean(), 0.001)
