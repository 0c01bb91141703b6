"""Records → figures, tables, and the written report (`make report`).

Reads report/runs/, report/references.toml and report/data.json; writes report/images/,
report/report.html, report/report.pdf, and the generated tables of README.md. Needs no
GPU, no network and no browser. `--check` writes nothing and fails when README.md or
report.pdf say something else than the records.
"""

import argparse
import os
import re
import sys
import time
import tomllib
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError

import figures
import tables
import typeset
from facts import NOT_RUN, ROOT, Facts, keep_data, read_facts
from fer_utils.config import FerError, reason, write_whole
from fer_utils.data import FER2013
from figures import FIGURES

SECTION = r"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)"
HEADLINES = (
    figures.SHIPPED, "compact-cnn", "laptop", "custom-cnn", "resnet9", "a-longer",
    "c-augmented", "d-avg",
)  # fmt: skip


CALLS = (
    "facts", "figure", "see", "table", "cite", "sources", "score", "mean", "gain",
    "log_loss", "holds", "took", "points", "machines", "error", "rate",
)  # fmt: skip


class Text:
    """What the template report.md may call; numbers figures, tables and sources."""

    def __init__(self, facts: Facts, root: Path, template: str):
        self.facts, self.root, self.images = facts, root, root / "report" / "images"
        self.figures = re.findall(r'\bfigure\("(\w+)"', template)
        self.tables, self.cited = 0, []

    def figure(self, name: str, caption: str) -> str:
        number = f"**Figure {self.figures.index(name) + 1}.**"
        lacking = FIGURES[name].missing(self.facts) if name in FIGURES else ""
        if not lacking and not (self.images / f"{name}.png").exists():
            lacking = "FER2013"
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
            if key not in self.cited:
                self.cited.append(key)
        return f"[{', '.join(str(self.cited.index(key) + 1) for key in keys)}]"

    def sources(self) -> str:
        named = self.facts.references["source"]
        return "\n".join(f"{n}. {named[k]}" for n, k in enumerate(self.cited, 1))

    def score(self, name: str, part: str = "test", key: str = "accuracy", **kind):
        return tables.percent(tables.value(self.facts.run(name), part, key, **kind))

    def mean(self, name: str, part: str = "test", key: str = "accuracy", **kind):
        seeds = self.facts.seeds(name)
        return tables.spread(tables.values(seeds, part, key, **kind))

    def log_loss(self, name: str, part: str = "val") -> str:
        found = tables.value(self.facts.run(name), part, "log_loss")
        return NOT_RUN if found is None else f"{found:.3f}"

    def gain(self, name: str, base: str, part: str = "val", key: str = "accuracy"):
        """How many points `name` is above `base`, in words."""
        pair = [tables.value(self.facts.run(n), part, key) for n in (name, base)]
        if None in pair:
            return NOT_RUN
        points = 100 * (pair[0] - pair[1])
        return f"{abs(points):.1f} points {'more' if points >= 0 else 'less'}"

    def points(self, more: float | None, less: float | None) -> str:
        """A difference of two shares in points."""
        if None in (more, less):
            return NOT_RUN
        return f"{100 * (more - less):.1f} points"

    def error(self, name: str) -> str:
        """Standard error of a test accuracy, in points."""
        share = tables.value(self.facts.run(name), "test")
        if share is None:
            return NOT_RUN
        count = tables.value(self.facts.run(name), "test", "count")
        return f"{100 * (share * (1 - share) / count) ** 0.5:.1f}"

    def machines(self, profile: str) -> str:
        """What the runs of a profile were trained on."""
        found = {
            f"{where['cores']} cores of {where['cpu']}"
            if where["device"] == "cpu"
            else where["device"]
            for run in self.facts.runs.values()
            if run.record["profile"] == profile
            for where in [run.record["hardware"]]
        }
        return ", ".join(sorted(found)) or NOT_RUN

    def holds(self, *names: str, part: str = "val", key: str = "accuracy") -> bool:
        """Whether all are on record and each is better than the one before."""
        found = [tables.value(self.facts.run(name), part, key) for name in names]
        return None not in found and all(a < b for a, b in pairwise(found))

    def names(self) -> dict:
        return {name: getattr(self, name) for name in CALLS} | {
            "tables": tables,
            "shipped": figures.SHIPPED,
            "percent": tables.percent,
            "sizes": {name: f"{side} px" for name, side in figures.SIZES.items()},
            "address": release(self.root),
        }

    def rate(self, name: str) -> str:
        run = self.facts.run(name)
        return f"{run.recipe.lr:g}" if run else NOT_RUN

    def took(self, name: str) -> str:
        return tables.took(*self.facts.seeds(name))


