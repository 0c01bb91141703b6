"""A training on record: a folder with recipe, environment, history, scores, model."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from ..config import config
from ..data import FER2013
from ..device import device, hardware, profile
from ..errors import FerError, reason
from ..evaluation import PeopleScores, people_scores, predict_probabilities, score
from ..files import write_atomic
from ..models import Recognizer, load_model, save_model
from .recipes import Recipe
from .record import DataSummary, Epoch, Hardware, Record, RecordedScores, read_record

FILES = ("last.pt", "predictions.npz", "model.safetensors", "run.json")


class Run:
    """One training, saved in `folder` while it goes on.

    `run.json` holds all of it in numbers and words, `model.safetensors` the weights of
    the chosen epoch, `predictions.npz` the probabilities behind the scores, `last.pt`
    what a stopped training needs to go on. Every file is written whole or not at all.
    """

    def __init__(self, folder: Path, record: Record):
        self.folder, self.record = folder, record

    def __repr__(self) -> str:
        state = "finished" if self.finished else "unfinished"
        return f"Run {self.folder.name}: {state}, {len(self.history)} epochs"

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Read a run from its folder; `FerError` if there is none or it is damaged."""
        path = Path(folder) / "run.json"
        try:
            return cls(Path(folder), read_record(path.read_bytes()))
        except FileNotFoundError:
            raise FerError(f"{folder}: no run there (run.json is missing)") from None
        except (OSError, ValueError) as error:
            raise FerError(
                f"{path}: damaged run record ({reason(error)}); restore it, or start "
                "over (--again, again=True)"
            ) from None

    @classmethod
    def open(cls, folder: Path, recipe: Recipe, train: FER2013, val: FER2013) -> "Run":
        """Load the run of this recipe and data in `folder`, or begin it there."""
        digest = fingerprint(train, val)
        if (folder / "run.json").exists():
            run = cls.load(folder)
            run.check_same(recipe, digest)
            return run
        counts = {"train": len(train), "val": len(val)}
        record = Record(
            recipe=recipe,
            profile=profile(),
            started=_now(),
            finished=None,
            hardware=Hardware(**hardware()),
            data=DataSummary(source=train.source, **counts, fingerprint=digest),
            seconds=0.0,
            history=[],
            scores={},
        )
        return cls(folder, record)

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete a run's files; whatever else is in the folder stays."""
        for name in FILES:
            (folder / name).unlink(missing_ok=True)

    def differences(self, recipe: Recipe, data_fingerprint: str) -> list[str]:
        """Return in words how this is not a run of that recipe on that data."""
        theirs = self.recipe.model_dump()
        found = [
            f"{key} = {theirs[key]!r}, not {value!r}"
            for key, value in recipe.model_dump(exclude={"why"}).items()
            if value != theirs[key]
        ]
        stored = self.record.data
        if data_fingerprint != stored.fingerprint:
            found.append(f"other images, from {stored.source}")
        return found

    def check_same(self, recipe: Recipe, data_fingerprint: str) -> None:
        """Raise `FerError` unless this is a run of that recipe on that data."""
        if differences := self.differences(recipe, data_fingerprint):
            raise FerError(
                f"{self.folder} holds a run with {'; '.join(differences)}: name "
                "another folder, or start over (--again, again=True)"
            )

    @property
    def recipe(self) -> Recipe:
        return self.record.recipe

    @property
    def history(self) -> list[Epoch]:
        return self.record.history

    @property
    def finished(self) -> bool:
        return self.record.finished is not None

    @cached_property
    def model(self) -> Recognizer:
        """The network with the weights of the `best` epoch; on the CPU until moved."""
        return load_model(self.folder / "model.safetensors")

    @property
    def best(self) -> Epoch:
        """The history entry of the chosen epoch, as `keep` in the recipe says."""
        if self.recipe.keep == "last":
            return self.history[-1]
        return max(self.history, key=lambda epoch: epoch["val_accuracy"])

    def save(self) -> None:
        """Write `run.json`."""
        text = self.record.model_dump_json(indent=1) + "\n"
        write_atomic(self.folder / "run.json", text.encode())

    def add_epoch(self, entry: Epoch, model: Recognizer, state: dict) -> None:
        """Save an epoch: its numbers, its weights if they are the best, its state."""
        self.history.append(entry)
        self.record.seconds = round(sum(e["seconds"] for e in self.history), 1)
        if self.best is entry:
            recipe = self.recipe.model_dump()
            save_model(model, self.folder / "model.safetensors", recipe=recipe)
        # The checkpoint carries the history too, so that a kill between two files
        # cannot make them disagree: resuming relies on the checkpoint alone.
        buffer = BytesIO()
        torch.save({**state, "record": self.record.model_dump_json()}, buffer)
        write_atomic(self.folder / "last.pt", buffer.getbuffer())
        self.save()

    def resume(self, device: torch.device, restore: Callable[[dict], None]) -> None:
        """Go back to the last whole epoch: its record here, its state to `restore`."""
        path = self.folder / "last.pt"
        if not path.exists():
            self.record.seconds, self.record.history, self.record.scores = 0.0, [], {}
            return
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            stored = Run(self.folder, read_record(state["record"]))
            stored.check_same(self.recipe, self.record.data.fingerprint)
            restore(state)
        except FerError:
            raise
        except Exception as error:  # torch.load raises many kinds
            raise FerError(
                f"{path}: damaged checkpoint ({reason(error)}); start over (--again, "
                "again=True)"
            ) from None
        self.record = stored.record

    def finish(self) -> None:
        """Mark the training as done and delete what only resuming needs."""
        self.record.finished = _now()
        self.save()
        (self.folder / "last.pt").unlink(missing_ok=True)

    def scores(
        self, part: str, views: int = 2, label_head: bool = False
    ) -> RecordedScores | None:
        """Return the scores on record for `val` or `test`; None if there are none."""
        return self.record.scores.get(scores_name(part, views, label_head))

    def evaluate(self, data: FER2013, part: str, views: int = 2) -> RecordedScores:
        """Score the run on `val` or `test` of its split and put that on record.

        Of a network with a `label_head`, its answers are put on record as well, under
        a name of their own; what is returned is the first head's.

        `data`: the FER2013 it was trained on. `views`: see `tta_views`.
        """
        if part not in ("val", "test"):
            raise FerError(f"part {part!r}: use val or test")
        parts, trained_on = self.recipe.split(data), self.record.data
        if (len(parts.train), len(parts.val)) != (trained_on.train, trained_on.val):
            raise FerError(
                f"{self.folder} was trained on other data ({trained_on.source}); to "
                "score it on these without a record, use evaluate(run.model, ...)"
            )
        piece = getattr(parts, part)
        model = self.model.to(device())
        name = scores_name(part, views)
        if model.label_head is not None:
            labels = scores_name(part, views, label_head=True)
            self._evaluate(labels, model.for_labels(), piece, views)
        return self._evaluate(name, model, piece, views)

    def _evaluate(
        self, name: str, model: Recognizer, piece: FER2013, views: int
    ) -> RecordedScores:
        probabilities = predict_probabilities(model, piece.images, views, progress=True)
        found = score(probabilities, piece).model_dump()
        people = _people(probabilities, piece)
        scores = RecordedScores(views=views, data=piece.source, people=people, **found)
        arrays = {
            "probabilities": probabilities.astype(np.float16),
            "labels": piece.labels.astype(np.int8),
            "clean": piece.clean,
        }
        self.add_scores(name, scores, **arrays)
        return scores

    def add_scores(self, name: str, scores: RecordedScores, **arrays) -> None:
        """Put scores on record under `name`, and the arrays behind them in a file."""
        path = self.folder / "predictions.npz"
        stored = self.predictions() if path.exists() else {}
        stored |= {f"{name}_{key}": value for key, value in arrays.items()}
        buffer = BytesIO()
        np.savez_compressed(buffer, **stored)
        write_atomic(path, buffer.getbuffer())
        self.record.scores[name] = scores
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


def _people(probabilities: np.ndarray, data: FER2013) -> PeopleScores | None:
    """Return the scores against FER+ votes; None where there are none."""
    if not config.votes or data.drawn:
        return None
    try:
        return people_scores(probabilities, data)
    except FerError as error:  # the scores against the labels are worth keeping
        tqdm.write(f"Not compared with FER+ votes: {error}")
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def scores_name(part: str, views: int, label_head: bool = False) -> str:
    """Return the key of scores and stored answers in a run's record."""
    name = part if views == 2 else f"{part}_{views}_views"
    return f"{name}_label_head" if label_head else name


def fingerprint(*parts: FER2013) -> str:
    """Return a short digest of images and labels: the same data, the same text."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(np.ascontiguousarray(part.images))
        digest.update(np.ascontiguousarray(part.labels))
    return digest.hexdigest()
