"""How the weights move: the optimisers and their learning-rate schedule."""

from collections.abc import Sequence

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
        weights = [*getattr(model.net, part).parameters()]
        if part == "head" and model.label_head is not None:
            weights += model.label_head.parameters()
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
        return [AdamW(others, **common, fused=True), *muon]
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
            weights = [weight for weight in group["params"] if weight.grad is not None]
            updates = orthogonalised([self._update(weight) for weight in weights])
            for weight, update in zip(weights, updates, strict=True):
                rate = group["lr"] * 0.2 * max(update.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(update.view_as(weight), alpha=rate)

    def _update(self, weight: Tensor) -> Tensor:
        """Return momentum and newest gradient, blended, as a matrix."""
        gradient, state = weight.grad, self.state[weight]
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 0.05)
        return gradient.lerp(momentum, 0.95).flatten(1)


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Return nearly U·Vᵀ of each matrix U·S·Vᵀ [M,N].

    Matrices with the same shorter side are worked on together: many small products
    one by one would take longer.
    """
    tall = [matrix.shape[0] > matrix.shape[1] for matrix in matrices]
    wide = [m.T if turn else m for m, turn in zip(matrices, tall, strict=True)]
    wide = [matrix / (matrix.norm() + 1e-7) for matrix in wide]  # singular values 0..1
    found = {}
    for height in {len(matrix) for matrix in wide}:
        rows = [row for row, matrix in enumerate(wide) if len(matrix) == height]
        squares = torch.stack([wide[row] @ wide[row].T for row in rows])
        for row, factor in zip(rows, newton_schulz(squares), strict=True):
            found[row] = factor @ wide[row]
    return [found[row].T if turn else found[row] for row, turn in enumerate(tall)]


def newton_schulz(square: Tensor, steps: int = 3) -> Tensor:
    """Return P [...,M,M] from G = X·Xᵀ: P·X is nearly U·Vᵀ, where X is U·S·Vᵀ.

    Each step turns X into (a + b·G + c·G²)·X, by products alone. G is small where X is
    wide, so these factors are multiplied with each other, and with X only in the end.
    """
    a, b, c = 3.4445, -4.775, 2.0315  # singular values of 0..1 end near 1
    one = torch.eye(square.shape[-1]).to(square)
    product = one
    for _ in range(steps):
        factor = a * one + b * square + c * square @ square
        product = factor @ product
        square = factor @ factor @ square
    return product


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
