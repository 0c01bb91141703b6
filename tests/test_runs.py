"""Run folders: whole files only, and damage is named, never passed on."""

import errno
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.evaluation import Scores, evaluate, score
from fer_utils.files import write_atomic
from fer_utils.models import Recognizer, recognizer
from fer_utils.training import Recipe, Run, runs, train
from fer_utils.training.record import RecordedScores
from fer_utils.training.runs import FILES

RECIPE = Recipe("tiny", epochs=3)
ENTRY = {
    "epoch": 1,
    "lr": 1e-3,
    "train_loss": 1.5,
    "val_loss": 1.6,
    "val_accuracy": 0.5,
    "seconds": 1.0,
}


def begin(folder: Path) -> Run:
    return Run.open(folder, RECIPE, tiny(14), tiny(14, 1))


def state(model: Recognizer) -> dict:
    return {"model": model.state_dict()}


def some_scores(count: int = 7) -> RecordedScores:
    data = tiny(count)
    found = score(np.full((count, 7), 1 / 7), data).model_dump()
    return RecordedScores(views=2, data=data.source, **found)


@pytest.fixture
def model():
    return Recognizer("compact-cnn")


@pytest.fixture
def one_epoch(tmp_path, model):
    """A run with one epoch and scores, not finished."""
    started = begin(tmp_path / "run")
    started.add_epoch(dict(ENTRY), model, state(model))
    started.add_scores("val", some_scores(), labels=np.arange(3))
    return started


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_run_comes_back(one_epoch):
    loaded = Run.load(one_epoch.folder)
    assert loaded.record == one_epoch.record and loaded.recipe == RECIPE
    assert not loaded.finished and loaded.best["val_accuracy"] == 0.5
    assert loaded.scores("val") == some_scores() and loaded.scores("test") is None
    assert loaded.predictions()["val_labels"].tolist() == [0, 1, 2]
    one_epoch.finish()
    assert Run.load(one_epoch.folder).finished
    assert set(contents(one_epoch.folder)) == set(FILES) - {"last.pt"}


@pytest.mark.parametrize(("keep", "kept"), [("best", 2), ("last", 3)])
def test_keep(keep, kept, tmp_path, model):
    kept_run = Run.open(tmp_path, RECIPE.with_(keep=keep), tiny(14), tiny(14))
    for epoch, accuracy in ((1, 0.2), (2, 0.6), (3, 0.6)):
        with torch.no_grad():
            model.net.head[-1].bias.fill_(epoch)
        entry = ENTRY | {"epoch": epoch, "val_accuracy": accuracy}
        kept_run.add_epoch(entry, model, state(model))
    assert kept_run.best["epoch"] == kept
    assert kept_run.model.net.head[-1].bias[0] == kept


def test_delete_leaves_other_files_alone(one_epoch):
    (one_epoch.folder / "thesis.txt").write_text("years of work", "utf-8")
    Run.delete(one_epoch.folder)
    assert set(contents(one_epoch.folder)) == {"thesis.txt"}


# Scores ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    data = tiny(98)
    usage = np.repeat(["Training", "PublicTest", "PrivateTest"], [56, 21, 21])
    data.images[97] = data.images[0]  # a copy of a training image in the test part
    return replace(data, usage=usage)


@pytest.fixture(scope="module")
def run(whole, tmp_path_factory):
    parts = whole.split()
    folder = tmp_path_factory.mktemp("run")
    chosen = Recipe("small", epochs=1, batch_size=16)
    return train(chosen, parts.train, parts.val, folder)


def plain(scores: RecordedScores) -> Scores:
    """The scores as `evaluate` returns them."""
    return Scores(**scores.model_dump(exclude={"views", "data"}))


