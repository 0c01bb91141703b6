"""What a training learns from: FER2013's labels, FER+ votes, or a teacher's answers."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .config import FerError, config
from .data import FER2013, VOTES
from .evaluation import predict_probabilities
from .labels import EMOTIONS, class_map, code
from .models import Recognizer, load_model
from .recipes import Recipe
from .run import Run


def targets(recipe: Recipe, train: FER2013, device: torch.device) -> Tensor:
    """Return int64 labels [N], or float32 shares [N,classes] that sum to one.

    `labels = "fer+"` takes the shares of people's votes; `teacher` blends in what
    earlier runs say of each training image (Hinton et al., 2015, arXiv:1503.02531).
    """
    if recipe.labels == "fer" and not recipe.teacher:
        return torch.from_numpy(train.labels).to(device)
    shares = np.eye(len(train.classes), dtype=np.float32)[train.labels]
    if recipe.labels == "fer+":
        shares = vote_shares(train)
    if recipe.teacher:
        weight = recipe.teacher_weight
        shares = (1 - weight) * shares + weight * answers(recipe, train, device)
    return torch.from_numpy(shares.astype(np.float32)).to(device)


def vote_shares(train: FER2013) -> np.ndarray:
    """Return float32 [N,classes]: the FER+ votes for each class, as shares.

    Votes for contempt, unknown and no face are left out; where none remain, the
    FER2013 label stands.
    """
    votes = np.maximum(train.votes()[:, :7], 0)
    by_code = np.zeros((len(train), len(EMOTIONS)), np.float32)
    by_code[:, [code(name) for name in VOTES[:7]]] = votes
    table = class_map(train.classes)
    shares = np.zeros((len(train), len(train.classes)), np.float32)
    for emotion, place in enumerate(table):
        if place >= 0:
            shares[:, place] += by_code[:, emotion]
    none = shares.sum(1) == 0
    shares[none] = np.eye(len(train.classes), dtype=np.float32)[train.labels[none]]
    return shares / shares.sum(1, keepdims=True)


def answers(recipe: Recipe, train: FER2013, device: torch.device) -> np.ndarray:
    """Return float32 [N,classes]: the mean of what the recipe's teachers say.

    `teacher` names runs as `start` does, several with commas between them.
    """
    names = [name.strip() for name in recipe.teacher.split(",")]
    models = [earlier_model(name, recipe.seed) for name in names]
    for name, model in zip(names, models, strict=True):
        if model.classes != train.classes:
            raise FerError(
                f"{recipe.name}: the teacher {name} knows the classes "
                f"{', '.join(model.classes)}, the data {', '.join(train.classes)}"
            )
    said = [
        predict_probabilities(model.to(device), train.images, progress=True)
        for model in models
    ]
    return np.mean(said, axis=0)


def earlier_model(name: str, seed: int) -> Recognizer:
    """Return the network that `start` or `teacher` names: "shipped", or a run's."""
    if name == "shipped":
        return load_model()
    folder = find_run(name, seed)
    if not folder.exists():
        raise FerError(
            f"{folder}: no run there, and the recipe needs the run of {name}; "
            "`fer suite RECIPE` trains what a recipe needs first"
        )
    return Run.load(folder).model


def find_run(name: str, seed: int) -> Path:
    """Return the folder of a run: `name` itself, or the recipe's run of this seed.

    `wide-cnn-seed2` names a run of one seed, whatever the seed here is.
    """
    for folder in (Path(name), config.runs / name):
        if folder.is_dir():
            return folder
    return config.runs / (name if "-seed" in name else f"{name}-seed{seed}")
