"""Recipes: plain data, and errors that say what would have been right."""

import numpy as np
import pytest
from pydantic import ValidationError

from fer_utils import device
from fer_utils.config import PROFILES, read_config
from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.training import Recipe, recipe, recipe_names, train


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_in_every_profile(name, profile):
    made = recipe(name, profile)
    assert made.name == name and made.why


def test_the_profile_changes_the_recipe():
    quick, full = recipe("compact-cnn", "quick"), recipe("compact-cnn", "full")
    assert quick.epochs < full.epochs and quick.model == full.model
    assert recipe("compact-cnn") == quick, "tests run in the quick profile"
    assert recipe("compact-cnn", epochs=3).epochs == 3, "changes come last"


def test_like_takes_over_all_that_is_not_said():
    top, below = recipe("c-augmented", "full"), recipe("c-discriminative", "full")
    same = {"augment": below.augment, "epochs": below.epochs}
    assert top.with_(name=below.name, why=below.why, **same) == below != top
    assert recipe("d-max", "cpu").epochs == recipe("d-avg", "cpu").epochs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"learning_rate": 1},
            "no key 'learning_rate'; keys: name, why, model, .*seed",
        ),
        ({"profile_name": "full"}, "no key 'profile_name'"),
        ({"lr": "fast"}, "lr = 'fast': should be a valid number"),
        ({"epochs": 2.5}, "epochs = 2.5: should be a valid integer"),
        ({"epochs": True}, "epochs = True: should be a valid integer"),
        ({"model": 3}, "model = 3: should be 'compact-cnn', .* or 'vgg16'"),
        ({"epochs": 0}, "epochs = 0: should be greater than or equal to 1"),
        ({"epochs": 10**5}, "should be less than or equal to 10000"),
        ({"lr": -1}, "lr = -1: should be greater"),
        ({"lr": float("nan")}, "lr = nan: should be"),
        ({"lr": 10**400}, "lr = 1000.*: should be a valid number"),
        (
            {"optimizer": "lion"},
            "optimizer = 'lion': should be 'adamw', 'adam', 'sgd' or 'muon'",
        ),
        ({"augment": "wild"}, "should be 'none', 'flip', "),
        ({"classes": "happy, bored"}, "'bored' is not an expression"),
        ({"classes": "happy"}, "at least two"),
        ({"early_size": 8}, "early_size = 8: use 0, or at least 24"),
        (
            {"cached_views": 2, "unfreeze": 0, "flips": "alternate"},
            "cached_views needs unfreeze = 0 and random flips",
        ),
        ({"cached_views": 2}, "cached_views needs unfreeze = 0"),
    ],
    ids=str,
)
def test_wrong_settings(changes, message):
    with pytest.raises(FerError, match=message):
        recipe("compact-cnn", **changes)


def test_wrong_names():
    with pytest.raises(FerError, match="no recipe 'vgg'; recipes: compact-cnn"):
        recipe("vgg")
    with pytest.raises(FerError, match="no profile 'fast'; profiles: full, cpu, quick"):
        recipe("compact-cnn", "fast")


def test_wrong_environment(monkeypatch):
    wrong = read_config({"FER_PROFILE": "fast", "FER_DEVICE": "warp"})
    monkeypatch.setattr(device, "config", wrong)
    with pytest.raises(FerError, match="FER_PROFILE='fast': use one of full, cpu"):
        recipe("compact-cnn")
    with pytest.raises(FerError, match=r"FER_DEVICE='warp' cannot be used .*=cpu"):
        device.device()


def test_numbers_become_plain():
    made = Recipe("x", lr=np.float64(0.1), epochs=np.int64(3), ema=0)
    assert [type(v) for v in (made.lr, made.epochs, made.ema)] == [float, int, float]


def test_every_default_is_valid():
    defaults = Recipe("x").model_dump()
    assert Recipe(**defaults) == Recipe("x"), "pydantic checks what it is given"


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe("x").lr = 0.1


def test_a_share_of_the_training_images():
    data = load_fer2013("sample")
    whole = Recipe("all").split(data)
    some = Recipe("some", images=100, seed=3).split(data)
    assert len(some.train) == 100 and len(some.val) == len(whole.val)
    assert set(some.train.names) < set(whole.train.names)
    again, other = (Recipe("x", images=100, seed=s).split(data).train for s in (3, 4))
    assert np.array_equal(again.names, some.train.names)
    assert not np.array_equal(other.names, some.train.names)
    with pytest.raises(FerError, match=r"images = 9,000, but .* has 800 to train on"):
        Recipe("many", images=9000).split(data)
    with pytest.raises(FerError, match=r"train has 800 images, the recipe 100: recipe"):
        train(Recipe("some", images=100), whole.train, whole.val)


@pytest.mark.parametrize(
    ("name", "votes"),
    [
        ("laptop", False),
        ("taught", False),
        ("votes-wide", True),
        ("votes-first", True),
        ("people", True),
    ],
)
def test_which_networks_know_peoples_votes(name, votes):
    assert recipe(name).from_votes == votes
