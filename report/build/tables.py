"""The tables of the report and the README, as Markdown, from what is on record."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import ceil, floor
from statistics import fmean, stdev

import torch

from fer_utils import formats
from fer_utils.evaluation import AXES
from fer_utils.labels import EMOTIONS, parse_classes
from fer_utils.models import Recognizer, load_model
from fer_utils.shipped import SHIPPED
from fer_utils.training import Recipe, Run, recipe

from .facts import NOT_RUN, Facts, NotRun, people_on_private

NBSP = "\N{NO-BREAK SPACE}"
DASH = "–"
YARDSTICKS = (
    "laptop", "votes-laptop", "votes-laptop-photo", "wide-cnn-triangle", "taught",
    "votes-first", "votes-wide", "votes-deep", "votes-photo", "people",
)  # fmt: skip
TESTS = {"official": "PrivateTest", "course": "both test sets", "csv": "PrivateTest"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> str:
    """A Markdown table; columns whose place holds `r` in `right` are right-aligned."""
    marks = ["---:" if place == "r" else "---" for place in right.ljust(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *rows))


def percent(value: float, digits: int = 1) -> str:
    """0.6941 → 69.4 %."""
    return f"{100 * value:.{digits}f}{NBSP}%"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    return formats.duration(seconds).replace(" ", NBSP)


def values(
    runs: Run | Sequence[Run], part: str, key="accuracy", clean=False
) -> list[float]:
    """The scores of those runs that have one."""
    runs = [runs] if isinstance(runs, Run) else runs
    found = [run.record.scores[part] for run in runs if part in run.record.scores]
    if clean:  # without copies the clean part is all of it
        found = [scores.clean or scores for scores in found]
    return [getattr(scores, key) for scores in found]


def value(runs: Run | Sequence[Run], part: str, key="accuracy", clean=False) -> float:
    """A score; of several seeds, their mean. `NotRun` where none is on record."""
    if found := values(runs, part, key, clean):
        return fmean(found)
    raise NotRun(part)


def score(runs: Run | Sequence[Run], part: str, key="accuracy", clean=False) -> str:
    """A score in per cent; of several seeds, mean ± standard deviation."""
    return spread(values(runs, part, key, clean))


def spread(found: Sequence[float]) -> str:
    """Shares in per cent: one as it is, several as mean ± standard deviation."""
    if not found:
        return NOT_RUN
    if len(found) < 2:
        return percent(found[0])
    return f"{100 * fmean(found):.1f}{NBSP}±{NBSP}{100 * stdev(found):.1f}{NBSP}%"


def scores(runs: Run | Sequence[Run], part: str) -> list[str]:
    """Accuracy on all images and on the clean ones, and macro-F1."""
    accuracy, clean = score(runs, part), score(runs, part, clean=True)
    return [accuracy, clean, score(runs, part, "macro_f1")]


def took(runs: Sequence[Run]) -> str:
    """Time and hardware of a training; of several, the mean on each hardware."""
    if not runs:
        return NOT_RUN
    seconds: dict[str, list[float]] = {}
    for run in runs:
        where = str(run.record.hardware).replace(" thread", f"{NBSP}thread")
        seconds.setdefault(where, []).append(run.record.seconds)
    found = sorted(seconds.items())
    return ", ".join(f"{duration(fmean(times))} ({where})" for where, times in found)


def network(chosen: Recipe) -> str:
    early = f"{chosen.early_size}→" if chosen.early_size else ""
    return f"{chosen.model}, {early}{chosen.input_size}"


def results(facts: Facts, names: Sequence[str] = ()) -> str:
    """Every recipe with its scores; several seeds as mean ± standard deviation."""
    rows = []
    for name in names or facts.names():
        for kind in sorted({run.record.profile for run in facts.seeds(name)} or {""}):
            runs = facts.seeds(name, kind)
            chosen = runs[0].recipe if runs else recipe(name, "cpu")
            protocol, shown = chosen.protocol, f"`{name}`"
            if chosen.classes != "all":
                protocol += f", {len(parse_classes(chosen.classes))} classes"
            if len(runs) > 1:
                shown += f", {len(runs)} seeds"
            found = score(runs, "val"), *scores(runs, "test"), took(runs)
            rows.append([shown, network(chosen), protocol, *found])
    head = (
        "recipe", "network, input", "protocol", "val", "test", "test, clean",
        "macro-F1", "one training",
    )  # fmt: skip
    return table(head, rows, "   rrrr ")


def reference_table(facts: Facts, brief: bool = False) -> str:
    """Each published figure beside ours: protocol, hardware, time, ratio.

    `brief` leaves the network out, which the table of all recipes has.
    """
    projects = {p["letter"]: p for p in facts.references["project"]}
    figures = facts.references["figure"]
    rows = [[*_theirs(one, projects), *_ours(facts, one, brief)] for one in figures]
    head = (
        "reference", "figure", "protocol; hardware, time", "ours", "full", "clean",
        "hardware, time", "ratio",
    )  # fmt: skip
    return table(head, rows, " r  rr r")


def _theirs(figure: dict, projects: dict[str, dict]) -> list[str]:
    project, share = projects[figure["project"]], figure.get("value")
    shown = published(share) if share else f"{figure['milliseconds']}{NBSP}ms"
    where = project["short"]
    if project["hardware"] != "not stated":
        where += f"; {project['hardware']}"
        where += f", {duration(figure['seconds'])}" if "seconds" in figure else ""
    name = f"**{project['letter']}** {figure['setting']}"
    return [name, f"{shown} {figure['metric']}", where]


def published(share: float) -> str:
    """A share with as many digits of a per cent as it was published with."""
    return percent(share, max(0, len(f"{share:.6g}") - 4))


def _ours(facts: Facts, figure: dict, brief: bool) -> list[str]:
    if "milliseconds" in figure:
        return _our_time(facts, figure["milliseconds"])
    if not figure["ours"]:
        return [NOT_RUN, *[DASH] * 4]
    name, part = f"`{figure['ours']}`", figure["part"]
    try:
        # A GPU's full settings are nearest to the reference's own, where they were run.
        run = facts.run(figure["ours"], prefer="full")
        runs = facts.seeds(figure["ours"], run.record.profile)
        name += "" if brief else f" ({network(run.recipe)})"
        name += f", {len(runs)} seeds" if len(runs) > 1 else ""
        ratio = f"{value(runs, part) / figure['value']:.2f}"
    except NotRun:
        return [name, *[NOT_RUN] * 4]
    if figure["metric"] == "training images" or "its failure" in figure["setting"]:
        ratio = DASH  # of images seen in training, or low on purpose: no comparison
    return [name, *scores(runs, part)[:2], took(runs), ratio]


def _our_time(facts: Facts, theirs: float) -> list[str]:
    shown = cpu = ratio = NOT_RUN
    with suppress(NotRun):
        ours = 1000 * facts.bench_row("answer a photo")["alone"]
        shown, ratio = f"{ours:.0f}{NBSP}ms", f"{theirs / ours:.1f}{NBSP}×"
        cpu = f"{facts.bench['hardware']['cores']}-core CPU"
    return ["`people`, a photo with one face", shown, DASH, cpu, ratio]


def peers(facts: Facts, cite: Callable[[str], str]) -> str:
    """Published records, and our best single network of the official protocol."""
    rows = []
    for peer in facts.references["peer"]:
        what = f"{peer['what']} {cite(peer['cite'])}"
        chosen = peer["chosen"]
        if "evidence" in peer:
            chosen = f"[{chosen}]({peer['evidence']})"
        kind = str(peer["views"] or "?"), str(peer["networks"])
        rows.append([what, published(peer["value"]), *kind, chosen, peer["extra"]])
    runs = [run for run in facts.runs if {"val", "test"} <= run.record.scores.keys()]
    same = ("official", "all")
    runs = [r for r in runs if (r.recipe.protocol, r.recipe.classes) == same]
    # The best by PublicTest: choosing by PrivateTest is what this table warns of.
    best = max(runs, key=lambda run: value(run, "val"), default=None)
    what, accuracy, extra = "**ours**", NOT_RUN, DASH
    if best:
        what += f", `{best.recipe.name}`, {parameters(best)} weights"
        accuracy = score(facts.seeds(best.recipe.name, best.record.profile), "test")
        extra = "votes" if best.recipe.from_votes else "none"
        extra = "ImageNet" if best.recipe.pretrained else extra
    rows.append([what, accuracy, "2", "1", "PublicTest", extra])
    head = (
        "network", "PrivateTest", "views", "networks", "chosen on", "extra data"
    )  # fmt: skip
    return table(head, rows, " rrr")


def faults(facts: Facts) -> str:
    """Quiet faults of published code: what they do, and where they can be seen."""
    rows = []
    for fault in facts.references["fault"]:
        seen = f"[{fault['project']}]({fault['evidence']})"
        rows.append([fault["what"], fault["does"], seen, fault["lesson"]])
    return table(("fault", "what it does", "seen in", "notebook"), rows)


def parameters(run: Run) -> str:
    """How many weights, in words."""
    with torch.device("meta"):  # counted, never filled
        network = Recognizer(run.recipe.model, parse_classes(run.recipe.classes))
    count = sum(weight.numel() for weight in network.parameters())
    return f"{count / 1e6:.1f}{NBSP}M" if count >= 1e6 else f"{count / 1e3:.0f}{NBSP}k"


def compared(facts: Facts, names: dict[str, str], part: str = "val") -> str:
    """Some recipes side by side: name → what is different about it."""
    rows = []
    for name, what in names.items():
        run = facts.find(name)
        runs, epochs = ([run], str(len(run.history))) if run else ([], NOT_RUN)
        rows.append([what, f"`{name}`", *scores(runs, part), epochs, took(runs)])
    head = ("", "recipe", part, "clean", "macro-F1", "epochs", "training")
    return table(head, rows, "  rrrr")


def rare(facts: Facts, names: dict[str, str], part: str = "val") -> str:
    """What the cures for rare classes do: overall, and for the rare class itself."""
    rows = []
    for name, what in names.items():
        run, cells = facts.find(name), [NOT_RUN] * 4
        if run and (found := run.scores(part)):
            row = next(v for k, v in found.per_class.items() if "disgust" in k)
            shares = found.accuracy, found.macro_f1, row["recall"], row["precision"]
            cells = map(percent, shares)
        rows.append([what, f"`{name}`", *cells])
    head = ("", "recipe", part, "macro-F1", "recall of *disgust*", "precision")
    return table(head, rows, "  rrrr")


def per_class(facts: Facts, name: str, part: str = "test") -> str:
    """Precision, recall, F1 of every expression, and how often people agree."""
    run, agreed, rows = facts.find(name), facts.data.get("agreement", {}), []
    found = run and run.scores(part)
    for emotion in EMOTIONS:
        cells = [NOT_RUN] * 4
        if found:
            row = found.per_class[emotion]
            cells = [percent(row[key]) for key in ("precision", "recall", "f1")]
            cells.append(f"{row['support']:,}")
        others = percent(agreed[emotion], 0) if emotion in agreed else DASH
        rows.append([emotion, *cells, others])
    head = ("", "precision", "recall", "F1", "images", "FER+ agrees with the label")
    return table(head, rows, " rrrrr")


def class_counts(facts: Facts) -> str:
    """Images of every expression in every split."""
    counts = facts.data["counts"].items()
    rows = [[usage, *[f"{n:,}" for n in (*row, sum(row))]] for usage, row in counts]
    return table(("", *EMOTIONS, "all"), rows, " rrrrrrrr")


def protocols(facts: Facts) -> str:
    """The three ways to split, their sizes and their copies."""
    rows = []
    for name, (copies, *sizes) in facts.data["protocols"].items():
        shown = f"{copies} ({percent(copies / sizes[2])})"
        rows.append([f"`{name}`", *[f"{n:,}" for n in sizes], shown])
    return table(("protocol", "train", "val", "test", "test copies"), rows, " rrrr")


def bench(facts: Facts) -> str:
    """Ours beside the usual way, as the bench measured them."""
    rows = []
    for row in facts.bench.get("rows", []):
        show = duration if row["unit"] == "s" else f"{{:,.0f}}{NBSP}MB".format
        sides = show(row["usual"]), show(row["ours"])
        alone = f" (alone: {duration(row['alone'])})" if "alone" in row else ""
        rows.append([row["what"] + alone, *sides, f"{row['ratio']:.1f}{NBSP}×"])
    for row in facts.bench.get("time_to", []):
        threads = f"{row['threads']}{NBSP}thread{'s' * (row['threads'] > 1)}"
        ours = f"{duration(row['seconds'])} (`{row['run']}`, {threads} of {row['cpu']})"
        rows.append([row["what"], DASH, ours, DASH])
    rows = rows or [["`make bench`", *[NOT_RUN] * 3]]
    return table(("", "the usual way", "ours", "ratio"), rows, " rrr")


def yardsticks(facts: Facts) -> str:
    """Agreement with people and with labels, PrivateTest, of recipes of both kinds."""
    rows = []
    for name in YARDSTICKS:
        runs = [run for run in facts.seeds(name) if people([run])]
        cells = [learned(run.recipe) for run in runs[:1]] or [NOT_RUN]
        cells[0] += ", and its teachers" if runs and runs[0].recipe.teacher else ""
        cells += [str(len(runs) or DASH), spread(people(runs))]
        cells += [spread(people(runs, key="balanced"))]
        cells += [spread([label_there(facts, run) for run in runs])]
        rows.append([f"`{name}`", *cells, score(runs, "test")])
    head = (
        "recipe", "learns", "seeds", "people", "people, classes alike",
        "label, same faces", "label, all faces",
    )  # fmt: skip
    return table(head, rows, "  rrrrr")


def learned(recipe: Recipe) -> str:
    if recipe.labels == "fer+":
        return "votes"
    return "votes, then labels" if recipe.from_votes else "labels"


def label_there(facts: Facts, run: Run) -> float:
    """Return how often an answer is FER2013's label where most people agree."""
    people, answers, labels = people_on_private(facts, run)
    return float((answers == labels)[people >= 0].mean())