def test_scores_go_on_record_with_what_is_behind_them(run, whole):
    scores = run.evaluate(whole, "test")
    assert plain(scores) == evaluate(run.model, whole.split().test)
    assert scores.clean.count == 20
    loaded = Run.load(run.folder)
    assert loaded.record.scores["test"].accuracy == scores.accuracy
    assert loaded.scores("test") == scores  # the clean ones too
    assert loaded.scores("val") is None
    stored = loaded.predictions()
    again = score(stored["test_probabilities"].astype(float), whole.split().test)
    assert again.confusion == scores.confusion
    run.evaluate(whole, "val")
    six = run.evaluate(whole, "val", views=6)
    loaded = Run.load(run.folder)
    assert {"test_labels", "val_6_views_labels"} <= loaded.predictions().keys()
    assert loaded.scores("val", 6) == six
    assert plain(six) == evaluate(run.model, whole.split().val, 6)
    assert loaded.record.scores["val"].views == 2
    assert loaded.record.scores["val_6_views"].views == 6


def test_other_data_does_not_go_on_record(run, whole):
    before = (run.folder / "run.json").read_text("utf-8")
    with pytest.raises(FerError, match="part 'train': use val or test"):
        run.evaluate(whole, "train")
    other = replace(whole, usage=np.roll(whole.usage, 30))
    other.usage[:3] = "Training"
    with pytest.raises(FerError, match=r"trained on other data \(tiny\)"):
        run.evaluate(other, "test")
    assert (run.folder / "run.json").read_text("utf-8") == before


# Disk full, kill ------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_disk_full(name, one_epoch, model, monkeypatch):
    before = contents(one_epoch.folder)
    finish = Path.replace

    def full(part, path):
        if path.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return finish(part, path)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FerError, match=rf"{name}: cannot be written \(No space"):
        if name == "predictions.npz":
            one_epoch.add_scores("test", some_scores(), labels=np.arange(3))
        else:
            better = ENTRY | {"val_accuracy": 0.9}
            one_epoch.add_epoch(better, model, state(model))
    after = contents(one_epoch.folder)
    assert after.keys() == before.keys() and after[name] == before[name]
    monkeypatch.undo()
    Run.load(one_epoch.folder)


