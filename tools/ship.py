"""Put a finished run into the package, with its card; keep its sisters on record.

    python tools/ship.py runs/compact-cnn-seed*

All runs must be of one recipe and differ in their seed only. The one with the best
PublicTest accuracy is shipped: PrivateTest has no say in it. The package looks six
times at a face, so these scores go with the weights; the records hold those of two
looks too, which all runs have.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined

from fer_utils.config import FerError
from fer_utils.evaluation import (
    apply_temperature,
    calibration_error,
    fit_temperature,
    scores_name,
)
from fer_utils.labels import EMOTIONS
from fer_utils.models import SHIPPED, save_model
from fer_utils.run import Run
from fer_utils.suite import keep

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "report" / "runs"
LOOKS = 6
PARTS = {part: scores_name(part, LOOKS) for part in ("val", "test")}
SCORES = ("accuracy", "macro_f1", "top2_accuracy", "log_loss", "calibration_error")


def ship(folders: list[Path]) -> None:
    """Write weights, metadata, records and MODEL_CARD.md from finished, scored runs."""
    runs = [Run.load(folder) for folder in folders]
    for run in runs:
        if not run.finished or not {"val", "test"} <= run.record["scores"].keys():
            raise FerError(f"{run.folder}: not finished and scored; `fer train` it")
        for part, name in PARTS.items():
            if name not in run.record["scores"]:
                ask = f"fer evaluate {run.folder} --part {part} --looks {LOOKS}"
                raise FerError(f"{run.folder}: not scored with {LOOKS} looks; `{ask}`")
        if run.recipe.with_(seed=0) != runs[0].recipe.with_(seed=0):
            raise FerError(f"{run.folder}: of another recipe than {runs[0].folder}")
    best = max(runs, key=lambda run: run.record["scores"][PARTS["val"]]["accuracy"])
    temperature, after = calibrate(best)

    name = best.recipe.name
    scores = {part: best.record["scores"][stored] for part, stored in PARTS.items()}
    save_model(
        best.model,
        SHIPPED,
        recipe=best.record["recipe"],
        scores={part: {key: scores[part][key] for key in SCORES} for part in scores},
        looks=LOOKS,
        temperature=temperature,
        data=best.record["data"],
        date=datetime.now(UTC).date().isoformat(),
    )
    for run in runs:
        seed = f"-seed{run.recipe.seed}"
        keep(run, RECORDS / (name if run is best else name + seed))

    parts = {
        part: [run.record["scores"][stored] for run in runs]
        for part, stored in PARTS.items()
    }
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((ROOT / "tools/MODEL_CARD.md.j2").read_text())
    card = template.render(
        run=best,
        runs=runs,
        looks=LOOKS,
        names=PARTS,
        scores=scores,
        spread={part: spread(entries) for part, entries in parts.items()},
        parameters=sum(p.numel() for p in best.model.parameters()),
        megabytes=SHIPPED.stat().st_size / 1e6,
        temperature=temperature,
        calibrated=after,
        emotions=EMOTIONS,
    )
    (ROOT / "MODEL_CARD.md").write_text(card, "utf-8")
    readme = ROOT / "README.md"
    start, _, rest = readme.read_text("utf-8").partition("<!-- model -->\n")
    table = card.partition("| | accuracy, full")
    table = "".join(table[1:]).partition("\n\n")[0]
    text = start + f"<!-- model -->\n{table}\n" + rest[rest.index("<!-- /model -->") :]
    readme.write_text(text, "utf-8")
    print(f"shipped {best.folder}, temperature {temperature:.3f}")


def calibrate(run: Run) -> tuple[float, float]:
    """Return the temperature, and PrivateTest's calibration error with it."""
    stored = run.predictions()
    val, test = (stored[f"{name}_probabilities"] for name in PARTS.values())
    # Copies of training images would make the network look surer than it may be.
    clean = stored["val_clean"]
    temperature = round(fit_temperature(val[clean], stored["val_labels"][clean]), 4)
    calibrated = apply_temperature(test, temperature)
    return temperature, calibration_error(calibrated, stored["test_labels"])


def spread(entries: list[dict]) -> dict[str, str]:
    """Mean ± standard deviation over seeds, in per cent, full and clean."""
    values = {
        "accuracy": [e["accuracy"] for e in entries],
        "clean": [e["clean"]["accuracy"] for e in entries],
        "macro_f1": [e["macro_f1"] for e in entries],
    }
    return {
        key: f"{100 * np.mean(v):.1f} ± {100 * np.std(v, ddof=1):.1f}"
        if len(v) > 1
        else f"{100 * v[0]:.1f}"
        for key, v in values.items()
    }


if __name__ == "__main__":
    try:
        ship([Path(folder) for folder in sys.argv[1:]])
    except FerError as error:
        sys.exit(str(error))
