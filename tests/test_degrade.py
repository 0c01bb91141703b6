"""Degraded images: blurred, noisy and JPEG-like, each in its own way, in 0..1."""

import importlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny

from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.training import Recipe, train
from fer_utils.training.degrade import BLUR, JPEG, degrade, random_blur, random_jpeg

module = importlib.import_module("fer_utils.training.degrade")


@pytest.fixture(scope="module")
def faces():
    images = load_fer2013("sample").images[:64]
    return torch.from_numpy(images).float()[:, None] / 255


@pytest.fixture
def most(monkeypatch):
    """Every image gets as much as it can."""

    def amounts(images, most):
        return torch.full((len(images), 1, 1, 1), float(most))

    monkeypatch.setattr(module, "random_amounts", amounts)


def test_half_get_none_and_each_its_own(faces):
    torch.manual_seed(0)
    out = module.random_amounts(faces[:1].expand(4000, 1, 48, 48), 2.0).flatten()
    assert out.max() <= 2 and (out == 0).float().mean().item() == pytest.approx(
        0.5, abs=0.03
    )
    many = degrade(faces[:1].expand(64, 1, 48, 48))
    assert len(many.flatten(1).unique(dim=0)) > 48, "some get none of the three"


@pytest.mark.parametrize("strength", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("side", [24, 28, 34, 48])
def test_values_stay_in_range(strength, side):
    images = (torch.rand(64, 1, side, side) > 0.5).float()
    before = images.clone()
    out = degrade(images, strength)
    assert out.shape == images.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1 and torch.equal(images, before)


def test_no_strength_changes_nothing(faces):
    assert torch.allclose(degrade(faces, 0.0), faces, atol=1e-3)


def test_blur_is_a_gaussian(most):
    point = torch.zeros(1, 1, 49, 49)
    point[0, 0, 24, 24] = 1
    out = random_blur(point, BLUR)[0, 0]
    assert out.sum().item() == pytest.approx(1, abs=1e-4)
    place = torch.arange(49.0) - 24
    spread = (out.sum(0) * place**2).sum().sqrt().item()
    assert spread == pytest.approx(49 * BLUR, rel=0.01)
    assert torch.allclose(random_blur(torch.ones(1, 1, 48, 48), BLUR), torch.ones(1))


def test_jpeg_spoils_about_as_much_as_jpeg(faces, most):
    def error(changed):
        return (changed - faces).square().mean().sqrt().item()

    def saved(face):
        file = BytesIO()
        Image.fromarray((face[0] * 255).byte().numpy()).save(file, "JPEG", quality=10)
        return torch.from_numpy(np.array(Image.open(file))).float()[None] / 255

    real = error(torch.stack([saved(face) for face in faces]))
    assert 0.7 * real < error(random_jpeg(faces, JPEG)) < 1.5 * real


def test_a_recipe_degrades(tmp_path, monkeypatch):
    seen = []
    loader = importlib.import_module("fer_utils.training.loader")
    monkeypatch.setattr(loader, "degrade", lambda x, s: seen.append(s) or x)
    small = Recipe("small", epochs=1, batch_size=16, degrade=0.5)
    assert train(small, tiny(56), tiny(28, seed=1), tmp_path).finished
    assert set(seen) == {0.5}
    with pytest.raises(FerError, match="cutmix or degrade"):
        small.with_(unfreeze=0, cached_views=1, flips="random")
