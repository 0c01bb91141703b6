"""Spoil training images as cameras, messengers and distance do, each in its own way."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# The most that happens to an image at strength 1; the stress card goes about as far.
BLUR = 0.04  # spread of a Gaussian, share of the side
NOISE = 0.12  # standard deviation of the grey values added, in 0..1
JPEG = 0.3  # step to which the lowest frequencies are rounded, in 0..1


def degrade(images: Tensor, strength: float = 1.0) -> Tensor:
    """Return blurred, noisy and JPEG-like copies of float images [N,1,H,W] in 0..1.

    Of each of the three, about half of the images get none, and many get little.
    """
    images = random_blur(images, strength * BLUR)
    spread = random_amounts(images, strength * NOISE)
    images = (images + spread * torch.randn_like(images)).clamp(0, 1)
    return random_jpeg(images, strength * JPEG)


def random_amounts(images: Tensor, most: float) -> Tensor:
    """Return 0 for about half of the images, else up to `most`, float [N,1,1,1]."""
    drawn = (2 * torch.rand(len(images), device=images.device) - 1).relu() ** 2
    return most * drawn.view(-1, 1, 1, 1)


def random_blur(images: Tensor, most: float) -> Tensor:
    """Blur by a Gaussian, as images do that are out of focus or were enlarged."""
    spread = random_amounts(images, most * images.shape[-1]).clamp(min=1e-3)

    def weights(side: int) -> Tensor:
        """Return how much each pixel of a line gets of each other, [N,1,side,side]."""
        place = torch.arange(side, device=images.device)
        return torch.softmax(-(((place - place[:, None]) / spread) ** 2) / 2, -1)

    height, width = images.shape[-2:]
    return weights(height) @ images @ weights(width).transpose(2, 3)


def random_jpeg(images: Tensor, most: float) -> Tensor:
    """Round the frequencies of each block of 8×8 pixels, as JPEG does to save space.

    High frequencies are rounded more coarsely, in steps that grow with their place; the
    tables of the standard (ITU-T T.81, annex K) do much the same.
    """
    height, width = images.shape[-2:]
    images = F.pad(images, (0, -width % 8, 0, -height % 8), mode="replicate")
    place = torch.arange(8, device=images.device)
    cosines = torch.cos(math.pi / 8 * (place + 0.5) * place[:, None]) / 2
    cosines[0] /= math.sqrt(2)
    coarser = 1 + (place + place[:, None]) / 4
    steps = (random_amounts(images, most)[..., None, None] * coarser).clamp(min=1e-4)
    blocks = images.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    rounded = (cosines @ blocks @ cosines.T / steps).round() * steps
    blocks = (cosines.T @ rounded @ cosines).transpose(3, 4)
    return blocks.flatten(4, 5).flatten(2, 3)[..., :height, :width].clamp(0, 1)
