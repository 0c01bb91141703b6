"""How the weights move: the optimiser and its learning-rate schedule."""

import torch
from torch.optim import lr_scheduler

from .models import Recognizer
from .recipes import Recipe


def parameter_groups(recipe: Recipe, model: Recognizer) -> list[dict]:
    """Return the trainable weights by part, each with its learning rate.

    Weight decay is for weights only: biases and norms have nothing to unlearn.
    """
    body = recipe.lr_body or recipe.lr
    rates = {"head": recipe.lr, "body": body, "stem": recipe.lr_stem or body}
    groups = []
    for part, lr in rates.items():
        weights = getattr(model.net, part).parameters()
        weights = [weight for weight in weights if weight.requires_grad]
        decayed = [weight for weight in weights if weight.ndim > 1]
        spared = [weight for weight in weights if weight.ndim < 2]
        groups.append({"params": decayed, "lr": lr})
        groups.append({"params": spared, "lr": lr, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def make_optimizer(recipe: Recipe, model: Recognizer) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the trainable weights of the model."""
    groups = parameter_groups(recipe, model)
    common = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, **common, momentum=recipe.momentum, nesterov=recipe.momentum > 0
        )
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, **common, fused=True)


def make_scheduler(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int):
    """Return the learning-rate schedule; all but `plateau` move at every step."""
    total = steps * recipe.epochs
    if recipe.schedule == "onecycle":
        return lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            total + 1,
            pct_start=max(recipe.warmup, 1 / total),
            cycle_momentum=recipe.optimizer != "sgd",  # sgd keeps the recipe's
        )
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=recipe.patience
        )
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)
