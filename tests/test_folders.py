"""Where runs go: what changes gets another folder, and nothing is lost."""

from dataclasses import replace

import pytest
from tiny import tiny

from fer_utils.data.fer2013 import SAMPLE_NAME
from fer_utils.errors import FerError
from fer_utils.training import Recipe, Run, folders, train

RECIPE = Recipe("tiny", epochs=3)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "config", replace(folders.config, runs=tmp_path))
    return tmp_path


def profile_of(monkeypatch, name: str) -> None:
    monkeypatch.setattr(folders, "profile", lambda: name)


def test_profile_and_drawn_faces_have_folders_of_their_own(home, monkeypatch):
    real = tiny(14), tiny(14, 1)
    drawn = [replace(part, source=SAMPLE_NAME) for part in real]
    found = []
    for name in ("quick", "cpu", "full"):
        profile_of(monkeypatch, name)
        found += [folders.default_folder(RECIPE, *parts) for parts in (real, drawn)]
    places = [path.relative_to(home).as_posix() for path in found]
    assert places[:2] == ["quick/tiny-seed0", "quick-sample/tiny-seed0"]
    assert len(set(places)) == 6


def test_a_changed_recipe_or_other_images_lose_nothing(home):
    parts = tiny(14), tiny(14, 1)
    changes = {}, {"epochs": 1}, {"lr": 1e-3}
    trained = [train(RECIPE.with_(**change), *parts).folder for change in changes]
    names = ["tiny-seed0", "tiny-seed0-2", "tiny-seed0-3"]
    assert [path.name for path in trained] == names
    other = train(RECIPE.with_(epochs=1), tiny(14, 5), parts[1])
    assert other.folder.name == "tiny-seed0-4"
    for change, folder in zip(changes, trained, strict=True):
        again = train(RECIPE.with_(**change), *parts)
        assert again.folder == folder and again.finished


def test_records_of_ones_own_beside_the_courses(home):
    before = folders.records()
    run = train(RECIPE, tiny(14), tiny(14, 1), home / "records" / "mine")
    Run.open(home / "records" / "unfinished", RECIPE, tiny(14), tiny(14, 1)).save()
    own = folders.records()
    assert own.keys() - before.keys() == {"mine"} and before
    assert own["mine"].history == run.history
    assert folders.find_run("mine", 0, tiny(7)) == home / "records" / "mine"


def test_starting_over_deletes_the_same_training_only(home):
    parts = tiny(14), tiny(14, 1)
    short = RECIPE.with_(epochs=1)
    first, second = train(RECIPE, *parts), train(short, *parts)
    kept = first.record.started, first.history
    anew = train(short, *parts, again=True)
    assert anew.folder == second.folder
    assert (Run.load(first.folder).record.started, first.history) == kept


def test_a_damaged_run_in_its_place(home):
    parts = tiny(14), tiny(14, 1)
    run = train(RECIPE, *parts)
    (run.folder / "run.json").write_text("{", "utf-8")
    with pytest.raises(FerError, match="damaged run record"):
        train(RECIPE, *parts)
    assert train(RECIPE, *parts, again=True).folder == run.folder


def test_an_earlier_run_by_recipe_by_seed_or_by_folder(home, monkeypatch):
    profile_of(monkeypatch, "cpu")
    data = tiny(7)
    assert folders.find_run("wide-cnn", 3, data) == home / "cpu" / "wide-cnn-seed3"
    assert (
        folders.find_run("wide-cnn-seed2", 3, data) == home / "cpu" / "wide-cnn-seed2"
    )
    for name in ("mine", "cpu/wide-cnn-seed3-2", "cpu/wide-cnn-seed3-10"):
        (home / name).mkdir(parents=True)
    assert folders.find_run("wide-cnn", 3, data).name == "wide-cnn-seed3-10"
    for name in ("mine", str(home / "mine")):
        assert folders.find_run(name, 3, data) == home / "mine"
