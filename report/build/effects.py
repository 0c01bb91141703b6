"""What moves a score on FER2013 although no network is better, in points."""

from itertools import groupby
from statistics import stdev
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context

from fer_utils import plots
from fer_utils.evaluation import interval
from fer_utils.plots.style import ACCENT, SECOND, STYLE, percent_tick, picture
from fer_utils.training import Run

from .facts import Facts, NotRun, people_on_private
from .tables import NBSP, table, value

FAMILY = "laptop"  # its variants are the candidates among whom one could choose
HALVES = 400  # random halves of PublicTest


class Mark(NamedTuple):
    """One score of a network: on which faces, by what, and how many faces there are."""

    what: str
    share: float
    count: int
    kind: str


BY_LABEL, BY_SPLIT, BY_VOTES = KINDS = (
    "right by the label, all faces", "right by the label, faces sorted by the votes",
    "right by the votes",
)  # fmt: skip


def luck_of_choice(facts: Facts, variants: bool = True) -> tuple[int, float]:
    """Return how many candidates, and how much too good the best of them looks.

    The candidates are all seeds of FAMILY, and those of its variants. One half of
    PublicTest chooses, the other says what the choice is worth; PrivateTest has twice
    as many faces as a half, so luck is smaller there by the root of two.
    """
    runs = [r for r in facts.runs if r.recipe.name.startswith(FAMILY)]
    if not variants:
        runs = facts.seeds(FAMILY)
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
    """Return the scores of one network, by what was asked, of which faces, and how."""
    run = facts.run(name)
    count, fewer = (int(value(run, "test", "count", clean=c)) for c in (False, True))
    clean = value(run, "test", clean=True)
    people, answers, labels = people_on_private(facts, run)
    hits, clear = answers == labels, people >= 0
    split = {
        "most people say the same": people == labels,
        "most people say something else": clear & (people != labels),
        "no answer has a majority": ~clear,
    }
    agreed = float((answers == people)[clear].mean())
    return [
        Mark("without copies, two views", clean, fewer, BY_LABEL),
        Mark("all images, two views", value(run, "test"), count, BY_LABEL),
        Mark("all images, six views", value(run, "test_6_views"), count, BY_LABEL),
        *[
            Mark(what, float(hits[of].mean()), int(of.sum()), BY_SPLIT)
            for what, of in split.items()
        ],
        Mark("one answer has a majority", agreed, int(clear.sum()), BY_VOTES),
    ]


@rc_context(STYLE)
def many_scores(facts: Facts, name: str) -> plots.Picture:
    """Draw the scores of one network with 95 % intervals."""
    shown = marks(facts, name)
    figure, ((axis,),) = picture(9, 3.5)
    colours = dict(zip(KINDS, (ACCENT, SECOND, "#009E73"), strict=True))
    for place, mark in enumerate(reversed(shown)):
        low, high = interval(mark.share, mark.count)
        axis.plot([low, high], [place, place], color=colours[mark.kind])
        axis.plot(mark.share, place, "o", color=colours[mark.kind])
        axis.text(high + 0.005, place, f"{mark.share:.1%}", va="center", fontsize=9)
    names = [f"{mark.what} ({mark.count:,})" for mark in reversed(shown)]
    axis.set_yticks(range(len(shown)), names)
    for kind, colour in colours.items():
        axis.plot([], [], "o-", color=colour, label=kind)
    figure.legend(loc="outside lower right", ncols=3, fontsize=9)
    axis.set_title(f"One network, {len(shown)} scores")
    axis.set_xlim(0.35, 0.95)
    axis.xaxis.set_major_formatter(percent_tick)
    axis.grid(axis="y", visible=False)
    return figure


def gains(facts: Facts, name: str, voter: str) -> str:
    """The table of effects: what, how many points, measured how.

    `voter`: a recipe like `name` that learned people's votes instead of labels.
    """
    without, full, six, *_ = (mark.share for mark in marks(facts, name))
    candidates, luck = luck_of_choice(facts)
    _, alike = luck_of_choice(facts, variants=False)
    count = int(value(facts.run(name), "test", "count"))
    low, high = interval(full, count)
    public = value(facts.run(name), "val_6_views") - value(facts.run(name), "val")
    copies = [worth(run) for run in official(facts)]
    habit = disputed(facts, name)[0] - disputed(facts, voter)[0]
    other = disputed(facts, name)[2]
    rows = [
        ["copies of training images", points(full - without), (
            f"all test images against those without a copy; {100 * min(copies):.1f} to "
            f"{100 * max(copies):.1f} for the {len(copies)} networks on record")],
        ["six views instead of two", points(six - full), (
            f"the same weights; {100 * public:+.1f} on PublicTest")],
        ["the best of several, chosen on the test part", points(luck), (
            f"{candidates} trainings of `{FAMILY}` and its variants: one half of "
            "PublicTest chooses, the other tells, √2 less for twice as many faces; "
            f"{points(alike)} among its three seeds alone")],
        ["another seed", f"±{NBSP}{200 * seed_spread(facts):.1f}", (
            "two standard deviations; mean of the recipes with three seeds")],
        ["other faces", f"±{NBSP}{50 * (high - low):.1f}", (
            f"95 % interval of {count:,} images")],
        ["learning labels instead of votes", points(habit), (
            f"how often the label is repeated on the {other:,} faces of PrivateTest "
            f"where most people say something else; `{name}` against `{voter}`")],
    ]  # fmt: skip
    return table(["", "points", "measured on"], rows, " r ")


def disputed(facts: Facts, name: str) -> tuple[float, float, int]:
    """Return what a network says where most people contradict the label of PrivateTest.

    The label, what people say (shares of those faces), and how many faces there are.
    """
    people, answers, labels = people_on_private(facts, facts.run(name))
    of = (people >= 0) & (people != labels)
    same = float((answers == labels)[of].mean()), float((answers == people)[of].mean())
    return *same, int(of.sum())


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
