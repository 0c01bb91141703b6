"""How the weights move: the optimisers and their learning-rate schedule."""

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler

from ..models import Recognizer
from .recipes import Recipe


def parameter_groups(recipe: Recipe, model: Recognizer) -> list[dict]:
    """Return the trainable weights by part; biases and norms get no weight decay."""
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


def make_optimizers(recipe: Recipe, model: Recognizer) -> list[Optimizer]:
    """Return the recipe's optimisers of the trainable weights: one, for `muon` two."""
    groups = parameter_groups(recipe, model)
    common = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "muon":
        # For convolutions alone: the linear head, biases and norms are left to AdamW.
        convolutions = [group for group in groups if group["params"][0].ndim == 4]
        others = [group for group in groups if group["params"][0].ndim < 4]
        muon = [Muon(convolutions, **common)] if convolutions else []
        return [AdamW(others, **common), *muon]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return [SGD(groups, **common, momentum=recipe.momentum, nesterov=nesterov)]
    kind = AdamW if recipe.optimizer == "adamw" else Adam
    return [kind(groups, **common, fused=True)]


class Muon(Optimizer):
    """Convolutions move along their orthogonalised momentum.

    An update with singular values of equal size teaches rare directions as fast as
    common ones, so fewer epochs suffice (Jordan et al., 2024, kellerjordan.github.io/
    posts/muon). It is scaled to the usual step of AdamW, so that one `lr` serves both
    (Liu et al., 2025, arXiv:2502.16982).
    """

    def __init__(self, params, lr: float, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group["lr"], group["weight_decay"])

    def _move(self, weight: Tensor, lr: float, decay: float) -> None:
        gradient, state = weight.grad, self.state[weight]
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 0.05)
        update = newton_schulz(gradient.lerp(momentum, 0.95).flatten(1))
        scale = 0.2 * max(update.shape) ** 0.5
        weight.mul_(1 - lr * decay).sub_(update.view_as(weight), alpha=lr * scale)


def newton_schulz(matrix: Tensor, steps: int = 3) -> Tensor:
    """Return nearly U·Vᵀ of a matrix U·S·Vᵀ by Newton-Schulz, which only multiplies."""
    a, b, c = 3.4445, -4.775, 2.0315  # singular values of 0..1 end near 1
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def make_scheduler(recipe: Recipe, optimizer: Optimizer, steps: int):
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
