"""The words of the report, and the tables of README and site, numbers filled in."""

import re
import tomllib
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined, TemplateError

from fer_utils.errors import FerError, reason
from fer_utils.evaluation import calibration_error, interval
from fer_utils.labels import EMOTIONS
from tools.blocks import fill

from . import effects, figures, tables
from .facts import NOT_RUN, ROOT, Facts, NotRun, or_not_run, people_on_private

HEADLINES = (
    figures.SHIPPED, "compact-cnn", "laptop", "custom-cnn", "resnet9", "a-longer",
    "c-augmented", "d-avg",
)  # fmt: skip


SOURCES = "(the list of sources)"  # where it goes when all are known

# The pages that hold generated tables, each between lines with its name.
PAGES = {"README.md": ("best",), "site/results.md": ("results", "reference", "bench")}


def render(facts: Facts, root: Path = ROOT) -> str:
    """The report as Markdown, all numbers filled in."""
    path = root / "report" / "report.md"
    template = path.read_text("utf-8")
    strict = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    try:
        text = Text(facts, root, template)
        filled = Environment(**strict).from_string(template).render(text.calls())
        # Appendices cite, too, and come after the list.
        return filled.replace(SOURCES, text.listed())
    except TemplateError as error:
        raise FerError(f"{path}: {reason(error)}") from None


def page(facts: Facts, text: str, where: str) -> str:
    """One of PAGES with its generated tables brought up to date."""
    generated = {
        "best": tables.best,
        "results": lambda facts: tables.results(facts, HEADLINES),
        "reference": tables.reference_table,
        "bench": tables.bench,
    }
    blocks = {name: f"{generated[name](facts)}\n" for name in PAGES[where]}
    return fill(text, blocks, where)


def digest(text: str, root: Path = ROOT) -> str:
    """A short sum of the report's text and pictures; report.pdf carries it."""
    total = blake2b(text.encode(), digest_size=8)
    for name in re.findall(r"\]\(images/(\w+)\.png\)", text):
        total.update((root / "report" / "images" / f"{name}.png").read_bytes())
    return f"digest {total.hexdigest()}"


