"""Put finished runs into the package as one of its networks, and write the card.

    FER_DATA=... FER_VOTES=... python tools/ship.py people runs/cpu/people-seed*
    python tools/ship.py --card    # only write the card anew, from what is shipped

Two files are written: ONNX to predict with, safetensors to train on. All runs are of
one recipe. The one that PublicTest finds best is shipped, by the network's own
yardstick: agreement with people, or FER2013's labels. There the temperature and the
balance of classes are fitted, too. PrivateTest has no say in anything.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from fer_utils.data import FER2013, load_fer2013, majority, vote_shares
from fer_utils.errors import FerError
from fer_utils.evaluation import (
    AXES,
    apply_balance,
    apply_temperature,
    calibration_error,
    fit_balance,
    fit_temperature,
    people_scores,
    score,
)
from fer_utils.export import export_onnx
from fer_utils.files import write_atomic
from fer_utils.labels import EMOTIONS
from fer_utils.models import load_model, save_model
from fer_utils.shipped import SHIPPED, weights_path
from fer_utils.training import Run, records
from fer_utils.training.runs import scores_name
from stress import RECORD as STRESS
from suite import RECORDS, ROOT, keep

CARD = ROOT / "MODEL_CARD.md"
SLICES = ROOT / "report" / "slices.json"
# Of each face, averaged. On PublicTest six views bring `people` a third of a point of
# agreement with people and nothing with classes alike, for triple the work.
VIEWS = {"people": 2, "fer2013-labels": 6}
PARTS = ("val", "test")


class Yardstick(NamedTuple):
    """What counts as right: on which faces, bool [N], and which class, int64 [N]."""

    faces: np.ndarray
    classes: np.ndarray


def yardstick(network: str, data: FER2013) -> Yardstick:
    """Return a network's own yardstick; copies of training images do not count."""
    if network == "fer2013-labels":
        return Yardstick(data.clean, data.labels)
    said, clear = majority(data)
    return Yardstick(clear & data.clean, said)