def people(runs: Sequence[Run], part="test", key="agreement") -> list[float]:
    """The scores by FER+ votes of those runs that have one."""
    found = [run.scores(part) for run in runs]
    return [getattr(each.people, key) for each in found if each and each.people]


def stress(facts: Facts) -> str:
    """Both shipped networks on spoilt faces, an axis a row: the mean of its levels."""
    names = [load_model(name).metadata["recipe"]["name"] for name in SHIPPED]
    cards = [facts.stress["cards"][name]["people"] for name in names]
    rows = []
    units = {axis.name: axis.unit for axis in AXES}
    for axis in dict.fromkeys(line["axis"] for line in cards[0]):
        of = [[line for line in card if line["axis"] == axis] for card in cards]
        levels = ", ".join(f"{x['level']:g}" for x in of[0] if x["level"] is not None)
        levels += f" ({units[axis]})" if levels else ""
        means = [percent(fmean(line["accuracy"] for line in lines)) for lines in of]
        rows.append([axis, levels or DASH, *means])
    head = ("", "levels", *[f"`{name}`" for name in SHIPPED])
    return table(head, rows, "  rr")


def best(facts: Facts) -> str:
    """Five networks: the two that ship, as their files say, and three on record."""
    rows = []
    for name in SHIPPED:
        about = load_model(name).metadata
        runs = facts.seeds(about["recipe"]["name"], "cpu")
        said, views = about["scores"]["test"], str(about["views"])
        full, clean = said["accuracy"], said["clean"]["accuracy"]
        shown = said["people"]["agreement"], full, clean
        rows.append([f"`{name}`, ships", views, "1", *map(percent, shown), took(runs)])
    for name in ("wide-cnn-triangle", "compact-cnn", "laptop"):
        runs = facts.seeds(name, "cpu")
        row = [f"`{name}`", "2", str(len(runs) or DASH), spread(people(runs))]
        rows.append([*row, *scores(runs, "test")[:2], took(runs)])
    head = (
        "network", "views", "seeds", "agrees with people", "FER2013's label", "clean",
        "one training",
    )  # fmt: skip
    return table(head, rows, " rrrrr ")


def reproduce(facts: Facts) -> str:
    """What to type, how long it takes, and which score to expect."""
    rows = []
    for name in facts.names():
        runs = facts.seeds(name, "cpu") or facts.seeds(name)
        part = "test" if values(runs, "test") else "val"
        shown = TESTS[runs[0].recipe.protocol] if part == "test" else "validation"
        times = [took(facts.seeds(name, profile)) for profile in ("cpu", "full")]
        rows.append([f"`{name}`", *times, expected(values(runs, part)), shown])
    head = ("recipe", "laptop (`cpu`)", "GPU (`full`)", "expect", "on")
    return table(head, rows, "   r ")


def expected(found: Sequence[float]) -> str:
    """The range to expect: two deviations of the seeds, and a point at least."""
    if not found:
        return NOT_RUN
    middle = fmean(found)
    margin = max(0.01, 2 * stdev(found)) if len(found) > 1 else 0.01
    low, high = floor(100 * (middle - margin)), ceil(100 * (middle + margin))
    return f"{low} to {high}{NBSP}%"
