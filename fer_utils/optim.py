"""How the weights move: the optimiser and its learning-rate schedule."""

import torch
from torch import nn
from torch.optim import lr_scheduler

from .recipes import Recipe


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Weight decay for weights only: biases and norms have nothing to unlearn."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
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
            recipe.lr,
            total + 1,
            pct_start=max(recipe.warmup, 1 / total),
            cycle_momentum=recipe.optimizer != "sgd",  # sgd keeps the recipe's
        )
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)
