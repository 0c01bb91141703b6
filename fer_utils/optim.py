"""How the weights move: the optimiser and its learning-rate schedule."""

import torch
from torch import Tensor
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
    if recipe.optimizer == "muon":
        return Muon(groups, **common)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, **common, fused=True)


class Muon(torch.optim.AdamW):
    """Convolutions move by orthogonalised momentum, everything else as in AdamW.

    An update whose singular values are all alike teaches rare directions as fast as
    common ones, so few epochs go further (Jordan et al., 2024, kellerjordan.github.io/
    posts/muon). Scaled to AdamW's usual step, so that one `lr` serves both (Liu et
    al., 2025, arXiv:2502.16982).
    """

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim == 4 and weight.grad is not None:
                    self._move(weight, group["lr"], group["weight_decay"])
                    weight.grad = None  # AdamW leaves it alone
        return super().step(closure)

    def _move(self, weight: Tensor, lr: float, decay: float) -> None:
        state, gradient = self.state[weight], weight.grad
        state.setdefault("step", torch.zeros(()))  # AdamW asks for it when it loads
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 0.05)
        update = orthogonalised(gradient.lerp(momentum, 0.95).flatten(1))
        scale = 0.2 * max(update.shape) ** 0.5
        weight.mul_(1 - lr * decay).sub_(update.view_as(weight), alpha=lr * scale)


def orthogonalised(matrix: Tensor, steps: int = 3) -> Tensor:
    """Return nearly U·Vᵀ of a matrix U·S·Vᵀ, by Newton-Schulz: products only."""
    a, b, c = 3.4445, -4.775, 2.0315  # singular values of 0..1 end near 1
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def make_scheduler(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int):
    """Return the learning-rate schedule; all but `plateau` move at every step."""
    total = steps * recipe.epochs
    if recipe.schedule in ("onecycle", "triangle"):
        return lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            total + 1,
            pct_start=max(recipe.warmup, 1 / total),
            anneal_strategy="cos" if recipe.schedule == "onecycle" else "linear",
            cycle_momentum=recipe.optimizer in ("adam", "adamw"),  # sgd keeps its own
        )
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=recipe.patience
        )
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)
