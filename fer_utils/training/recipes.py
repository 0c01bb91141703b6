"""A training recipe as plain data; `recipes.toml` holds the named ones."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from ..config import PROFILES
from ..data import FER2013, PROTOCOLS, Splits
from ..device import profile
from ..errors import FerError, first_problem
from ..labels import parse_classes
from ..models import NETWORKS
from .augment import POLICIES


class Recipe(BaseModel, frozen=True, extra="forbid", strict=True):
    """All that decides a training, apart from the data; defaults suit a small CNN."""

    name: str
    why: str = ""
    model: Literal[*NETWORKS] = "compact-cnn"
    input_size: int = Field(48, ge=24, le=512)  # pixels a side, as the network sees it
    early_size: int = Field(0, ge=0, le=512)  # in the first half of the epochs; 0: same
    classes: str = "all"  # see labels.parse_classes
    protocol: Literal[*PROTOCOLS] = "official"  # see FER2013.split
    images: int = Field(0, ge=0, le=100_000)  # training images, drawn; 0: all
    labels: Literal["fer", "fer+"] = "fer"  # fer+: learn the shares of people's votes
    label_share: float = Field(0.0, ge=0, le=1)  # of FER2013's label among the votes
    label_head: bool = False  # a second head learns FER2013's labels beside the votes
    teacher: str = ""  # runs to learn from as well, with commas: see folders.find_run
    teacher_weight: float = Field(0.7, ge=0, le=1)  # their share of what is learned
    epochs: int = Field(24, ge=1, le=10_000)
    batch_size: int = Field(128, ge=2, le=65_536)
    optimizer: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    lr: float = Field(4e-3, ge=1e-9, le=100)  # the peak, where the schedule has one
    momentum: float = Field(0.9, ge=0, le=0.9999)  # sgd only
    weight_decay: float = Field(1e-2, ge=0, le=10)
    # triangle: as onecycle, but in straight lines instead of a cosine
    schedule: Literal["constant", "cosine", "onecycle", "triangle", "plateau"] = (
        "onecycle"
    )
    warmup: float = Field(0.25, ge=0, le=0.95)  # share of steps before the peak
    patience: int = Field(3, ge=0, le=100)  # bad epochs before plateau halves the rate
    label_smoothing: float = Field(0.1, ge=0, le=0.9)
    dropout: float = Field(-1.0, ge=-1, lt=1)  # before the head; -1: the network's own
    class_weights: Literal["none", "balanced"] = "none"
    augment: Literal[*POLICIES] = "standard"
    degrade: float = Field(0.0, ge=0, le=2)  # blur, noise and JPEG; 0: none, 1: much
    flips: Literal["random", "alternate"] = "random"  # alternate: every second epoch
    mixup: float = Field(0.0, ge=0, le=10)  # alpha of the beta distribution, 0: none
    cutmix: float = Field(0.0, ge=0, le=10)
    ema: float = Field(0.0, ge=0, le=0.99999)  # decay of the averaged weights; 0: none
    grad_clip: float = Field(0.0, ge=0, le=1e6)  # largest gradient norm, 0: no limit
    keep: Literal["best", "last"] = "best"  # which epoch: best by accuracy on `val`
    pretrained: bool = False  # start from ImageNet weights
    start: str = ""  # a shipped network, or an earlier run: see folders.find_run
    unfreeze: int = Field(-1, ge=-1, le=100)  # last blocks that learn too; -1: all
    lr_body: float = Field(0.0, ge=0, le=100)  # 0: as `lr`, which is the head's
    lr_stem: float = Field(0.0, ge=0, le=100)  # 0: as the body's
    cached_views: int = Field(0, ge=0, le=20)  # features kept per image; 0: no cache
    balanced: bool = False  # draw every class equally often
    seed: int = Field(0, ge=0, le=2**31)

    def __init__(self, name: str, **settings: Any):
        for key, value in settings.items():
            if isinstance(value, np.generic):
                settings[key] = value.item()
        try:
            super().__init__(name=name, **settings)
        except ValidationError as error:
            raise FerError(f"recipe {name!r}: {problem_of(error)}") from None

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        parse_classes(self.classes)
        if 0 < self.early_size < 24:
            raise ValueError(f"early_size = {self.early_size}: use 0, or at least 24")
        if self.label_share and self.labels == "fer":
            raise ValueError('label_share needs labels = "fer+", which it blends with')
        if self.label_head and (
            self.labels == "fer" or self.cached_views or self.mixup or self.cutmix
        ):
            raise ValueError(
                'label_head needs labels = "fer+", and no cached_views, mixup or cutmix'
            )
        changing = self.ema or self.mixup or self.cutmix or self.flips != "random"
        if self.cached_views and (self.unfreeze or changing or self.degrade):
            raise ValueError(
                "cached_views needs unfreeze = 0 and random flips, and no ema, mixup, "
                "cutmix or degrade"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        return parse_classes(self.classes)

    @property
    def from_votes(self) -> bool:
        """Whether the network learns from people's votes, or has before it starts."""
        first = self.start.partition("-seed")[0]
        return self.labels == "fer+" or (first in TABLES and recipe(first).from_votes)

    def with_(self, **changes: Any) -> "Recipe":
        """Return a changed copy; an unknown key is a `FerError` that lists the keys."""
        return Recipe(**self.model_dump() | changes)

    def split(self, data: FER2013) -> Splits:
        """Return the recipe's classes of `data`, split by its protocol and seed.

        `images` draws that many of the training part; `FerError` if it has fewer.
        """
        parts = data.with_classes(self.classes).split(self.protocol, self.seed)
        if not self.images:
            return parts
        if self.images > len(parts.train):
            raise FerError(
                f"recipe {self.name!r}: images = {self.images:,}, but {data.source} "
                f"has {len(parts.train):,} to train on; lower it, or 0 for all of them"
            )
        generator = np.random.default_rng(self.seed)
        drawn = generator.permutation(len(parts.train))[: self.images]
        return parts._replace(train=parts.train.select(np.sort(drawn)))


def problem_of(error: ValidationError) -> str:
    """Return in one line what is wrong with a recipe or a record first."""
    problems = error.errors(include_url=False)
    return first_problem(problems, "key", Recipe.model_fields)


TABLES = tomllib.loads(Path(__file__).with_name("recipes.toml").read_text("utf-8"))


def recipe_names() -> list[str]:
    """Return the names of all recipes, in the order of the file."""
    return list(TABLES)


def recipe(name: str, profile_name: str | None = None, /, **changes: Any) -> Recipe:
    """Return a named recipe, with the profile's settings and `changes` on top.

    A recipe's table may hold `full`, `cpu` and `quick`, tables of what a profile does
    differently, and `like`, a recipe that has the rest. `FerError` on unknown names.
    """
    chosen = profile_name or profile()
    if chosen not in PROFILES:
        raise FerError(f"no profile {chosen!r}; profiles: {', '.join(PROFILES)}")
    common, special = _settings(name, chosen)
    return Recipe(name, **common | special | changes)


def _settings(name: str, profile_name: str) -> tuple[dict, dict]:
    """Return a recipe's settings for all profiles, and those for this one alone."""
    if name not in TABLES:
        raise FerError(f"no recipe {name!r}; recipes: {', '.join(TABLES)}")
    common = dict(TABLES[name])
    special = {p: common.pop(p, {}) for p in PROFILES}[profile_name]
    if "like" in common:
        base = _settings(common.pop("like"), profile_name)
        common, special = base[0] | common, base[1] | special
    return common, special
