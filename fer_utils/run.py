"""A training on record: a folder with recipe, environment, history, scores, model."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .config import FerError, hardware, profile, reason, write_whole
from .data import FER2013
from .models import Recognizer, load_model, save_model
from .recipes import Recipe

FILES = ("last.pt", "predictions.npz", "model.safetensors", "run.json")
# What every `run.json` holds, and as what.
FIELDS = {
    "recipe": dict,
    "finished": (str, type(None)),
    "hardware": dict,
    "data": dict,
    "seconds": (int, float),
    "history": list,
    "scores": dict,
}


class Run:
    """One training, kept in `folder` while it goes on.

    `run.json` holds all of it in numbers and words, `model.safetensors` the kept
    weights, `predictions.npz` the probabilities behind the scores, `last.pt` what a
    stopped training needs to go on. Every file is written whole or not at all.
    """

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder, self.record = folder, record

    def __repr__(self) -> str:
        state = "finished" if self.finished else "unfinished"
        return f"Run {self.folder.name}: {state}, {len(self.history)} epochs"

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Read a run from its folder; `FerError` if there is none or it is damaged."""
        path = Path(folder) / "run.json"
        try:
            record = _read_record(path.read_text("utf-8"))
        except FileNotFoundError:
            raise FerError(f"{folder}: no run there (run.json is missing)") from None
        except (OSError, ValueError, TypeError) as error:
            raise FerError(f"{path}: damaged run record ({reason(error)})") from None
        return cls(Path(folder), record)

    @classmethod
    def open(cls, folder: Path, recipe: Recipe, train: FER2013, val: FER2013) -> "Run":
        """Load the run of this recipe and data in `folder`, or begin it there."""
        data = {
            "source": train.source,
            "train": len(train),
            "val": len(val),
            "fingerprint": fingerprint(train, val),
        }
        if (folder / "run.json").exists():
            run = cls.load(folder)
            run.check_same(recipe, data)
            return run
        record = {
            "recipe": asdict(recipe),
            "profile": profile(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "hardware": hardware(),
            "data": data,
            "seconds": 0.0,
            "history": [],
            "scores": {},
        }
        return cls(folder, record)

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete a run's files; whatever else is in the folder stays."""
        for name in FILES:
            (folder / name).unlink(missing_ok=True)

    def check_same(self, recipe: Recipe, data: dict[str, Any]) -> None:
        """Raise `FerError` unless this is a run of that recipe on that data."""
        ours, theirs = asdict(recipe), asdict(self.recipe)
        differences = [
            f"{key} = {theirs[key]!r}, not {ours[key]!r}"
            for key in ours
            if key != "why" and ours[key] != theirs[key]
        ]
        stored = self.record["data"]
        if data["fingerprint"] != stored.get("fingerprint"):
            differences.append(f"other images, from {stored.get('source')}")
        if differences:
            raise FerError(
                f"{self.folder} holds a run with {'; '.join(differences)}: name "
                "another folder, or start anew (--again, again=True)"
            )

    @property
    def recipe(self) -> Recipe:
        return Recipe(**self.record["recipe"])

    @property
    def history(self) -> list[dict[str, float]]:
        """One entry an epoch: lr, train_loss, val_loss, val_accuracy, seconds."""
        return self.record["history"]

    @property
    def finished(self) -> bool:
        return self.record["finished"] is not None

    @cached_property
    def model(self) -> Recognizer:
        """The kept weights, ready to predict; on the CPU until moved."""
        return load_model(self.folder / "model.safetensors")

    @property
    def best(self) -> dict[str, float]:
        """The history entry of the kept epoch."""
        if self.recipe.keep == "last":
            return self.history[-1]
        return max(self.history, key=lambda epoch: epoch["val_accuracy"])

    def save(self) -> None:
        """Write `run.json`."""
        text = json.dumps(self.record, indent=1) + "\n"
        write_whole(self.folder / "run.json", text.encode())

    def add_epoch(
        self, entry: dict[str, float], model: Recognizer, state: dict
    ) -> None:
        """Keep an epoch: its numbers, its weights if they are the best, its state."""
        self.history.append(entry)
        self.record["seconds"] = round(sum(e["seconds"] for e in self.history), 1)
        if self.best is entry:
            recipe = asdict(self.recipe)
            save_model(model, self.folder / "model.safetensors", recipe=recipe)
        # The checkpoint carries the history too, so that a kill between two files
        # cannot make them disagree: resuming believes the checkpoint alone.
        state = {**state, "record": json.dumps(self.record)}
        buffer = BytesIO()
        torch.save(state, buffer)
        write_whole(self.folder / "last.pt", buffer.getbuffer())
        self.save()

    def resume(self, device: torch.device, restore: Callable[[dict], None]) -> None:
        """Go back to the last whole epoch: its record here, its state to `restore`."""
        path = self.folder / "last.pt"
        if not path.exists():
            self.record |= {"seconds": 0.0, "history": [], "scores": {}}
            return
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            stored = Run(self.folder, _read_record(state["record"]))
            stored.check_same(self.recipe, self.record["data"])
            restore(state)
        except FerError:
            raise
        except Exception as error:  # torch.load raises many kinds
            raise FerError(
                f"{path}: damaged checkpoint ({reason(error)}); start anew (--again, "
                "again=True)"
            ) from None
        self.record = stored.record

    def finish(self) -> None:
        """Mark the training as done and drop what only resuming needs."""
        self.record["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.save()
        (self.folder / "last.pt").unlink(missing_ok=True)

    def add_scores(self, name: str, scores: dict, **arrays: np.ndarray) -> None:
        """Put scores on record under `name`, and the arrays behind them."""
        path = self.folder / "predictions.npz"
        stored = self.predictions() if path.exists() else {}
        stored |= {f"{name}_{key}": value for key, value in arrays.items()}
        buffer = BytesIO()
        np.savez_compressed(buffer, **stored)
        write_whole(path, buffer.getbuffer())
        self.record["scores"][name] = scores
        self.save()

    def predictions(self) -> dict[str, np.ndarray]:
        """Return the arrays behind the scores: `val_probabilities`, `val_labels`, …"""
        path = self.folder / "predictions.npz"
        try:
            with np.load(path) as stored:
                return dict(stored)
        except FileNotFoundError:
            raise FerError(f"{path}: not there yet; evaluate the run first") from None
        except Exception as error:  # zip, zlib and NumPy each raise their own
            raise FerError(
                f"{path}: damaged ({reason(error)}); delete it and evaluate again"
            ) from None


def records() -> dict[str, Run]:
    """Return the finished runs that came with the course, by name: all but weights.

    They are what the report is drawn from (`report/runs`), and stand in for trainings
    that take too long to repeat in a lesson.
    """
    package = Path(__file__).parent
    folders = (package.parent / "report" / "runs", package / "records")
    home = next(folder for folder in folders if folder.is_dir())
    return {
        path.parent.name: Run.load(path.parent)
        for path in sorted(home.glob("*/run.json"))
    }


def _read_record(text: str) -> dict[str, Any]:
    """Return the record in a JSON text; `ValueError` or `TypeError` if it is none."""
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError("not a table")
    for key, kind in FIELDS.items():
        if not isinstance(record.get(key, ...), kind):
            raise ValueError(f"{key!r} is missing or wrong")
    Recipe(**record["recipe"])
    if not all(isinstance(e, dict) and "val_accuracy" in e for e in record["history"]):
        raise ValueError("'history' is wrong")
    if record["finished"] and not record["history"]:
        raise ValueError("finished without an epoch")
    return record


def fingerprint(*parts: FER2013) -> str:
    """Return a short digest of images and labels: the same data, the same text."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(np.ascontiguousarray(part.images))
        digest.update(np.ascontiguousarray(part.labels))
    return digest.hexdigest()
