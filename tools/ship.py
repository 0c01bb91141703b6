"""Put a finished run into the package, with its card; keep its sisters on record.

Both files are written: ONNX to predict with, safetensors to train on.

    python tools/ship.py runs/cpu/taught-seed*
    python tools/ship.py --card    # only write the card anew, from the records

All are of one recipe. The one with the best PublicTest accuracy is shipped: PrivateTest
has no say in it. The package averages six views of a face, so these scores go with the
weights; the records hold those of two views too, which all runs have.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev

from jinja2 import Environment, StrictUndefined

from fer_utils.errors import FerError
from fer_utils.evaluation import (
    AXES,
    apply_temperature,
    calibration_error,
    fit_temperature,
)
from fer_utils.export import export_onnx
from fer_utils.files import write_atomic
from fer_utils.labels import EMOTIONS
from fer_utils.models import SHIPPED, load_model, save_model
from fer_utils.photos.network import SHIPPED as ONNX
from fer_utils.training import Run
from stress import RECORD as STRESS
from suite import RECORDS, ROOT, keep

CARD = ROOT / "MODEL_CARD.md"
VIEWS = 6
PARTS = ("val", "test")
SCORES = {"accuracy", "macro_f1", "top2_accuracy", "log_loss", "calibration_error"}


def ship(folders: list[Path]) -> None:
    """Write weights, metadata, records and MODEL_CARD.md from finished, scored runs."""
    runs = [Run.load(folder) for folder in folders]
    if not runs:
        raise FerError("name the folders of the runs to choose from")
    for run in runs:
        for part in (part for part in PARTS if not run.scores(part, VIEWS)):
            command = f"fer evaluate {run.folder} --part {part} --views {VIEWS}"
            raise FerError(f"{run.folder}: not scored yet; `{command}`")
        if run.recipe.with_(seed=0) != runs[0].recipe.with_(seed=0):
            raise FerError(f"{run.folder}: of another recipe than {runs[0].folder}")
    best = max(runs, key=lambda run: run.scores("val", VIEWS).accuracy)
    temperature, calibrated = calibrate(best)
    scores = {p: best.scores(p, VIEWS).model_dump(include=SCORES) for p in PARTS}
    save_model(
        best.model, SHIPPED, recipe=best.recipe.model_dump(), scores=scores,
        views=VIEWS, temperature=temperature, data=best.record.data.model_dump(),
        date=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    export_onnx(load_model(), ONNX)
    for run in runs:
        seed = "" if run is best else f"-seed{run.recipe.seed}"
        keep(run, RECORDS / f"{best.recipe.name}{seed}")
    text = card(best, runs, temperature, calibrated)
    write_atomic(CARD, text.encode())
    print(f"shipped {best.folder}, temperature {temperature:.3f}")


def current_card() -> str:
    """Return the card of what is shipped, from the records of it and its sisters."""
    name = load_model().metadata["recipe"]["name"]
    runs = [
        Run.load(path) for path in sorted(RECORDS.glob(f"{name}*")) if path.is_dir()
    ]
    runs = [run for run in runs if run.recipe.name == name]
    best = next(run for run in runs if run.folder.name == name)
    return card(best, runs, *calibrate(best))


def card(best: Run, runs: list[Run], temperature: float, calibrated: float) -> str:
    """Return the model card of the shipped weights, all of it from the records."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    source = (ROOT / "tools" / "MODEL_CARD.md.j2").read_text("utf-8")
    return environment.from_string(source).render(
        run=best, runs=runs, views=VIEWS, emotions=EMOTIONS,
        temperature=temperature, calibrated=calibrated,
        scores={part: best.scores(part, VIEWS) for part in PARTS},
        spread={p: spread([run.scores(p, VIEWS) for run in runs]) for p in PARTS},
        stress=stress(best.recipe.name), share=share,
        parameters=sum(p.numel() for p in load_model().parameters()),
        megabytes=SHIPPED.stat().st_size / 1e6,
    )  # fmt: skip


def stress(name: str) -> dict | None:
    """Return the lines of a network's stress card, if it is on record."""
    if not STRESS.is_file():
        return None
    record = json.loads(STRESS.read_text("utf-8"))
    cards = record["cards"].get(name)
    if not cards:
        return None
    units = "; ".join(f"{axis.name}: {axis.unit}" for axis in AXES)
    labels, people = cards["labels"], cards.get("people", cards["labels"])
    lines = [*zip(labels, people, strict=True)]
    return {"faces": record["faces"], "lines": lines, "units": units}


def share(line: dict) -> str:
    """Accuracy in per cent, and its interval."""
    mean, low, high = (100 * line[key] for key in ("accuracy", "low", "high"))
    return f"{mean:.1f} ({low:.0f} to {high:.0f})"


def calibrate(run: Run) -> tuple[float, float]:
    """Return the temperature, and PrivateTest's calibration error with it."""
    stored = run.predictions()
    val, test = (stored[f"{part}_{VIEWS}_views_probabilities"] for part in PARTS)
    # Copies of training images would make the network look surer than it may be.
    clean = stored["val_clean"]
    temperature = round(fit_temperature(val[clean], stored["val_labels"][clean]), 4)
    calibrated = apply_temperature(test, temperature)
    return temperature, calibration_error(calibrated, stored["test_labels"])


def spread(scores: list) -> dict[str, str]:
    """Mean ± standard deviation over seeds, in per cent, full and clean."""
    found = {
        "accuracy": [100 * one.accuracy for one in scores],
        "clean": [100 * one.clean.accuracy for one in scores],
        "macro_f1": [100 * one.macro_f1 for one in scores],
    }
    return {
        key: f"{fmean(v):.1f}" + (f" ± {stdev(v):.1f}" if len(v) > 1 else "")
        for key, v in found.items()
    }


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--card"]:
            write_atomic(CARD, current_card().encode())
        else:
            ship([Path(folder) for folder in sys.argv[1:]])
    except FerError as error:
        sys.exit(f"ship: {error}")
