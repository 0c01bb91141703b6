"""The tables of the report and the README, as Markdown, from what is on record."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, stdev

from facts import NOT_RUN, Facts, bench_row, parameter_count
from fer_utils import suite
from fer_utils.labels import EMOTIONS
from fer_utils.recipes import recipe, recipe_names
from fer_utils.run import Run

NBSP = "\N{NO-BREAK SPACE}"
DASH = "–"
TESTS = {
    "official": "PrivateTest",
    "course": "both test sets",
    "csv": "PrivateTest",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> str:
    """A Markdown table; columns whose place holds `r` in `right` are right-aligned."""
    marks = ["---:" if place == "r" else "---" for place in right.ljust(len(head))]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- how numbers are written ---


def percent(value: float | None, digits: int = 1) -> str:
    """0.6941 → 69.4 %; None → not run."""
    return NOT_RUN if value is None else f"{100 * value:.{digits}f}{NBSP}%"


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation in per cent; of one value, that value."""
    if len(values) < 2:
        return percent(values[0] if values else None)
    return f"{100 * fmean(values):.1f}{NBSP}±{NBSP}{100 * stdev(values):.1f}{NBSP}%"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    return suite.duration(seconds).replace(" ", NBSP)


def hardware(run: Run) -> str:
    """What a run was trained on, in a few words; a CPU by its threads."""
    where = run.record["hardware"]
    if where["device"] not in ("cpu", "mps"):
        return where["device"]
    threads = where.get("threads") or where["cores"]
    kind = "" if where["device"] == "cpu" else "Apple GPU, "
    return f"{kind}{threads}{NBSP}thread{'s' * (threads > 1)}"


def took(*runs: Run | None) -> str:
    """Time and hardware of a training; of several, the mean on each hardware."""
    if not runs or None in runs:
        return NOT_RUN
    seconds: dict[str, list[float]] = {}
    for run in runs:
        seconds.setdefault(hardware(run), []).append(run.record["seconds"])
    times = (f"{duration(fmean(s))} ({w})" for w, s in sorted(seconds.items()))
    return ", ".join(times)


def value(run: Run | None, part: str, key: str = "accuracy", clean: bool = False):
    """A score of a run, or None where there is none on record."""
    scores = run and run.record["scores"].get(part)
    if clean and scores:  # without copies the clean part is all of it
        scores = scores["clean"] or scores
    return scores[key] if scores else None


def values(runs: Sequence[Run], part: str, key="accuracy", clean=False) -> list[float]:
    found = (value(run, part, key, clean) for run in runs)
    return [v for v in found if v is not None]


def input_sizes(run: Run) -> str:
    early = f"{run.recipe.early_size}→" if run.recipe.early_size else ""
    return f"{early}{run.recipe.input_size}"


# --- results ---


def results(facts: Facts, names: Sequence[str] = (), profile: str = "") -> str:
    """Every recipe with its scores; several seeds as mean ± standard deviation."""
    rows = []
    for name in names or facts.names():
        runs = facts.seeds(name, profile)
        kinds = {run.record["profile"] for run in runs} or {""}
        for kind in sorted(kinds):
            rows.append(_result(name, [r for r in runs if r.record["profile"] == kind]))
    head = (
        "recipe", "network, input", "protocol", "val", "test", "test, clean",
        "macro-F1", "one training",
    )  # fmt: skip
    return table(head, rows, "   rrrr ")


def _result(name: str, runs: list[Run]) -> list[str]:
    if not runs:
        chosen = recipe(name, "cpu") if name in recipe_names() else None
        model = f"{chosen.model}, {chosen.input_size}" if chosen else DASH
        protocol = chosen.protocol if chosen else DASH
        return [f"`{name}`", model, protocol, *[NOT_RUN] * 5]
    first = runs[0]
    classes = "" if first.recipe.classes == "all" else f", {_classes(first)} classes"
    seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
    return [
        f"`{name}`{seeds}",
        f"{first.recipe.model}, {input_sizes(first)}",
        first.recipe.protocol + classes,
        spread(values(runs, "val")),
        spread(values(runs, "test")),
        spread(values(runs, "test", clean=True)),
        spread(values(runs, "test", "macro_f1")),
        took(*runs),
    ]


def _classes(run: Run) -> int:
    return len(run.record["scores"]["val"]["per_class"])


