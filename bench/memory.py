"""The GPU memory that each recipe needs, computed without a GPU.

    python bench/memory.py [RECIPE ...] [--profile full]

Tensors here are fake: they have a shape, a number format and a device, but no numbers.
So the package's own code runs, on any machine, and all that is alive at one time is
added up. cuDNN's workspace and fragments come on top: about a gigabyte.
"""

import argparse
import warnings
import weakref
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fer_utils.data import FER2013
from fer_utils.device import inference_batch
from fer_utils.evaluation import predict_probabilities
from fer_utils.models import Recognizer
from fer_utils.training import Recipe, Trainer, loader, recipe, recipe_names, trainer

CUDA = torch.device("cuda")
IMAGES = 300  # more than one batch; the true 35,887 take 83 MB


class Need(NamedTuple):
    """Peak memory in bytes of a training step, and of scoring with six views."""

    train: int
    score: int


class Peak(TorchDispatchMode):
    """Adds up the memory of all tensors on a device, and keeps the largest sum."""

    def __init__(self, device: str):
        super().__init__()
        self.device, self.sizes, self.live, self.peak = device, {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == self.device:
                self.add(leaf.untyped_storage())
        return result

    def add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.remove, key)

    def remove(self, key: int) -> None:
        self.live -= self.sizes.pop(key)


def zeros(tensor: torch.Tensor) -> np.ndarray:
    """What a fake tensor, which holds no numbers, is outside of PyTorch."""
    return np.zeros(tuple(tensor.shape), np.float32)


@contextmanager
def pretended(device: str):
    """Let everything be computed with fake tensors on `device`, in float16 as a T4."""
    patches = [
        mock.patch.object(trainer, "best_precision", lambda *_: torch.float16),
        # Fake weights cannot move; they are made in the right place.
        mock.patch.object(nn.Module, "to", lambda self, *_, **__: self),
        mock.patch.object(torch.Tensor, "numpy", zeros),
        mock.patch.object(trainer, "check_sizes", lambda *_: None),
        # Nor can they be copied.
        mock.patch("torch.optim.swa_utils.deepcopy", lambda m: Recognizer(m.name)),
        # Batches of a GPU's size, also where the tensors claim a CPU.
        mock.patch.object(
            loader, "inference_batch", lambda _, *size: inference_batch(CUDA, *size)
        ),
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", bool),
        warnings.catch_warnings(action="ignore"),
        FakeTensorMode(allow_non_fake_inputs=True),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        peak = stack.enter_context(Peak(device))
        stack.enter_context(torch.device(device))
        yield peak


def blank_images(classes: str) -> FER2013:
    """Return black images of every class."""
    labels, texts = np.arange(IMAGES) % 7, np.full(IMAGES, "Training")
    images = np.zeros((IMAGES, 48, 48), np.uint8)
    return FER2013(images, labels, texts, texts, "nowhere").with_classes(classes)


def one_step(chosen: Recipe, device: str) -> Trainer:
    """Build the recipe's trainer and move its weights once, on fake tensors."""
    # Where weights and targets come from changes nothing; fake labels have no counts
    # to balance, and mixup draws a number that a fake generator has not.
    chosen = chosen.with_(start="", teacher="", labels="fer", pretrained=False)
    chosen = chosen.with_(class_weights="none", balanced=False, mixup=0.0)
    data = blank_images(chosen.classes)
    one = {"process_index": 0, "num_processes": 1, "prepare": lambda model: model}
    accelerator = SimpleNamespace(device=torch.device(device), **one)
    accelerator.backward = lambda loss: loss.backward()
    made = Trainer(chosen, data, data, accelerator)
    # Scaler and average ask for numbers; the average's weights are there by now.
    made.scaler = torch.amp.GradScaler(device, enabled=False)
    made.averaged = None
    made.start_epoch(chosen.epochs - 1)
    made.train_model.train()
    images, targets = next(made.loader.batches(0))
    with made.autocast():
        logits = made.train_model(images)
    loss = made.loss(logits.float(), targets)
    if device == "cuda":  # autograd asks the driver, which is not there
        for weight in made.model.parameters():
            weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
        accelerator.backward = made.train_model.zero_grad = lambda *_: None
    made.step(loss)
    return made


def memory(chosen: Recipe) -> Need:
    """Return what a recipe needs on a GPU; `RuntimeError` if devices are mixed up."""
    with pretended("cpu") as peak:
        one_step(chosen, "cpu")
        train = peak.peak
    with pretended("cuda") as peak:
        model = one_step(chosen, "cuda").saved_model
        peak.peak = peak.live
        predict_probabilities(model, np.zeros((IMAGES, 48, 48), np.uint8), views=6)
        return Need(train, peak.peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="RECIPE")
    parser.add_argument("--profile", default="full")
    given = parser.parse_args()
    print(f"{'recipe':22}{'network':26}{'side':>5}{'batch':>7}{'train':>8}{'score':>8}")
    for name in given.names or recipe_names():
        chosen = recipe(name, given.profile)
        need = memory(chosen)
        gigabytes = "".join(f"{size / 1e9:5.1f} GB" for size in need)
        print(
            f"{name:22}{chosen.model:26}{chosen.input_size:5}{chosen.batch_size:7}"
            f"{gigabytes}",
            flush=True,
        )


if __name__ == "__main__":
    main()
