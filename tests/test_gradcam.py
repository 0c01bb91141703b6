"""Heat maps must point at what the answer depends on."""

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import nn

from fer_utils.errors import FerError
from fer_utils.evaluation import grad_cam
from fer_utils.models import Recognizer, freeze
from fer_utils.models.networks import parts


@pytest.fixture
def model():
    """Says class 1 where there is light, class 0 where there is none."""
    model = Recognizer("compact-cnn", ("happy", "sad"))
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        head.bias.copy_(torch.tensor([0.1, 0.0]))
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.net = parts(nn.AvgPool2d(8), [nn.ReLU()], pool, head)
    model.preprocess = lambda images: images
    return model


@pytest.fixture
def images():
    faces = np.zeros((3, 48, 48), np.uint8)
    faces[0, 8:16, 32:40] = 255
    faces[1, 40:48, 0:8] = 51
    return faces


def test_points_at_the_evidence(model, images):
    maps = grad_cam(model, images, 1)
    assert maps.shape == images.shape and maps.dtype == np.float32
    assert np.unravel_index(maps[0].argmax(), (48, 48))[0] in range(8, 16)
    assert maps[0, 8:16, 32:40].mean() > 10 * maps[0].mean()
    assert maps[1, 40:, :8].mean() > 0.5
    assert maps[:2].max((1, 2)).tolist() == [1, 1] and maps.min() == 0


def test_evidence_against_is_cut_off(model, images):
    assert not grad_cam(model, images, 0).any()  # light speaks against class 0
    assert not grad_cam(model, images, 1)[2].any()  # and there is none in the third


def test_the_model_chooses_unless_told(model, images):
    images[0, 8:16, 8:40] = 255  # light enough to be called 1
    chosen = grad_cam(model, images)
    assert np.array_equal(chosen, grad_cam(model, images, np.array([1, 0, 0])))
    assert chosen[0].any() and not chosen[1].any()


@pytest.mark.parametrize("name", ["compact-cnn", "resnet9"])
def test_leaves_the_model_as_it_was(name):
    torch.manual_seed(0)
    model = Recognizer(name)
    freeze(model)
    images = tiny(130).images  # more than a batch
    before = {key: value.clone() for key, value in model.state_dict().items()}
    maps = grad_cam(model, images)
    assert maps.shape == images.shape and np.isfinite(maps).all()
    assert maps.min() >= 0 and maps.max() <= 1
    assert np.allclose(maps[128:], grad_cam(model, images[128:]), atol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert all(weight.grad is None for weight in model.parameters())
    assert not model.net.body[-1]._forward_hooks


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((48, 48), None, "at least one"),
        ((0, 48, 48), None, "at least one"),
        ((2, 48, 48), 2, "from 0 to 1"),
        ((2, 48, 48), [0, -1], "from 0 to 1"),
    ],
)
def test_bad_input(model, shape, labels, message):
    with pytest.raises(FerError, match=message):
        grad_cam(model, np.zeros(shape, np.uint8), labels)


def test_as_many_labels_as_images(model, images):
    with pytest.raises(FerError, match="labels"):
        grad_cam(model, images, np.array([0, 1]))
