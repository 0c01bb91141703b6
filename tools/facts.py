"""What the report is made of: run records, others' figures, counts of the data, bench.

Ours come from `report/runs/`, others' from `report/references.toml`, what FER2013 is
from `report/data.json`. What is not there reads *not run*; what is damaged is named.
"""

import json
import logging
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_utils.config import FerError, reason, write_whole
from fer_utils.data import FER2013, PROTOCOLS, VOTES
from fer_utils.labels import EMOTIONS, parse_classes
from fer_utils.models import Recognizer
from fer_utils.readers import USAGES
from fer_utils.recipes import recipe_names
from fer_utils.run import Run

ROOT = Path(__file__).resolve().parents[1]
NOT_RUN = "*not run*"
# It tells of the font cache that it makes when first used on a machine.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
SCORES = ("accuracy", "top2_accuracy", "macro_f1", "log_loss", "calibration_error")
EPOCH = ("epoch", "train_loss", "val_loss", "val_accuracy", "seconds")


@dataclass(frozen=True)
class Facts:
    """All that the report states, read and checked."""

    runs: dict[str, Run]
    references: dict[str, Any]
    data: dict[str, Any]
    bench: dict[str, Any]

    def seeds(self, name: str, profile: str = "") -> list[Run]:
        """The finished runs of a recipe, by seed; of one profile, if it is named."""
        found = [
            run
            for run in self.runs.values()
            if run.recipe.name == name and profile in ("", run.record["profile"])
        ]
        return sorted(found, key=lambda run: run.recipe.seed)

    def run(self, name: str, prefer: str = "cpu") -> Run | None:
        """The run of a recipe on record: of this profile, else of another, else None.

        Of several seeds, the one that stands under the bare name.
        """
        found = self.seeds(name, prefer) or self.seeds(name)
        return next((r for r in found if r.folder.name == name), *found[:1] or [None])

    def names(self) -> list[str]:
        """Recipes on record or in recipes.toml, in the order of the file."""
        known = recipe_names()
        others = {run.recipe.name for run in self.runs.values()} - set(known)
        return known + sorted(others)


def read_facts(root: Path = ROOT) -> Facts:
    """Read everything under `root`/report; `FerError` names a file that is damaged."""
    report = root / "report"
    runs = {}
    for path in sorted(report.glob("runs/*/run.json")):
        run = Run.load(path.parent)
        if run.finished:
            check(run)
            runs[path.parent.name] = run
    bench = report / "runs" / "bench.json"
    return Facts(
        runs,
        _read(report / "references.toml", tomllib.loads),
        _read(report / "data.json", json.loads),
        _read(bench, json.loads) if bench.exists() else {},
    )


def _read(path: Path, parse: Callable[[str], dict]) -> dict:
    try:
        return parse(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FerError(f"{path}: cannot be read ({reason(error)})") from None


def check(run: Run) -> None:
    """Raise `FerError` unless the record holds what tables and figures want of it."""
    try:
        classes = run.recipe.classes
        run.record["profile"], run.record["hardware"]["device"]
        for entry in run.history:
            _numbers(entry, EPOCH)
        for scores in run.record["scores"].values():
            for part in filter(None, (scores, scores["clean"])):
                _numbers(part, SCORES)
                sizes = {len(row) for row in (part["confusion"], *part["confusion"])}
                if sizes != {len(part["per_class"])}:
                    raise ValueError(f"a confusion matrix that does not fit {classes}")
                for row in part["per_class"].values():
                    _numbers(row, ("precision", "recall", "f1", "support"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else reason(error)
        raise FerError(
            f"{run.folder / 'run.json'}: damaged run record ({why}); take it from git "
            f"again (git checkout -- {run.folder.name}), or delete its folder"
        ) from None


def _numbers(entry: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if isinstance(entry[key], bool) or not isinstance(entry[key], int | float):
            raise ValueError(f"{key} = {entry[key]!r}")


def keep_data(data: FER2013, path: Path) -> None:
    """Write what the report says of FER2013 itself: counts, copies, agreement."""
    audit = data.audit()
    kept = {
        "source": data.source,
        "counts": {u: data.select(data.usage == u).counts().tolist() for u in USAGES},
        "audit": audit._asdict(),
        "protocols": {
            name: [int((~parts.test.clean).sum()), *map(len, parts)]
            for name, parts in ((p, data.split(p)) for p in PROTOCOLS)
        },
        "agreement": agreement(data) or before(path, "agreement"),
    }
    write_whole(path, (json.dumps(kept, indent=1) + "\n").encode())


def agreement(data: FER2013) -> dict[str, float]:
    """Share of images whose FER2013 label ten others agree with; {} without votes."""
    try:
        votes = data.votes()
    except FerError:
        return {}
    known = votes[:, 0] >= 0
    winner = np.array(VOTES)[votes.argmax(1)]
    same = winner == np.array(EMOTIONS)[data.labels]
    shares = {"all": float(same[known].mean())}
    for code, name in enumerate(EMOTIONS):
        shares[name] = float(same[known & (data.labels == code)].mean())
    return {name: round(share, 4) for name, share in shares.items()}


def before(path: Path, key: str) -> dict:
    """What a kept file says under `key`; {} if it is not there."""
    return json.loads(path.read_text()).get(key, {}) if path.exists() else {}


def counts_only(facts: Facts) -> FER2013:
    """A FER2013 with the right labels and splits and no pixels: enough to count."""
    labels, usage = [], []
    for name, counts in facts.data["counts"].items():
        labels.append(np.repeat(np.arange(len(counts)), counts))
        usage.append(np.repeat(name, sum(counts)))
    labels, usage = np.concatenate(labels), np.concatenate(usage)
    images = np.zeros((len(labels), 1, 1), np.uint8)
    return FER2013(images, labels, usage, usage, facts.data["source"])


def parameter_count(model: str, classes: str) -> int:
    """Weights of a network by name."""
    with torch.device("meta"):  # counted, never filled
        network = Recognizer(model, parse_classes(classes))
    return sum(weight.numel() for weight in network.parameters())


def bench_row(facts: Facts, start: str) -> dict[str, Any] | None:
    """The first row of the bench whose name starts so."""
    rows = facts.bench.get("rows", [])
    return next((row for row in rows if row["what"].startswith(start)), None)