class Text:
    """What the template report.md may call; numbers figures, tables and sources."""

    def __init__(self, facts: Facts, root: Path, template: str):
        self.facts, self.root = facts, root
        self.figures = re.findall(r'\bfigure\("(\w+)"', template)
        self.tables, self.cited = 0, []

    def calls(self) -> dict:
        """Names for the template; a call whose record is missing gives *not run*."""
        methods = [name for name in vars(Text) if not name.startswith("_")]
        found: dict = {name: or_not_run(getattr(self, name)) for name in methods}
        about = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))
        return found | {
            "facts": self.facts, "tables": tables, "percent": tables.percent,
            "shipped": figures.SHIPPED,
            "sizes": {name: f"{side} px" for name, side in figures.SIZES.items()},
            "repository": about["project"]["urls"]["Repository"],
            "version": about["project"]["version"],
            "chosen_on_test": self._peers(chosen="PrivateTest"),
            "ten_views": self._peers(views=10),
        }  # fmt: skip

    def _peers(self, **kind) -> int:
        """How many of the published records are of that kind."""
        peers = self.facts.references["peer"]
        return sum(all(peer[key] == v for key, v in kind.items()) for peer in peers)

    def value(self, name: str, part: str, key: str = "accuracy") -> float:
        return tables.value(self.facts.run(name), part, key)

    def figure(self, name: str, caption: str) -> str:
        number = f"**Figure {self.figures.index(name) + 1}.**"
        lacking = name in figures.FIGURES and figures.FIGURES[name].lacking(self.facts)
        if not (self.root / "report" / "images" / f"{name}.png").exists():
            lacking = lacking or "FER2013"
        if lacking:
            return f"{number} {NOT_RUN}: needs {lacking}. {caption}"
        return f"![{number} {caption}](images/{name}.png)"

    def see(self, name: str) -> str:
        return f"figure {self.figures.index(name) + 1}"

    def table(self, caption: str, rows: str) -> str:
        self.tables += 1
        return f"Table: **Table {self.tables}.** {caption}\n\n{rows}"

    def cite(self, *keys: str) -> str:
        for key in keys:
            if key not in self.facts.references["source"]:
                raise FerError(f"report/references.toml has no source {key!r}")
        self.cited += [key for key in keys if key not in self.cited]
        return f"[{', '.join(str(self.cited.index(key) + 1) for key in keys)}]"

    def sources(self) -> str:
        return SOURCES

    def listed(self) -> str:
        """All that was cited, in the order of its numbers."""
        named = self.facts.references["source"]
        return "\n".join(f"{n}. {named[k]}" for n, k in enumerate(self.cited, 1))

    def people(self, name: str, part: str = "test", key: str = "agreement") -> str:
        """Agreement with FER+ votes, or another of `PeopleScores`."""
        return tables.spread(tables.people(self.facts.seeds(name), part, key))

    def score(self, name: str, part: str = "test", key: str = "accuracy", **kind):
        return tables.score(self.facts.run(name), part, key, **kind)

    def mean(self, name: str, part: str = "test", key: str = "accuracy", **kind):
        return tables.score(self.facts.seeds(name), part, key, **kind)

    def log_loss(self, name: str, part: str = "val") -> str:
        return f"{self.value(name, part, 'log_loss'):.3f}"

    def gain(self, name: str, base: str, part: str = "val") -> str:
        """How many points more `name` gets right than `base`, with standard error.

        Both were asked about the same faces, so the error is that of the differences;
        where there are several seeds, of their means.
        """
        right = [self.right(one, part) for one in (name, base)]
        if len({len(one) for one in right}) > 1:
            raise FerError(f"{name} and {base} were scored on different faces")
        gained = 100 * (right[0] - right[1])
        points, error = gained.mean(), gained.std() / len(gained) ** 0.5
        more = "more" if points >= 0 else "less"
        return f"{abs(points):.1f} ± {error:.1f} points {more}"

    def right(self, name: str, part: str) -> np.ndarray:
        """float [N]: how often the answer was right, 0..1; over the seeds on record."""
        self.facts.run(name)
        found = [run.predictions() for run in self.facts.seeds(name)]
        answers = [stored[f"{part}_probabilities"].argmax(1) for stored in found]
        labels = found[0][f"{part}_labels"]
        return np.mean([answer == labels for answer in answers], axis=0)

    def gains(self, name: str, voter: str) -> str:
        """The table of what moves a score although no network is better."""
        return effects.gains(self.facts, name, voter)

    def share(self, what: str) -> str:
        """One of the shipped network's scores: its name begins so."""
        return tables.percent(self._mark(what).share)

    def faces(self, what: str) -> str:
        """On how many faces that is."""
        return f"{self._mark(what).count:,}"

    def _mark(self, what: str) -> effects.Mark:
        marks = effects.marks(self.facts, figures.SHIPPED)
        return next(mark for mark in marks if mark.what.startswith(what))

    def disputed(self, name: str, whose: str) -> str:
        """How often a network says on them what `whose` (label or people) says."""
        label, people, _ = effects.disputed(self.facts, name)
        return tables.percent({"label": label, "people": people}[whose])

    def said(self, emotion: str) -> int:
        """Of how many faces of PrivateTest most people say so."""
        people = people_on_private(self.facts, self.facts.run(figures.SHIPPED))[0]
        return int((people == EMOTIONS.index(emotion)).sum())

    def one_face(self, emotion: str) -> str:
        """What one such face adds to the mean over the classes."""
        return f"{100 / len(EMOTIONS) / self.said(emotion):.0f} points"

    def calibrated(self, name: str) -> str:
        """The calibration error on PrivateTest before and after the temperature."""
        *chances, labels = figures.calibrated(self.facts.run(name))
        before, after = (calibration_error(given, labels) for given in chances)
        return f"{tables.percent(before)} before it and {tables.percent(after)} after"

    def luck(self) -> str:
        """How much too good the best of several looks, in points."""
        return f"{100 * effects.luck_of_choice(self.facts)[1]:.1f} points"

    def parameters(self, name: str) -> str:
        return tables.parameters(self.facts.run(name))

    def milliseconds(self, what: str) -> str:
        """How long ours takes, from the first row of the bench that begins so."""
        return tables.duration(self.facts.bench_row(what)["ours"])

    def seconds(self, name: str) -> str:
        """The training seconds of each seed."""
        return ", ".join(f"{r.record.seconds:.0f}" for r in self.facts.seeds(name))

    def newest(self) -> str:
        """The day on which the newest training on record ended."""
        return max(
            (run.record.finished[:10] for run in self.facts.runs), default=NOT_RUN
        )

    def between(self, name: str, part: str = "test") -> str:
        """A score with its 95 % interval."""
        run = self.facts.run(name)
        share = tables.value(run, part)
        low, high = interval(share, int(tables.value(run, part, "count")))
        bounds = f"{100 * low:.1f} to {100 * high:.1f}"
        return f"{tables.percent(share)} (95 % interval {bounds})"

    def copies(self, name: str) -> str:
        """What copies of training images add to a test accuracy, in points."""
        run = self.facts.run(name)
        worth = tables.value(run, "test") - tables.value(run, "test", clean=True)
        return f"{100 * worth:.1f} points"

    def error(self, name: str) -> str:
        """Standard error of a test accuracy, in points."""
        share, count = (self.value(name, "test", key) for key in ("accuracy", "count"))
        return f"{100 * (share * (1 - share) / count) ** 0.5:.1f}"

    def rate(self, name: str) -> str:
        return f"{self.facts.run(name).recipe.lr:g}"

    def took(self, name: str) -> str:
        return tables.took(self.facts.seeds(name))

    def machines(self, profile: str) -> str:
        """What the runs of a profile were trained on."""
        runs = [run for run in self.facts.runs if run.record.profile == profile]
        used = [run.record.hardware for run in runs]
        cpus = {f"{on.cores} cores of {on.cpu}" for on in used if on.device == "cpu"}
        others = {on.device for on in used} - {"cpu"}
        return ", ".join(sorted(cpus | others)) or NOT_RUN

    def holds(self, *names: str, part: str = "val", key: str = "accuracy") -> bool:
        """Whether all are on record and each is better than the one before."""
        try:
            found = [self.value(name, part, key) for name in names]
        except NotRun:
            return False
        return all(a < b for a, b in pairwise(found))
