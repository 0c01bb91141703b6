"""A training recipe as plain data; the named ones stand in `recipes.toml`."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_type_hints

from .augment import POLICIES
from .config import PROFILES, FerError, profile
from .data import PROTOCOLS
from .labels import parse_classes
from .networks import NETWORKS

# What each key may be: one of several names, or a number from low to high.
VALID = {
    "model": tuple(NETWORKS),
    "input_size": (24, 512),
    "early_size": (0, 512),
    "protocol": PROTOCOLS,
    "labels": ("fer", "fer+"),
    "teacher_weight": (0, 1),
    "epochs": (1, 10_000),
    "batch_size": (2, 65_536),
    "optimizer": ("adamw", "adam", "sgd", "muon"),
    "lr": (1e-9, 100),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "schedule": ("constant", "cosine", "onecycle", "triangle", "plateau"),
    "warmup": (0, 0.95),
    "patience": (0, 100),
    "label_smoothing": (0, 0.9),
    "class_weights": ("none", "balanced"),
    "augment": tuple(POLICIES),
    "flips": ("random", "alternate"),
    "mixup": (0, 10),
    "cutmix": (0, 10),
    "ema": (0, 0.99999),
    "grad_clip": (0, 1e6),
    "keep": ("best", "last"),
    "unfreeze": (-1, 100),
    "lr_body": (0, 100),
    "lr_stem": (0, 100),
    "views": (0, 20),
    "seed": (0, 2**31),
}
KINDS = {
    str: (str, "text"),
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
}


@dataclass(frozen=True)
class Recipe:
    """All that decides a training, apart from the data; defaults suit a small CNN."""

    name: str
    why: str = ""
    model: str = "compact-cnn"
    input_size: int = 48  # pixels a side, as the network sees them
    early_size: int = 0  # the same in the first half of the epochs, 0: no different
    classes: str = "all"  # see labels.parse_classes
    protocol: str = "official"  # see FER2013.split
    labels: str = "fer"  # fer+: learn the shares of people's votes (FER_VOTES)
    teacher: str = ""  # learn from what these runs say, too: see targets.answers
    teacher_weight: float = 0.7  # its share of what is learned
    epochs: int = 24
    batch_size: int = 128
    optimizer: str = "adamw"
    lr: float = 4e-3  # the peak, where the schedule has one
    momentum: float = 0.9  # sgd only
    weight_decay: float = 1e-2
    schedule: str = "onecycle"  # triangle: the same in straight lines, no cosine
    warmup: float = 0.25  # share of the steps until the peak of onecycle or triangle
    patience: int = 3  # epochs without a better loss before plateau halves the rate
    label_smoothing: float = 0.1
    class_weights: str = "none"
    augment: str = "standard"  # see augment.POLICIES
    flips: str = "random"  # alternate: a mirror image every second epoch, by no chance
    mixup: float = 0.0  # Beta's alpha, 0 for none
    cutmix: float = 0.0
    ema: float = 0.0  # decay per step of the averaged weights, 0 for none
    grad_clip: float = 0.0  # largest gradient norm, 0 for no limit
    keep: str = "best"  # the epoch whose weights are kept, by accuracy on `val`
    pretrained: bool = False  # start from ImageNet weights
    start: str = ""  # "shipped", or an earlier run: see targets.find_run
    unfreeze: int = -1  # how many last blocks learn beside the head; -1: all
    lr_body: float = 0.0  # peak for the body, 0: as `lr`, which is the head's
    lr_stem: float = 0.0  # peak for the stem, 0: as the body's
    views: int = 0  # with unfreeze = 0: train the head on cached features of so many
    balanced: bool = False  # draw every class equally often
    seed: int = 0

    def __post_init__(self):
        for key, kind in get_type_hints(Recipe).items():
            value, valid = getattr(self, key), VALID.get(key, ())
            accepted, words = KINDS[kind]
            flag = isinstance(value, bool)
            if flag != (kind is bool) or not isinstance(value, accepted):
                expected = words
            elif valid and kind is str and value not in valid:
                expected = f"one of {', '.join(valid)}"
            elif valid and kind is not str and not valid[0] <= value <= valid[1]:
                expected = f"{valid[0]:g} to {valid[1]:g}"
            else:  # 1 becomes 1.0, and NumPy's numbers become JSON's
                object.__setattr__(self, key, kind(value))
                continue
            raise FerError(f"recipe {self.name!r}: {key} = {value!r}, want {expected}")
        parse_classes(self.classes)
        if 0 < self.early_size < VALID["input_size"][0]:
            raise FerError(f"recipe {self.name!r}: early_size: 0, or 24 and more")
        changing = self.ema or self.mixup or self.cutmix or self.flips != "random"
        if self.views and (self.unfreeze or changing):
            raise FerError(
                f"recipe {self.name!r}: views caches features, so it wants "
                "unfreeze = 0, random flips and no ema, mixup or cutmix"
            )

    def with_(self, **changes: Any) -> "Recipe":
        """Return a changed copy; an unknown key is a `FerError` that lists the keys."""
        keys = get_type_hints(Recipe)
        for key in changes.keys() - keys:
            known = ", ".join(keys)
            raise FerError(f"recipe {self.name!r}: no key {key!r}; keys: {known}")
        return replace(self, **changes)


@cache
def _tables() -> dict[str, dict]:
    return tomllib.loads(Path(__file__).with_name("recipes.toml").read_text("utf-8"))


def recipe_names() -> list[str]:
    """Return the names of all recipes, in the order of the file."""
    return list(_tables())


def recipe(name: str, profile_name: str | None = None, /, **changes: Any) -> Recipe:
    """Return a named recipe, as the profile wants it, with `changes` on top.

    A recipe's table may hold tables `full`, `cpu` and `quick` that say what a profile
    does differently, and `like`, another recipe that says all the rest. Raises
    `FerError` for unknown names, keys and values.
    """
    chosen = profile_name or profile()
    if chosen not in PROFILES:
        raise FerError(f"no profile {chosen!r}; profiles: {', '.join(PROFILES)}")
    common, special = _settings(name, chosen)
    return Recipe(name).with_(**{**common, **special, **changes})


def _settings(name: str, profile_name: str) -> tuple[dict, dict]:
    """Return a recipe's settings for all profiles, and those for this one alone."""
    if name not in _tables():
        raise FerError(f"no recipe {name!r}; recipes: {', '.join(recipe_names())}")
    common = dict(_tables()[name])
    special = {p: common.pop(p, {}) for p in PROFILES}[profile_name]
    if "like" in common:
        base = _settings(common.pop("like"), profile_name)
        common, special = base[0] | common, base[1] | special
    return common, special
