"""Trainings: recipes, augmentation, optimisers, the loop, and the runs on record."""

from ..lazy import need

need("torch accelerate pydantic", "training", "course")

from .augment import POLICIES, Policy, augment, random_erase, random_light
from .folders import records
from .loader import Loader, to_device
from .optim import make_optimizers, make_scheduler, orthogonalised, parameter_groups
from .recipes import Recipe, recipe, recipe_names
from .runs import Run
from .targets import training_targets
from .trainer import Trainer, train, train_epoch, validate_epoch
