"""What moves a score on FER2013 although the network stays the same, in points."""

from itertools import groupby
from statistics import stdev
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context

from fer_utils import plots
from fer_utils.evaluation import interval
from fer_utils.plots.style import ACCENT, SECOND, SOFT, STYLE, percent_tick, picture
from fer_utils.training import Run

from .facts import Facts, NotRun, digits
from .tables import NBSP, table, value

FAMILY = "laptop"  # its variants are the candidates among whom one could choose
HALVES = 400  # random halves of PublicTest


class Mark(NamedTuple):
    """One score of the network, on so many images; `real`: on record, not expected."""

    what: str
    share: float
    count: int
    real: bool = True


def people_on_private(facts: Facts, run: Run) -> np.ndarray:
    """Return what most people said of PrivateTest, int [N]; -1 where no majority did.

    The record keeps it, so that the report needs no votes; `NotRun` without it.
    """
    kept = facts.data.get("people", {})
    labels = run.predictions()["test_labels"]
    if kept.get("labels") != digits(labels):
        raise NotRun("`make report` with FER2013 and FER_VOTES")
    return np.array([int(sign) if sign != "-" else -1 for sign in kept["majority"]])


def luck_of_choice(facts: Facts) -> tuple[int, float]:
    """Return how many candidates, and how much too good the best of them looks.

    One half of PublicTest chooses, the other says what the choice is worth; PrivateTest
    has twice as many faces as a half, so luck is smaller there by the root of two.
    """
    runs = [r for r in facts.runs if r.recipe.name.startswith(FAMILY)]
    if len(runs) < 2:
        raise NotRun(FAMILY)
    stored = [run.predictions() for run in runs]
    right = [p["val_probabilities"].argmax(1) == p["val_labels"] for p in stored]
    right, rng, gains = np.array(right), np.random.default_rng(0), []
    for _ in range(HALVES):
        one, other = np.array_split(rng.permutation(right.shape[1]), 2)
        best = right[:, one].mean(1).argmax()
        gains.append(right[best, one].mean() - right[best, other].mean())
    return len(runs), float(np.mean(gains)) / 2**0.5


def marks(facts: Facts, name: str) -> list[Mark]:
    """Return the scores of one network, by what was asked and how."""
    run = facts.run(name)
    count, clean = (value(run, "test", "count", clean=c) for c in (False, True))
    six = value(run, "test_6_views")
    candidates, luck = luck_of_choice(facts)
    stored = run.predictions()
    answers, labels = stored["test_probabilities"].argmax(1), stored["test_labels"]
    people = people_on_private(facts, run)
    agreed, disputed = people == labels, (people >= 0) & (people != labels)
    clear = agreed | disputed
    hits = answers == labels
    return [
        Mark("without copies, two views", value(run, "test", clean=True), clean),
        Mark("all images, two views", value(run, "test"), count),
        Mark("all images, six views", six, count),
        Mark(f"the same, if the best of {candidates} there", six + luck, count, False),
        Mark("the label, where people say the same", hits[agreed].mean(), agreed.sum()),
        Mark("the label, where they do not", hits[disputed].mean(), disputed.sum()),
        Mark(
            "people, where most agree", (answers == people)[clear].mean(), clear.sum()
        ),
    ]


@rc_context(STYLE)
def many_scores(facts: Facts, name: str) -> plots.Picture:
    """Draw the scores of one network with 95 % intervals."""
    shown = marks(facts, name)
    figure, ((axis,),) = picture(9, 3.3)
    for place, mark in enumerate(reversed(shown)):
        low, high = interval(mark.share, int(mark.count))
        colour = ACCENT if len(shown) - place <= 4 else SECOND
        axis.plot([low, high], [place, place], color=colour if mark.real else SOFT)
        face = colour if mark.real else "white"
        edge = colour if mark.real else SOFT
        axis.plot(mark.share, place, "o", color=edge, markerfacecolor=face)
        words = f"{mark.share:.1%}" + ("" if mark.real else ", expected")
        axis.text(high + 0.005, place, words, va="center", fontsize=9)
    axis.set_yticks(range(len(shown)), [mark.what for mark in reversed(shown)])
    axis.set_title(f"One network, {len(shown)} scores")
    axis.set_xlim(0.35, 0.95)
    axis.xaxis.set_major_formatter(percent_tick)
    axis.grid(axis="y", visible=False)
    return figure


def gains(facts: Facts, name: str) -> str:
    """The table of effects: what, how many points, measured how."""
    found = {mark.what: mark.share for mark in marks(facts, name)}
    without, full, six, _, same, other, _ = found.values()
    candidates, luck = luck_of_choice(facts)
    count = value(facts.run(name), "test", "count")
    low, high = interval(full, int(count))
    public = value(facts.run(name), "val_6_views") - value(facts.run(name), "val")
    copies = [worth(run) for run in official(facts)]
    rows = [
        ["copies of training images", points(full - without), (
            f"all test images against those without a copy; {100 * min(copies):.1f} to "
            f"{100 * max(copies):.1f} for the {len(copies)} networks on record")],
        ["six views instead of two", points(six - full), (
            f"the same weights; {100 * public:+.1f} on PublicTest")],
        ["the best of several, chosen on the test part", points(luck), (
            f"{candidates} trainings of `{FAMILY}` and its variants; one random half "
            "of PublicTest chooses, the other tells")],
        ["another seed", f"±{NBSP}{100 * seed_spread(facts):.1f}", (
            "standard deviation; mean of the recipes with three seeds")],
        ["other faces", f"±{NBSP}{50 * (high - low):.1f}", (
            f"95 % interval of {int(count):,} images")],
        ["a label that people agree with", points(same - other), (
            "PrivateTest, where most people say the same as the label, against where "
            "they say something else")],
    ]  # fmt: skip
    return table(["", "points", "measured on"], rows, " r ")


def points(share: float) -> str:
    return f"{100 * share:+.1f}"


def worth(run: Run) -> float:
    """What copies add to a run's test accuracy."""
    return value(run, "test") - value(run, "test", clean=True)


def official(facts: Facts) -> list[Run]:
    """The runs on record that were tested on PrivateTest for all seven expressions."""
    kind = ("official", "all")
    runs = [r for r in facts.runs if (r.recipe.protocol, r.recipe.classes) == kind]
    return [run for run in runs if run.scores("test")]


def seed_spread(facts: Facts) -> float:
    """The mean standard deviation over seeds of PrivateTest's accuracy."""
    runs = sorted(official(facts), key=lambda run: run.recipe.name)
    groups = [list(of) for _, of in groupby(runs, key=lambda run: run.recipe.name)]
    found = [stdev(value(r, "test") for r in group) for group in groups if group[2:]]
    if not found:
        raise NotRun("a recipe with three seeds")
    return float(np.mean(found))
