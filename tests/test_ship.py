"""Shipping: which run, on which yardstick, and what goes into the files."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import ship
from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.evaluation import apply_balance
from fer_utils.models import load_model
from fer_utils.shipped import SHIPPED
from fer_utils.training import recipe, records


def test_bad_arguments(tmp_path):
    for network, folders in (("", []), ("people", []), ("peeple", [tmp_path])):
        with pytest.raises(FerError, match="name a network"):
            ship.ship(network, folders)
    with pytest.raises(FerError, match="no run there"):
        ship.ship("people", [tmp_path])


def test_a_run_without_six_views_is_refused():
    folder = records()["laptop"].folder
    with pytest.raises(FerError, match=r"not scored yet; `fer evaluate .* --views 6"):
        ship.ship("fer2013-labels", [folder])


def test_fitted_on_publictest_alone(monkeypatch):
    """Balance and temperature do not change with PrivateTest's answers."""
    parts = load_fer2013("sample").split()

    def labels(network, data):
        return ship.Yardstick(np.ones(len(data), bool), data.labels)

    monkeypatch.setattr(ship, "yardstick", labels)
    monkeypatch.setattr(ship, "vote_shares", lambda data: np.eye(7)[data.labels])
    people = type("People", (), {"model_dump": lambda self: {}})
    monkeypatch.setattr(ship, "people_scores", lambda p, data: people())
    rng = np.random.default_rng(0)
    chances = {p: rng.dirichlet([1] * 7, len(getattr(parts, p))) for p in ship.PARTS}
    monkeypatch.setattr(ship, "answers", lambda run, part, *_: chances[part])
    run = SimpleNamespace(recipe=recipe("people"))
    first = ship.fitted("people", run, parts)
    chances["test"] = rng.dirichlet([1] * 7, len(parts.test))
    second = ship.fitted("people", run, parts)
    for key in ("balance", "temperature"):
        assert first[key] == second[key]
    assert first["scores"]["val"] == second["scores"]["val"]
    assert first["scores"]["test"] != second["scores"]["test"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scores_are_those_of_the_record(name):
    """What a file says of itself, computed again from the stored answers."""
    header = load_model(name).metadata
    run = records()[header["recipe"]["name"]]
    factors = np.array(header.get("balance", [1.0] * 7))
    for part in ship.PARTS:
        stored = run.predictions()
        answers = ship.answers(run, part, header["views"])
        answers = apply_balance(answers, factors)
        right = (answers.argmax(1) == stored[f"{part}_labels"]).mean()
        assert header["scores"][part]["accuracy"] == pytest.approx(right, abs=1e-4)
        if run.recipe.label_head:
            answers = ship.answers(run, part, header["views"], label_head=True)
            right = (answers.argmax(1) == stored[f"{part}_labels"]).mean()
            said = header["label_scores"][part]["accuracy"]
            assert said == pytest.approx(right, abs=1e-4)


def test_slices_of_another_network_are_not_shown(tmp_path, monkeypatch):
    shipped = {name: {"header": load_model(name).metadata} for name in SHIPPED}
    record = ship.slices(shipped)
    assert record["networks"].keys() == shipped.keys()
    old = tmp_path / "slices.json"
    monkeypatch.setattr(ship, "SLICES", old)
    assert ship.slices(shipped) is None, "none on record"
    record["networks"]["people"]["date"] = "2001-01-01"
    old.write_text(json.dumps(record), "utf-8")
    assert ship.slices(shipped) is None, "of weights that are gone"


def test_what_the_card_says_of_slices():
    dark = {"accuracy": 0.5, "rest": 0.7, "differs": True}
    bright = {"accuracy": 0.8, "rest": 0.6, "differs": False}
    network = {"slices": {"brightness": {"dark": dark, "bright": bright}}}
    assert ship.apart(network, False) == "brightness dark (50.0, others 70.0)"
    assert ship.apart(network, True) == "none", "no star, no word"
    bounds = {"low": 0.6, "high": 0.7}
    sures = {"angry": 0.5, "happy": 0.65, "sad": 0.8}
    answered = {name: bounds | {"confidence": sure} for name, sure in sures.items()}
    assert ship.misjudged({"answered": answered}, True) == "sad"
    assert ship.misjudged({"answered": answered}, False) == "angry"