def reference_table(facts: Facts) -> str:
    """Each published figure beside ours: protocol, hardware, time, ratio."""
    projects = {p["letter"]: p for p in facts.references["project"]}
    rows = []
    for figure in facts.references["figure"]:
        project = projects[figure["project"]]
        name = f"**{figure['project']}** {figure['setting']}"
        theirs = _theirs(figure, project)
        rows.append([name, *theirs, *_ours(facts, figure)])
    head = (
        "reference", "figure", "protocol", "hardware, time", "ours", "full", "clean",
        "hardware, time", "ratio",
    )  # fmt: skip
    return table(head, rows, " r   rr r")


def _theirs(figure: dict, project: dict) -> list[str]:
    shown = f"{figure.get('milliseconds')}{NBSP}ms"
    if "value" in figure:
        shown = percent(figure["value"], _digits(figure["value"]))
    time = f", {duration(figure['seconds'])}" if "seconds" in figure else ""
    return [
        f"{shown} {figure['metric']}",
        project["short"],
        project["hardware"] + time if project["hardware"] != "not stated" else DASH,
    ]


def _digits(share: float) -> int:
    """As many digits of a per cent as were published."""
    return max(0, len(f"{share:.6g}") - 4)


def _ours(facts: Facts, figure: dict) -> list[str]:
    if "milliseconds" in figure:
        row = bench_row(facts, "recognise 1 face ")
        if not row:
            return ["shipped network, one face", NOT_RUN, DASH, NOT_RUN, NOT_RUN]
        cpu = f"{facts.bench['hardware']['cores']}-core CPU"
        ours = 1000 * row["ours"]
        ratio = f"{figure['milliseconds'] / ours:.0f}{NBSP}×"
        return ["shipped network, one face", f"{ours:.1f}{NBSP}ms", DASH, cpu, ratio]
    if not figure["ours"]:
        return [DASH] * 5
    # A GPU's full settings are nearest to the reference's own, where they were run.
    run = facts.run(figure["ours"], prefer="full")
    full, clean = (value(run, figure["part"], clean=c) for c in (False, True))
    ratio = NOT_RUN if full is None else f"{full / figure['value']:.2f}"
    if figure["metric"] == "training images":
        ratio = DASH  # of images seen in training: not to be compared
    network = f" ({run.recipe.model}, {input_sizes(run)})" if run else ""
    return [
        f"`{figure['ours']}`{network}", percent(full), percent(clean), took(run), ratio,
    ]  # fmt: skip


def peers(facts: Facts, cite: Callable[[str], str]) -> str:
    """Published records, and our best single network of the official protocol."""
    rows = []
    for peer in facts.references["peer"]:
        shown = percent(peer["value"], _digits(peer["value"]))
        what = f"{peer['what']} {cite(peer['cite'])}"
        rows.append([what, shown, peer["chosen"], peer["extra"]])
    runs = [
        run
        for run in facts.runs.values()
        if (run.recipe.protocol, run.recipe.classes) == ("official", "all")
        and value(run, "test") is not None
    ]
    # The best by PublicTest: choosing by PrivateTest is what this table warns of.
    best = max(runs, key=lambda run: value(run, "val") or 0, default=None)
    if best:
        seeds = facts.seeds(best.recipe.name, best.record["profile"])
        what = f"**ours**, `{best.recipe.name}`, {parameters(best)} weights"
        extra = "ImageNet" if best.recipe.pretrained else "none"
        shown = spread(values(seeds, "test"))
        rows.append([what, shown, "PublicTest", extra])
    else:
        rows.append(["**ours**", NOT_RUN, "PublicTest", DASH])
    head = ("network", "PrivateTest", "epoch chosen on", "extra data")
    return table(head, rows, " r")


def parameters(run: Run) -> str:
    """How many weights, in words."""
    count = parameter_count(run.recipe.model, run.recipe.classes)
    return f"{count / 1e6:.1f}{NBSP}M" if count >= 1e6 else f"{count / 1e3:.0f}{NBSP}k"


# --- one theme each ---


def compared(facts: Facts, rows: dict[str, str], part: str = "val") -> str:
    """Some recipes side by side: name → what is different about it."""
    lines = []
    for name, what in rows.items():
        run = facts.run(name)
        lines.append(
            [
                what,
                f"`{name}`",
                percent(value(run, part)),
                percent(value(run, part, clean=True)),
                percent(value(run, part, "macro_f1")),
                str(len(run.history)) if run else NOT_RUN,
                took(run),
            ]
        )
    head = ("", "recipe", part, "clean", "macro-F1", "epochs", "training")
    return table(head, lines, "  rrrr")


