"""What the report is made of: run records, others' figures, counts of the data, bench.

Ours come from `report/runs/`, others' from `report/references.toml`, what FER2013 is
from `report/data.json`. What is missing raises `NotRun`, which the figure or the cell
of a table that needs it turns into *not run*; what is damaged is named.
"""

import json
import logging
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_utils.data import FER2013, PROTOCOLS, USAGES, VOTES, majority, read_votes
from fer_utils.data.votes import csv_rows
from fer_utils.errors import FerError, reason
from fer_utils.files import write_atomic
from fer_utils.labels import EMOTIONS
from fer_utils.training import Run, recipe_names

ROOT = Path(__file__).resolve().parents[2]
NOT_RUN = "*not run*"
# It reports the font cache that it makes when first used on a machine.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


class NotRun(Exception):
    """Something is not on record; the message names it."""


def or_not_run(function: Callable[..., str]) -> Callable[..., str]:
    """Let a function that returns a text return *not run* where a record is missing."""

    def shown(*args, **kwargs) -> str:
        try:
            return function(*args, **kwargs)
        except NotRun:
            return NOT_RUN

    return shown


@dataclass(frozen=True)
class Facts:
    """All that the report states, read and checked."""

    runs: list[Run]
    references: dict[str, Any]
    data: dict[str, Any]
    bench: dict[str, Any]
    stress: dict[str, Any]

    def seeds(self, name: str, profile: str = "") -> list[Run]:
        """The finished runs of a recipe, by seed; of one profile, if it is named."""
        runs = [run for run in self.runs if run.recipe.name == name]
        runs = [run for run in runs if profile in ("", run.record.profile)]
        return sorted(runs, key=lambda run: run.recipe.seed)

    def find(self, name: str, prefer: str = "cpu") -> Run | None:
        """A recipe's run, of this profile if it can be; first that of the bare name."""
        found = self.seeds(name, prefer) or self.seeds(name)
        return next((r for r in found if r.folder.name == name), *found[:1] or [None])

    def run(self, name: str, prefer: str = "cpu") -> Run:
        """As `find`, but raises `NotRun` where there is none."""
        if run := self.find(name, prefer):
            return run
        raise NotRun(name)

    def bench_row(self, start: str) -> dict[str, Any]:
        """The first row of the bench whose name starts so; `NotRun` without one."""
        for row in self.bench.get("rows", []):
            if row["what"].startswith(start):
                return row
        raise NotRun("`make bench`")

    def names(self) -> list[str]:
        """Recipes on record or in recipes.toml, in the order of the file."""
        known = recipe_names()
        return known + sorted({run.recipe.name for run in self.runs} - set(known))


def read_facts(root: Path = ROOT) -> Facts:
    """Read everything under `root`/report; `FerError` names a file that is damaged."""
    report = root / "report"
    runs = [Run.load(path.parent) for path in sorted(report.glob("runs/*/run.json"))]
    bench = report / "runs" / "bench.json"
    return Facts(
        [run for run in runs if run.finished],
        _read(report / "references.toml", tomllib.loads),
        _read(report / "data.json", json.loads),
        _read(bench, json.loads) if bench.exists() else {},
        _read(report / "stress.json", json.loads),
    )


def _read(path: Path, parse: Callable[[str], dict]) -> dict:
    try:
        return parse(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FerError(f"{path}: cannot be read ({reason(error)})") from None


def keep_data(data: FER2013, path: Path) -> None:
    """Write what the report says of FER2013 itself: counts, copies, agreement."""
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept = {
        "source": data.source,
        "counts": {u: data.select(data.usage == u).counts().tolist() for u in USAGES},
        "audit": data.audit()._asdict(),
        "protocols": {
            name: [int((~parts.test.clean).sum()), *map(len, parts)]
            for name, parts in ((p, data.split(p)) for p in PROTOCOLS)
        },
        "agreement": agreement(data) or before.get("agreement", {}),
        "people": said_of_private(data) or before.get("people", {}),
    }
    write_atomic(path, (json.dumps(kept, indent=1) + "\n").encode())


def agreement(data: FER2013) -> dict[str, float]:
    """Share of images whose FER2013 label ten others agree with; {} without votes."""
    try:
        votes = read_votes(data)
    except FerError:
        return {}
    known = votes[:, 0] >= 0
    same = np.array(VOTES)[votes.argmax(1)] == np.array(EMOTIONS)[data.labels]
    asked = {name: known & (data.labels == i) for i, name in enumerate(EMOTIONS)}
    asked = {"all": known} | asked
    return {name: round(float(same[of].mean()), 4) for name, of in asked.items()}


def keep_duplicates(data: FER2013, path: Path) -> None:
    """List images that repeat another one, or are blank: names and rows, no pixels.

    Images of one `group` have the same pixels; `row` counts in fer2013.csv from 0.
    """
    if not data.names[0].endswith(".jpg"):
        return  # from a CSV, where images have no names: the list stays as it was
    rows = csv_rows(data.names, path.with_name("fer2013_rows.csv"))
    blank = np.ptp(data.images, (1, 2)) == 0
    listed = np.flatnonzero((np.bincount(data.groups)[data.groups] > 1) | blank)
    order = sorted(listed.tolist(), key=lambda i: data.names[i])
    number: dict[int, int] = {}
    lines = ["file,row,group,blank"]
    for i in order:
        group = number.setdefault(int(data.groups[i]), len(number) + 1)
        lines.append(f"{data.names[i]},{rows[i]},{group},{int(blank[i])}")
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def said_of_private(data: FER2013) -> dict[str, str]:
    """PrivateTest's labels, and what most people said, a digit each; {} without votes.

    The sign `-` stands for images on which no answer has more than half of the votes.
    """
    try:
        part = data.split().test
        said, clear = majority(part)
    except FerError:
        return {}
    texts = {"labels": part.labels, "majority": np.where(clear, said, -1)}
    return {name: digits(codes) for name, codes in texts.items()}


def digits(codes: np.ndarray) -> str:
    """Write class codes as one text, `-` for each that is negative."""
    return "".join(str(code) if code >= 0 else "-" for code in codes.tolist())


def people_on_private(facts: Facts, run: Run) -> tuple[np.ndarray, ...]:
    """Return what people, a run and the labels say of PrivateTest, int [N] each.

    -1 where no answer of people has a majority. The record keeps them, so that the
    report needs no votes; `NotRun` without them, or for a run with another test part.
    """
    kept, stored = facts.data.get("people", {}), run.predictions()
    if "test_labels" not in stored or kept.get("labels") != digits(
        labels := stored["test_labels"]
    ):
        raise NotRun("`make report` with FER2013 and FER_VOTES")
    said = [int(sign) if sign != "-" else -1 for sign in kept["majority"]]
    return np.array(said), stored["test_probabilities"].argmax(1), labels


def counts_only(facts: Facts) -> FER2013:
    """A FER2013 with the right labels and splits and no pixels: enough to count."""
    counts = np.array(list(facts.data["counts"].values()))  # a row for each part
    labels = np.repeat(np.arange(counts.size) % len(EMOTIONS), counts.ravel())
    usage = np.repeat(list(facts.data["counts"]), counts.sum(1))
    images = np.zeros((len(labels), 1, 1), np.uint8)
    return FER2013(images, labels, usage, usage, facts.data["source"])
