"""Test-time augmentation: several looks at one face, averaged, for a better answer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import FerError

LOOKS = (1, 2, 6)
CUT = 2  # pixels of 48; on PublicTest, 2 to 4 were equally good


def check_looks(looks: int) -> None:
    """Raise `FerError` unless it is a number of looks that there is."""
    if looks not in LOOKS:
        raise FerError(f"looks {looks!r}: use one of {', '.join(map(str, LOOKS))}")


def views(images: Tensor, looks: int) -> Tensor:
    """Return [looks,N,1,H,W]: versions of images [N,1,H,W], 0..255 or floats 0..1.

    1: as they are. 2: and mirrored, since an expression has no left or right. 6: also
    without the last rows and columns, and without the first, each of them mirrored too:
    four corners of the ten crops of Krizhevsky et al. (2012), for 0.6 of the work.
    """
    check_looks(looks)
    found = [images]
    if looks == 6:
        if not images.is_floating_point():
            found = [images := images.float() / 255]
        side, cut = images.shape[2:], max(1, round(images.shape[-1] * CUT / 48))
        for part in (images[..., :-cut, :-cut], images[..., cut:, cut:]):
            found.append(F.interpolate(part, side, mode="bilinear"))
    if looks > 1:
        found += [view.flip(3) for view in found]
    return torch.stack(found)


@torch.inference_mode()
def look(
    model: nn.Module, images: Tensor, looks: int = 1, temperature: float = 1.0
) -> Tensor:
    """Return probabilities, float32 [N,classes]: the mean over `looks` at images.

    The temperature is that of the mean: it was fitted to what such means say.
    """
    # On a CPU, larger parts are slower, and a crowd must not take all the memory.
    means = []
    for part in images.split(16 if images.device.type == "cpu" else 256):
        seen = views(part, looks)
        each = model(seen.flatten(0, 1)).float().softmax(1)
        means.append(each.unflatten(0, seen.shape[:2]).mean(0))
    mean = torch.cat(means)
    # Powers and not a division of logits: p^(1/T) is the same, and there are no logits.
    powers = mean ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)