def ship(network: str, folders: list[Path]) -> None:
    """Write weights, header, records and MODEL_CARD.md from finished, scored runs."""
    if network not in SHIPPED or not folders:
        raise FerError(f"name a network ({', '.join(SHIPPED)}) and folders of its runs")
    runs = [Run.load(folder) for folder in folders]
    views = VIEWS[network]
    for run in runs:
        for part in (part for part in PARTS if not run.scores(part, views)):
            command = f"fer evaluate {run.folder} --part {part} --views {views}"
            raise FerError(f"{run.folder}: not scored yet; `{command}`")
        if run.recipe.with_(seed=0) != runs[0].recipe.with_(seed=0):
            raise FerError(f"{run.folder}: of another recipe than {runs[0].folder}")
    parts = runs[0].recipe.split(load_fer2013())
    own = yardstick(network, parts.val)

    def quality(run: Run) -> float:
        right = answers(run, "val", views).argmax(1) == own.classes
        return right[own.faces].mean()

    best = max(runs, key=quality)
    header = {
        "recipe": best.recipe.model_dump(),
        "views": views,
        **fitted(network, best, parts),
        "data": best.record.data.model_dump(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    save_model(best.model, weights_path(network, ".safetensors"), **header)
    export_onnx(load_model(network), weights_path(network, ".onnx"))
    for run in runs:
        seed = "" if run is best else f"-seed{run.recipe.seed}"
        keep(run, RECORDS / f"{best.recipe.name}{seed}")
    write_atomic(CARD, current_card().encode())
    print(f"shipped {best.folder}, temperature {header['temperature']:.3f}")


def answers(run: Run, part: str, views: int, label_head: bool = False) -> np.ndarray:
    """Return a run's stored probabilities, the mean of so many views."""
    key = f"{scores_name(part, views, label_head)}_probabilities"
    return run.predictions()[key].astype(float)


def fitted(network: str, run: Run, parts) -> dict[str, Any]:
    """Return balance and temperature, fitted on PublicTest, and scores with them."""
    found: dict[str, Any] = {}
    views = VIEWS[network]
    own, val = yardstick(network, parts.val), answers(run, "val", views)
    factors = np.ones(len(EMOTIONS))
    if network == "people":
        shares = vote_shares(parts.train).mean(0)
        factors = fit_balance(val[own.faces], own.classes[own.faces], shares).round(4)
        found["balance"] = factors.tolist()
    temperature = fit_temperature(
        apply_balance(val, factors)[own.faces], own.classes[own.faces]
    )
    found["temperature"] = temperature = round(temperature, 4)
    found["scores"] = {}
    for part in PARTS:
        data = getattr(parts, part)
        raw = apply_balance(answers(run, part, views), factors)
        scaled = apply_temperature(raw, temperature)
        faces, classes = yardstick(network, data)
        both = [calibration_error(p[faces], classes[faces]) for p in (raw, scaled)]
        found["scores"][part] = scored(scaled, data) | {
            "own_calibration": [round(error, 4) for error in both],
        }
    if run.recipe.label_head:  # its answers are not adjusted
        found["label_scores"] = {
            part: scored(answers(run, part, views, True), getattr(parts, part))
            for part in PARTS
        }
    return found


def scored(probabilities: np.ndarray, data: FER2013) -> dict[str, Any]:
    """Return the scores by both yardsticks, without what only figures need."""
    unused = {"confusion": True, "clean": {"confusion"}}
    return score(probabilities, data).model_dump(exclude=unused) | {
        "people": people_scores(probabilities, data).model_dump()
    }


def current_card() -> str:
    """Return the card of what is shipped, from the headers of its files and records."""
    kept = records()
    networks = {}
    for name in SHIPPED:
        model = load_model(name)
        recipe = model.metadata["recipe"]["name"]
        sisters = [r for r in kept.values() if r.recipe.name == recipe]
        networks[name] = {
            "header": model.metadata,
            "run": kept[recipe],
            "seeds": len(sisters),
            "seconds": kept[recipe].record.seconds,
            "parameters": sum(p.numel() for p in model.parameters()),
            "megabytes": weights_path(name, ".onnx").stat().st_size / 1e6,
            "stress": stress(recipe),
        }
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    source = (ROOT / "tools" / "MODEL_CARD.md.j2").read_text("utf-8")
    return environment.from_string(source).render(
        networks=networks,
        emotions=EMOTIONS,
        share=share,
        units=units(),
        slices=slices(networks),
        apart=apart,
        misjudged=misjudged,
    )


def units() -> str:
    return "; ".join(f"{axis.name}: {axis.unit}" for axis in AXES)


def stress(name: str) -> dict | None:
    """Return a network's stress card by yardstick, if it is on record."""
    if not STRESS.is_file():
        return None
    record = json.loads(STRESS.read_text("utf-8"))
    cards = record["cards"].get(name)
    return cards and cards | {"faces": record["faces"]}


def slices(networks: dict[str, dict]) -> dict | None:
    """Return the slices on record, if they are of the networks that are shipped."""
    if not SLICES.is_file():
        return None
    record = json.loads(SLICES.read_text("utf-8"))
    dates = {name: it["date"] for name, it in record["networks"].items()}
    shipped = {name: it["header"]["date"] for name, it in networks.items()}
    return record if dates == shipped else None


def apart(network: dict, better: bool) -> str:
    """Name the slices on which a network is reliably better than elsewhere or worse."""
    found = [
        f"{measure} {name} ({100 * it['accuracy']:.1f}, others {100 * it['rest']:.1f})"
        for measure, bands in network["slices"].items()
        for name, it in bands.items()
        if it["differs"] and (it["accuracy"] > it["rest"]) == better
    ]
    return ", ".join(found) or "none"


def misjudged(network: dict, sure: bool) -> str:
    """Name the answers of which a network is reliably too sure, or not sure enough."""
    answered = network["answered"].items()
    if sure:
        found = [name for name, it in answered if it["confidence"] > it["high"]]
    else:
        found = [name for name, it in answered if it["confidence"] < it["low"]]
    return ", ".join(found) or "none"


def share(line: dict) -> str:
    """Accuracy in per cent, and its interval."""
    mean, low, high = (100 * line[key] for key in ("accuracy", "low", "high"))
    return f"{mean:.1f} ({low:.0f} to {high:.0f})"


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--card"]:
            write_atomic(CARD, current_card().encode())
        else:
            ship(sys.argv[1] if sys.argv[1:] else "", [Path(p) for p in sys.argv[2:]])
    except FerError as error:
        sys.exit(f"ship: {error}")
