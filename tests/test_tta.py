"""Views of a face and their average."""

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import nn

from fer_utils.errors import FerError
from fer_utils.evaluation import predict_probabilities
from fer_utils.models import Recognizer


class LeftOrRight(nn.Module):
    """Sees on which half the light is: what flip averaging must cancel."""

    classes = ("left", "all")

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        images = images * self.scale
        return torch.stack([images[..., :24].sum((1, 2, 3)), images.sum((1, 2, 3))], 1)


def test_two_views_average_with_the_mirror_image():
    images = np.zeros((300, 48, 48), np.uint8)
    images[::2, 5, 5] = images[1::2, 5, 40] = 255
    plain = predict_probabilities(LeftOrRight(), images, views=1)
    assert np.allclose(plain[0], 0.5) and np.allclose(plain[1, 0], 1 / (1 + np.e))
    flipped = predict_probabilities(LeftOrRight(), images)
    assert np.allclose(flipped, (plain[0] + plain[1]) / 2)
    assert flipped.dtype == np.float32 and len(flipped) == 300


class Edge(nn.Module):
    """Sees light in the first row: what one of the two cuts takes away."""

    classes = ("dark", "light")

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        light = images.mul(self.scale)[:, 0, 0].amax(1)
        return torch.stack([torch.zeros_like(light), light], 1)


def test_six_views_average_with_cuts():
    images = np.zeros((2, 48, 48), np.uint8)
    images[1, 0, 0] = 255
    dark, light = predict_probabilities(Edge(), images, views=6)
    seen = np.e / (1 + np.e)  # whole and without the last rows, mirrored or not
    assert np.allclose(dark, 0.5) and np.isclose(light[1], (4 * seen + 2 * 0.5) / 6)


@pytest.mark.parametrize("views", [-1, 0, 3, 10])
def test_numbers_of_views_that_do_not_exist(views):
    with pytest.raises(FerError, match=f"views = {views}: use one of 1, 2, 6"):
        predict_probabilities(LeftOrRight(), tiny(7).images, views)


def test_no_images():
    found = predict_probabilities(LeftOrRight(), tiny(7).images[:0])
    assert found.shape == (0, 2) and found.dtype == np.float32


def test_probabilities_do_not_depend_on_the_batch():
    torch.manual_seed(0)
    model = Recognizer("compact-cnn").train()
    images = tiny(300).images
    whole = predict_probabilities(model, images)
    assert not model.training
    rest = predict_probabilities(model, images[256:])
    assert np.allclose(whole[256:], rest, atol=1e-5)
