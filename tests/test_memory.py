"""What a GPU would need, and whether all tensors lie on it: without a GPU."""

import pytest
import torch
from memory import memory

from fer_utils.device import inference_batch
from fer_utils.training import loader, recipe, recipe_names

T4 = 14e9  # bytes of the 15 GB that a T4 has for us; one is left to cuDNN


def distinct() -> list[str]:
    """The recipes whose network, sizes and optimiser no other recipe shares."""
    keys = ("model", "input_size", "batch_size", "optimizer", "unfreeze", "ema")
    found = {}
    for name in recipe_names():
        chosen = recipe(name, "full")
        found.setdefault(tuple(getattr(chosen, key) for key in keys), name)
    return list(found.values())


@pytest.mark.parametrize("name", distinct())
def test_every_recipe_fits_a_t4(name):
    need = memory(recipe(name, "full"))
    assert 0 < need.train < T4 and 0 < need.score < T4


def test_too_much_at_once_is_noticed(monkeypatch):
    """Six views of 256 images of 224 pixels, as it was once."""
    from fer_utils.evaluation import predict

    monkeypatch.setattr(predict, "inference_batch", lambda *_: 256)
    assert memory(recipe("a-head", "full")).score > 20e9


def test_tensors_that_lie_elsewhere_are_noticed(monkeypatch):
    """An index drawn on the CPU, say, for images on the GPU."""
    original = loader.augment

    def careless(images, policy, size=None):
        return original(images, policy, size) * torch.rand(
            len(images), 1, 1, 1, device="cpu"
        )

    monkeypatch.setattr(loader, "augment", careless)
    with pytest.raises(RuntimeError, match=r"cuda.*cpu"):
        memory(recipe("laptop", "full"))


@pytest.mark.parametrize(
    ("side", "views", "images"),
    [(48, 1, 256), (48, 6, 256), (224, 1, 256), (224, 6, 42)],
)
def test_batches_without_gradients_on_a_gpu(side, views, images):
    assert inference_batch(torch.device("cuda"), side, views) == images
    assert inference_batch(torch.device("cpu"), side, views) == 16


def test_pictures_larger_than_any_budget():
    assert inference_batch(torch.device("cuda"), 10_000, 6) == 1
