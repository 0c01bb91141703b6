"""Augmentation: each image its own change, in the right direction, in 0..1."""

import importlib

import pytest
import torch
import torch.nn.functional as F

from fer_utils.training import POLICIES, Policy, augment

EACH = [
    Policy(flip=0.5),
    Policy(rotate=20),
    Policy(scale=0.2),
    Policy(shift=0.2),
    Policy(erase=0.5),
    Policy(contrast=0.5),
    Policy(brightness=0.5),
    Policy(invert=0.5),
]


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(8, 1, 48, 48)


@pytest.fixture
def extreme(monkeypatch):
    """Every draw from -1..1 comes out as 1."""
    module = importlib.import_module("fer_utils.training.augment")
    monkeypatch.setattr(module, "_uniform", lambda count, device: torch.ones(count))


def test_no_policy_leaves_the_pixels_alone(images):
    assert torch.equal(augment(images, POLICIES["none"]), images)


def test_certain_flip_mirrors(images):
    out = augment(images, Policy(flip=1))
    assert torch.allclose(out, images.flip(3), atol=1e-5)


def test_shift_by_a_quarter(images, extreme):
    out = augment(images, Policy(shift=0.25))
    assert torch.allclose(out[..., :36, :36], images[..., 12:, 12:], atol=1e-4)


def test_quarter_turn(images, extreme):
    out = augment(images, Policy(rotate=90))
    assert torch.allclose(out, images.rot90(1, (2, 3)), atol=1e-4)


def test_flip_and_turn_together_stay_rigid(images, extreme):
    out = augment(images, Policy(rotate=90, flip=1))
    assert torch.allclose(out, images.rot90(1, (2, 3)).flip(3), atol=1e-4)


def test_scale_magnifies(extreme):
    square = F.pad(torch.ones(1, 1, 16, 16), [16] * 4)
    out = augment(square, Policy(scale=0.5))
    assert out.sum().item() == pytest.approx(24 * 24, rel=0.02)


@pytest.mark.parametrize("policy", EACH, ids=str)
def test_every_image_of_a_batch_draws_its_own(images, policy):
    batch = images[:1].repeat(64, 1, 1, 1)
    different = augment(batch, policy).flatten(1).unique(dim=0)
    assert len(different) >= (
        2 if policy.flip or policy.invert else 20 if policy.erase else 64
    )


def test_erase_share_and_area():
    torch.manual_seed(0)
    out = augment(torch.ones(2000, 1, 48, 48), Policy(erase=0.3))
    area = (out == 0.5).float().mean((1, 2, 3))
    assert (area > 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert 0.15 < area.max() < 0.22


@pytest.mark.parametrize("policy", [*EACH, *POLICIES.values()], ids=str)
def test_values_stay_in_range_and_the_input_is_kept(policy):
    images = (torch.rand(64, 1, 48, 48) > 0.5).float()
    before = images.clone()
    out = augment(images, policy)
    assert out.min() >= -1e-6 and out.max() <= 1 + 1e-6
    assert out.dtype == torch.float32 and torch.equal(images, before)


@pytest.mark.parametrize("side", [24, 96])
def test_size(images, side):
    out = augment(images, Policy(), size=side)
    wanted = F.interpolate(images, (side, side), mode="bilinear")
    assert torch.allclose(out, wanted, atol=1e-5)
    assert augment(images, POLICIES["strong"], size=side).shape[2:] == (side, side)


def test_a_sure_negative_is_the_negative(images):
    assert torch.allclose(augment(images, Policy(invert=1)), 1 - images, atol=1e-5)