class Killed(BaseException):
    """As SIGKILL: nothing catches it, nothing cleans up."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", [f for f in FILES if f != "predictions.npz"])
def test_kill_between_two_files(name, when, one_epoch, model, monkeypatch):
    def killed(path, data):
        if when == "after" or path.name != name:
            write_atomic(path, data)
        if path.name == name:
            raise Killed

    for module in (runs, recognizer):
        monkeypatch.setattr(module, "write_atomic", killed)
    better = ENTRY | {"val_accuracy": 0.9}
    with pytest.raises(Killed):
        one_epoch.add_epoch(better, model, state(model))
    restored = []
    resumed = begin(one_epoch.folder)
    resumed.resume(torch.device("cpu"), restored.append)
    # The checkpoint decides: from there on, or the same epoch once more.
    whole = (name, when) in [("last.pt", "after"), ("run.json", "before")]
    whole |= (name, when) == ("run.json", "after")
    assert len(resumed.history) == (2 if whole else 1) and len(restored) == 1


def test_without_a_checkpoint_it_starts_over(one_epoch):
    (one_epoch.folder / "last.pt").unlink()
    resumed = begin(one_epoch.folder)
    resumed.resume(torch.device("cpu"), pytest.fail)
    assert resumed.history == [] and resumed.record.scores == {}


def test_folder_is_a_file(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(FerError, match="cannot be written"):
        begin(tmp_path / "file" / "run").save()
    with pytest.raises(FerError, match=r"run\.json"):
        Run.load(tmp_path / "file")


# Damage ---------------------------------------------------------------------------

RECORDS = {
    "empty": "",
    "half": '{"recipe": {"name"',
    "a list": "[]",
    "binary": b"\xff\xfe\x00",
    "no history": {"history": ...},
    "history of texts": {"history": ["a"]},
    "history without accuracy": {"history": [{"epoch": 1}]},
    "no scores": {"scores": ...},
    "scores without accuracy": {"scores": {"val": {"count": 7}}},
    "no cores": {"hardware": {"device": "cpu"}},
    "finished a number": {"finished": 1},
    "finished without an epoch": {"finished": "2026", "history": []},
    "unknown recipe key": {"recipe": {"name": "a", "speed": 9}},
    "wrong recipe value": {"recipe": {"name": "a", "lr": "fast"}},
}


@pytest.mark.parametrize("damage", RECORDS.values(), ids=RECORDS)
def test_damaged_record(one_epoch, damage):
    path = one_epoch.folder / "run.json"
    if isinstance(damage, dict):
        changed = {**one_epoch.record.model_dump(mode="json"), **damage}
        damage = json.dumps({k: v for k, v in changed.items() if v is not ...})
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(
        FerError, match=r"run\.json: damaged run record \(.+\)"
    ) as caught:
        Run.load(one_epoch.folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_field_is_named(one_epoch):
    path = one_epoch.folder / "run.json"
    path.write_text(
        path.read_text("utf-8").replace('"seconds": 1.0', '"seconds": "long"', 1),
        "utf-8",
    )
    with pytest.raises(FerError, match=r"seconds = 'long': should be a valid number"):
        Run.load(one_epoch.folder)


def test_no_run(tmp_path):
    with pytest.raises(FerError, match="no run there"):
        Run.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["last.pt", "predictions.npz", "model.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "noise", "half"])
def test_damaged_file(one_epoch, name, damage):
    path = one_epoch.folder / name
    whole = path.read_bytes()
    data = {"empty": b"", "noise": os.urandom(5000), "half": whole[: len(whole) // 2]}
    path.write_bytes(data[damage])
    with pytest.raises(FerError, match=rf"{name}: (damaged|not a weights)") as caught:
        use(one_epoch, name)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data[damage], "left for inspection"


def use(opened: Run, name: str) -> None:
    if name == "last.pt":
        opened.resume(torch.device("cpu"), lambda state: None)
    elif name == "predictions.npz":
        opened.add_scores("test", some_scores(), labels=np.arange(3))
    else:
        _ = opened.model


def test_a_pickle_in_the_checkpoint_is_not_run(one_epoch, tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    torch.save({"record": "{}", "x": Attack()}, one_epoch.folder / "last.pt")
    with pytest.raises(FerError, match="damaged checkpoint"):
        use(one_epoch, "last.pt")
    assert not (tmp_path / "owned").exists()


def test_pickled_predictions_are_not_run(one_epoch):
    path = one_epoch.folder / "predictions.npz"
    np.savez(path, val_labels=np.array([object()]))
    assert zipfile.is_zipfile(path)
    with pytest.raises(FerError, match="damaged"):
        one_epoch.predictions()


# Another recipe, other data -------------------------------------------------------


def test_another_recipe_in_the_folder(one_epoch):
    other = RECIPE.with_(lr=0.1, epochs=9, why="told in other words")
    wanted = r"holds a run with epochs = 3, not 9; lr = 0.004, not 0.1: name another"
    with pytest.raises(FerError, match=wanted):
        Run.open(one_epoch.folder, other, tiny(14), tiny(14, 1))


def test_other_data_in_the_folder(one_epoch):
    for train_, val in ((tiny(14, 5), tiny(14, 1)), (tiny(14), tiny(21, 1))):
        with pytest.raises(FerError, match="other images, from tiny"):
            Run.open(one_epoch.folder, RECIPE, train_, val)


def test_checkpoint_of_another_recipe(one_epoch):
    (one_epoch.folder / "run.json").unlink()
    other = Run.open(one_epoch.folder, RECIPE.with_(lr=0.1), tiny(14), tiny(14, 1))
    with pytest.raises(FerError, match=r"lr = 0.004, not 0.1"):
        other.resume(torch.device("cpu"), pytest.fail)
