"""Recipes: plain data, and errors that say what would have been right."""

import numpy as np
import pytest

from fer_utils import config
from fer_utils.config import PROFILES, FerError, read_config
from fer_utils.recipes import VALID, Recipe, recipe, recipe_names


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
        ({"lr": "fast"}, "lr = 'fast', want a number"),
        ({"epochs": 2.5}, "epochs = 2.5, want a whole number"),
        ({"epochs": True}, "epochs = True, want a whole number"),
        ({"model": 3}, "model = 3, want text"),
        ({"epochs": 0}, "epochs = 0, want 1 to 10000"),
        ({"lr": -1}, "lr = -1, want"),
        ({"lr": float("nan")}, "lr = nan, want"),
        ({"lr": 10**400}, "want 1e-09 to 100"),
        (
            {"optimizer": "lion"},
            "optimizer = 'lion', want one of adamw, adam, sgd, muon",
        ),
        ({"augment": "wild"}, "want one of none, flip"),
        ({"classes": "happy, bored"}, "bored' is no expression"),
        ({"classes": "happy"}, "at least two"),
        ({"early_size": 8}, "early_size: 0, or 24 and more"),
        ({"views": 2, "unfreeze": 0, "flips": "alternate"}, "random flips and no ema"),
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
    monkeypatch.setattr(config, "config", wrong)
    with pytest.raises(FerError, match="FER_PROFILE='fast': use one of full, cpu"):
        recipe("compact-cnn")
    with pytest.raises(FerError, match=r"FER_DEVICE='warp' cannot be used .*=cpu"):
        config.device()


def test_numbers_become_plain():
    made = Recipe("x", lr=np.float64(0.1), epochs=np.int64(3), ema=0)
    assert [type(v) for v in (made.lr, made.epochs, made.ema)] == [float, int, float]


def test_every_default_is_valid():
    made = Recipe("x")
    for key, valid in VALID.items():
        value = getattr(made, key)
        inside = value in valid
        assert inside or valid[0] <= value <= valid[1], key
