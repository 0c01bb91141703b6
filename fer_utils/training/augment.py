"""Augmentation: every image of a batch changed in its own way, on the device."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """How far a training image may be changed; 0 everywhere changes nothing."""

    flip: float = 0.0  # probability of a mirror image
    rotate: float = 0.0  # degrees either way
    scale: float = 0.0  # share of the side either way
    shift: float = 0.0  # share of the side either way
    erase: float = 0.0  # probability of one grey rectangle over 2 to 20 % of the image
    contrast: float = 0.0  # share either way
    brightness: float = 0.0  # share either way
    invert: float = 0.0  # probability of the negative


POLICIES = {
    "none": Policy(),
    "flip": Policy(flip=0.5),
    "light": Policy(flip=0.5, rotate=6, scale=0.06, shift=0.06),
    "standard": Policy(flip=0.5, rotate=12, scale=0.12, shift=0.12),
    "strong": Policy(flip=0.5, rotate=15, scale=0.2, shift=0.2, erase=0.5),
    "flip-rotate": Policy(flip=0.5, rotate=10),  # as reference A
    "flip-tilt": Policy(flip=0.2, rotate=5, shift=0.05),  # as C, but no perspective
    "invert-jitter": Policy(invert=0.2, contrast=0.4, brightness=0.4),  # as D
    "photo": Policy(0.5, 15, 0.15, 0.12, erase=0.2, contrast=0.4, brightness=0.4),
    "too-much": Policy(
        flip=0.5, rotate=60, scale=0.4, shift=0.3, erase=1, contrast=0.5
    ),
}


def augment(images: Tensor, policy: Policy, size: int | None = None) -> Tensor:
    """Return randomly changed copies of float images [N,1,H,W] in 0..1.

    Flip, rotation, scale and shift become one affine map per image, so each pixel is
    interpolated once; `size` resizes in the same step. Every image draws its own
    changes, where torchvision's transforms draw one for a whole batch.
    """
    count, _, height, width = images.shape
    side = (size or height, size or width)
    moves = policy.flip or policy.rotate or policy.scale or policy.shift
    if moves or side != (height, width):
        maps = random_affine(count, policy, images.device)
        grid = F.affine_grid(maps, [count, 1, *side], align_corners=False)
        images = F.grid_sample(
            images, grid, padding_mode="reflection", align_corners=False
        )
    if policy.contrast or policy.brightness or policy.invert:
        images = random_light(images, policy)
    if policy.erase:
        images = random_erase(images, policy.erase)
    return images


def _uniform(count: int, device: torch.device) -> Tensor:
    """Return random numbers in -1..1, float [count]."""
    return torch.rand(count, device=device) * 2 - 1


def random_affine(count: int, policy: Policy, device: torch.device) -> Tensor:
    """Return affine maps from output to input, float [count,2,3], in half sides."""
    angle = _uniform(count, device) * math.radians(policy.rotate)
    zoom = 1 + _uniform(count, device) * policy.scale
    mirror = 1 - 2 * (torch.rand(count, device=device) < policy.flip).float()
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift_x, shift_y = (2 * policy.shift * _uniform(count, device) for _ in "xy")
    rows = [cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y]
    return torch.stack(rows, 1).view(count, 2, 3)


def random_light(images: Tensor, policy: Policy) -> Tensor:
    """Change contrast and brightness, and turn some images into negatives."""
    shape, device = (len(images), 1, 1, 1), images.device
    contrast = 1 + policy.contrast * _uniform(len(images), device).view(shape)
    brightness = 1 + policy.brightness * _uniform(len(images), device).view(shape)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = ((mean + (images - mean) * contrast) * brightness).clamp(0, 1)
    negative = torch.rand(shape, device=device) < policy.invert
    return torch.where(negative, 1 - images, images)


def random_erase(images: Tensor, probability: float) -> Tensor:
    """Grey out a rectangle over 2 to 20 % of the area, in a share of the images."""
    count, _, height, width = images.shape
    device = images.device
    area = torch.empty(count, device=device).uniform_(0.02, 0.2)
    ratio = torch.exp(_uniform(count, device) * math.log(3) / 2)
    half_h, half_w = (area * ratio).sqrt() / 2, (area / ratio).sqrt() / 2
    centre_y, centre_x = torch.rand(2, count, device=device)
    y = torch.arange(height, device=device).add(0.5) / height
    x = torch.arange(width, device=device).add(0.5) / width
    inside_y = (y - centre_y[:, None]).abs() < half_h[:, None]
    inside_x = (x - centre_x[:, None]).abs() < half_w[:, None]
    chosen = torch.rand(count, device=device) < probability
    mask = inside_y[:, :, None] & inside_x[:, None, :] & chosen[:, None, None]
    return images.masked_fill(mask[:, None], 0.5)
