"""What a training learns: FER2013's labels, FER+ votes, or its teachers' answers."""

import numpy as np
import torch
from torch import Tensor

from ..data import FER2013, vote_shares
from ..errors import FerError
from ..evaluation import predict_probabilities
from ..models import Recognizer, load_model
from ..shipped import SHIPPED
from .folders import find_run
from .recipes import Recipe
from .runs import Run


def training_targets(recipe: Recipe, train: FER2013, device: torch.device) -> Tensor:
    """Return int64 labels [N], or float32 shares [N,classes] that sum to one.

    For a network with a `label_head`: [N,classes,2], the second for that head.

    `labels = "fer+"` takes the shares of people's votes, blended with `label_share` of
    FER2013's label; `teacher` blends in the probabilities that earlier runs give
    (Hinton et al., 2015, arXiv:1503.02531).
    """
    if recipe.labels == "fer" and not recipe.teacher:
        return torch.from_numpy(train.labels).to(device)
    shares = labels = np.eye(len(train.classes), dtype=np.float32)[train.labels]
    if recipe.labels == "fer+":
        share = recipe.label_share
        shares = share * shares + (1 - share) * vote_shares(train)
    if recipe.teacher:
        weight = recipe.teacher_weight
        taught = teacher_probabilities(recipe, train, device)
        shares = (1 - weight) * shares + weight * taught
    if recipe.label_head:
        # Votes are soft already: only the labels are smoothed.
        smoothing = recipe.label_smoothing
        labels = (1 - smoothing) * labels + smoothing / len(train.classes)
        shares = np.stack([shares, labels], -1)
    return torch.from_numpy(shares.astype(np.float32)).to(device)


def teacher_probabilities(
    recipe: Recipe, train: FER2013, device: torch.device
) -> np.ndarray:
    """Return float32 [N,classes]: the mean probabilities of the recipe's teachers."""
    names = [name.strip() for name in recipe.teacher.split(",")]
    teachers = [(name, earlier_model(name, recipe.seed, train)) for name in names]
    for name, model in teachers:
        if model.classes != train.classes:
            raise FerError(
                f"{recipe.name}: the teacher {name} knows the classes "
                f"{', '.join(model.classes)}, the data {', '.join(train.classes)}; use "
                "a teacher of the same classes"
            )
    found = [
        predict_probabilities(model.to(device), train.images, progress=True)
        for _, model in teachers
    ]
    return np.mean(found, axis=0)


def earlier_model(name: str, seed: int, data: FER2013) -> Recognizer:
    """Return the network that `start` or `teacher` names: a shipped one, or a run's."""
    if name in SHIPPED:
        return load_model(name)
    folder = find_run(name, seed, data)
    if not folder.exists():
        raise FerError(
            f"{folder}: no run there, and the recipe needs the run of {name}; train "
            f"that recipe first (fer train {name.partition('-seed')[0]})"
        )
    return Run.load(folder).model