def release(root: Path) -> str:
    """Where pip finds the tagged version, as in the notebooks' setup cells."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    url, version = project["urls"]["Repository"], project["version"]
    return f"{url}/archive/refs/tags/v{version}.zip"


def render(facts: Facts, root: Path = ROOT) -> str:
    """The report as Markdown, all numbers filled in."""
    path = root / "report" / "report.md"
    template = path.read_text("utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = Text(facts, root, template)
    try:
        return environment.from_string(template).render(text.names())
    except TemplateError as error:
        raise FerError(f"{path}: {reason(error)}") from None


def readme(facts: Facts, text: str) -> str:
    """README.md with its generated tables brought up to date."""
    generated = {
        "results": tables.results(facts, HEADLINES),
        "reference": tables.reference_table(facts),
        "bench": tables.bench(facts),
    }
    for name, rows in generated.items():
        pattern = re.compile(SECTION.format(name=name), re.DOTALL)
        if not pattern.search(text):
            raise FerError(f"README.md: no <!-- {name} --> ... <!-- /{name} --> lines")
        text = pattern.sub(lambda _, rows=rows: rows + "\n", text)
    return text


def digest(text: str, root: Path = ROOT) -> str:
    """A short sum of the report's text and pictures; report.pdf carries it."""
    total = blake2b(text.encode(), digest_size=8)
    for name in re.findall(r"\]\(images/(\w+)\.png\)", text):
        total.update((root / "report" / "images" / f"{name}.png").read_bytes())
    return f"digest {total.hexdigest()}"


def draw(facts: Facts, data: FER2013 | None, root: Path) -> None:
    """Draw every figure that can be drawn, saying what it took."""
    for name, figure in FIGURES.items():
        path = root / "report" / "images" / f"{name}.png"
        start = time.perf_counter()
        if lacking := figure.missing(facts):
            path.unlink(missing_ok=True)  # else it would show what is not on record
            print(f"{name:24} not run: {lacking}")
        elif figure.pixels and not data:
            print(f"{name:24} kept: FER2013 is not here (FER_DATA)")
        else:
            figures.save(figure.draw(data if figure.pixels else facts), path)
            print(f"{name:24} {time.perf_counter() - start:5.1f} s", flush=True)


def make(root: Path = ROOT) -> None:
    """Draw, fill in, write."""
    start = time.perf_counter()
    data = figures.find_pixels()
    if data:
        keep_data(data, root / "report" / "data.json")
    facts = read_facts(root)
    print(f"{len(facts.runs)} runs on record")
    draw(facts, data, root)
    path = root / "README.md"
    write_whole(path, readme(facts, path.read_text("utf-8")).encode())
    text, report = render(facts, root), root / "report"
    write_whole(report / "report.html", typeset.web_page(text, report).encode())
    print("report/report.html", flush=True)
    pages = typeset.pdf(text, root, digest(text, root))
    write_whole(report / "report.pdf", pages)
    print(f"report/report.pdf; all of it took {time.perf_counter() - start:.0f} s")


def stale(root: Path = ROOT) -> list[str]:
    """What says something else than the records, and is to be made again."""
    facts, found = read_facts(root), []
    text = (root / "README.md").read_text("utf-8")
    if readme(facts, text) != text:
        found.append("README.md")
    pages = root / "report" / "report.pdf"
    wanted = digest(render(facts, root), root).encode()
    if not pages.exists() or wanted not in pages.read_bytes():
        found.append("report/report.pdf")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args()
    root = options.root.resolve()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same pictures on every machine
    try:
        if not options.check:
            make(root)
            return 0
        for name in (found := stale(root)):
            print(f"{name} is stale: run `make report`")
        return int(bool(found))
    except FerError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