def rare(facts: Facts, names: dict[str, str], part: str = "val") -> str:
    """What the cures for rare classes do: overall, and for the rare class itself."""
    lines = []
    for name, what in names.items():
        run = facts.run(name)
        row = [what, f"`{name}`", percent(value(run, part)), percent(
            value(run, part, "macro_f1")
        )]  # fmt: skip
        classes = run.record["scores"][part]["per_class"] if run else {}
        found = next((key for key in classes if "disgust" in key), None)
        row += [
            percent(classes[found][key] if found else None)
            for key in ("recall", "precision")
        ]
        lines.append(row)
    head = ("", "recipe", part, "macro-F1", "recall of *disgust*", "precision")
    return table(head, lines, "  rrrr")


def per_class(facts: Facts, name: str, part: str = "test") -> str:
    """Precision, recall, F1 of every expression, and what others think of the label."""
    run = facts.run(name)
    agreed = facts.data.get("agreement", {})
    rows = []
    for emotion in EMOTIONS:
        scores = run.record["scores"].get(part) if run else None
        row = scores["per_class"][emotion] if scores else {}
        shown = [percent(row.get(key)) for key in ("precision", "recall", "f1")]
        count = f"{row['support']:,}" if row else NOT_RUN
        others = percent(agreed[emotion], 0) if emotion in agreed else DASH
        rows.append([emotion, *shown, count, others])
    head = ("", "precision", "recall", "F1", "images", "FER+ agrees with the label")
    return table(head, rows, " rrrrr")


def class_counts(facts: Facts) -> str:
    """Images of every expression in every split."""
    counts = facts.data["counts"]
    rows = [
        [usage, *[f"{n:,}" for n in row], f"{sum(row):,}"]
        for usage, row in counts.items()
    ]
    return table(("", *EMOTIONS, "all"), rows, " rrrrrrrr")


def protocols(facts: Facts) -> str:
    """The three ways to split, their sizes and their copies."""
    rows = []
    for name, (copies, *sizes) in facts.data["protocols"].items():
        share = percent(copies / sizes[2])
        rows.append([f"`{name}`", *[f"{n:,}" for n in sizes], f"{copies} ({share})"])
    return table(("protocol", "train", "val", "test", "test copies"), rows, " rrrr")


def bench(facts: Facts) -> str:
    """Ours beside the usual way, as the bench measured them."""
    rows = []
    for row in facts.bench.get("rows", []):
        sides = (
            duration(row[side]) if row["unit"] == "s" else f"{row[side]:,.0f}{NBSP}MB"
            for side in ("usual", "ours")
        )
        rows.append([row["what"], *sides, f"{row['ratio']:.1f}{NBSP}×"])
    for row in facts.bench.get("time_to", []):
        threads = f"{row['threads']}{NBSP}thread{'s' * (row['threads'] > 1)}"
        where = f"{threads} of {row['cpu']}"
        ours = f"{duration(row['seconds'])} (`{row['run']}`, {where})"
        rows.append([row["what"], DASH, ours, DASH])
    rows = rows or [["`make bench`", *[NOT_RUN] * 3]]
    return table(("", "the usual way", "ours", "ratio"), rows, " rrr")


def reproduce(facts: Facts) -> str:
    """What to type, how long it takes, and which score to expect."""
    rows = []
    for name in facts.names():
        cells = [f"`{name}`"]
        for profile in ("cpu", "full"):
            runs = facts.seeds(name, profile)
            cells.append(took(*runs))
        runs = facts.seeds(name, "cpu") or facts.seeds(name)
        test = runs and TESTS[runs[0].recipe.protocol]
        part = "test" if values(runs, "test") else "val"
        test = test if part == "test" else "validation"
        rows.append([*cells, expected(values(runs, part)), test or NOT_RUN])
    head = ("recipe", "laptop (`cpu`)", "GPU (`full`)", "expect", "on")
    return table(head, rows, "   r ")


def expected(found: Sequence[float]) -> str:
    """The range to expect: two deviations of the seeds, and a point at least."""
    if not found:
        return NOT_RUN
    middle = fmean(found)
    margin = max(0.01, 2 * stdev(found)) if len(found) > 1 else 0.01
    return f"{100 * (middle - margin):.0f} to {100 * (middle + margin):.0f}{NBSP}%"
