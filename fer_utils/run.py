"""A training on record: a folder with recipe, environment, history, scores, model."""

import hashlib
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .config import FerError, profile
from .data import FER2013
from .models import Recognizer, load_model, save_model
from .recipes import Recipe


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
            record = json.loads(path.read_text("utf-8"))
            Recipe(**record["recipe"])
            record["history"], record["data"], record["seconds"]
        except FileNotFoundError:
            raise FerError(f"{folder}: no run there (run.json is missing)") from None
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise FerError(f"{path}: damaged run record ({reason})") from None
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
            for what, ours in (("recipe", asdict(recipe)), ("data", data)):
                theirs = run.record[what]
                for key in ours.keys() | theirs.keys():
                    if ours.get(key) != theirs.get(key) and key != "why":
                        raise FerError(
                            f"{folder} holds a run with {key} = {theirs.get(key)!r}, "
                            f"not {ours.get(key)!r}: name another folder, or start anew"
                        )
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
        """The kept weights, on the CPU, ready to predict."""
        return load_model(self.folder / "model.safetensors")

    @property
    def best(self) -> dict[str, float]:
        """The history entry of the kept epoch."""
        if self.recipe.keep == "last":
            return self.history[-1]
        return max(self.history, key=lambda epoch: epoch["val_accuracy"])

    def save(self) -> None:
        """Write `run.json`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.record, indent=1) + "\n"
        _write(self.folder / "run.json", lambda part: part.write_text(text, "utf-8"))

    def add_epoch(
        self, entry: dict[str, float], model: Recognizer, state: dict
    ) -> None:
        """Keep an epoch: its numbers, its weights if they are the best, its state."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.history.append(entry)
        self.record["seconds"] = round(sum(e["seconds"] for e in self.history), 1)
        if self.best is entry:
            recipe = asdict(self.recipe)
            save_model(model, self.folder / "model.safetensors", recipe=recipe)
        # The checkpoint carries the history too, so that a kill between two files
        # cannot make them disagree: resuming believes the checkpoint alone.
        state = {**state, "record": json.dumps(self.record)}
        _write(self.folder / "last.pt", lambda part: torch.save(state, part))
        self.save()

    def resume(self, device: torch.device) -> dict | None:
        """Return the state of the last whole epoch, None where there is none."""
        path = self.folder / "last.pt"
        if not path.exists():
            self.history.clear()
            return None
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            self.record = json.loads(state["record"])
        except Exception as error:  # torch.load raises many kinds
            reason = str(error).splitlines()[0]
            raise FerError(
                f"{path}: damaged checkpoint ({reason}); start anew"
            ) from None
        return state

    def finish(self) -> None:
        """Mark the training as done and drop what only resuming needs."""
        self.record["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.save()
        (self.folder / "last.pt").unlink(missing_ok=True)

    def add_scores(self, name: str, scores: dict, **arrays: np.ndarray) -> None:
        """Put scores on record under `name`, and the arrays behind them."""
        path = self.folder / "predictions.npz"
        stored = dict(np.load(path)) if path.exists() else {}
        stored |= {f"{name}_{key}": value for key, value in arrays.items()}
        _write(path, lambda part: _savez(part, stored))
        self.record["scores"][name] = scores
        self.save()


def _savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write(path: Path, write) -> None:
    """Write beside, then rename: readers see the whole file or the one before."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FerError(
            f"{path}: could not be written ({error.strerror or error}); what stood "
            "there is kept, free some space and go on with the same command"
        ) from None


def fingerprint(*parts: FER2013) -> str:
    """Return a short digest of images and labels: the same data, the same text."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(np.ascontiguousarray(part.images))
        digest.update(np.ascontiguousarray(part.labels))
    return digest.hexdigest()


def hardware() -> dict[str, Any]:
    """Return what the training runs on: device, CPU, cores, versions."""
    from .config import device

    where = device()
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(x.split(":")[1].strip() for x in lines if "model name" in x)
    except (OSError, StopIteration):
        pass
    try:
        own = version("fer-utils")
    except PackageNotFoundError:  # run from a folder that was not installed
        own = "source"
    return {
        "device": torch.cuda.get_device_name() if where.type == "cuda" else where.type,
        "cpu": name,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "fer_utils": own,
    }
