"""Test-time augmentation: probabilities averaged over several views of each face."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from ..device import inference_batch, memory_format
from ..errors import FerError
from ..models import Recognizer

VIEWS = (1, 2, 6)
CUT = 2  # pixels of 48; on PublicTest, 2 to 4 were equally good


def check_views(views: int) -> None:
    """Raise `FerError` unless `tta_views` knows this number of views."""
    if views not in VIEWS:
        raise FerError(f"views = {views!r}: use one of {', '.join(map(str, VIEWS))}")


def tta_views(images: Tensor, views: int) -> Tensor:
    """Return [views,N,1,H,W]: versions of images [N,1,H,W], 0..255 or floats 0..1.

    1: as they are. 2: and mirrored, since an expression has no left or right. 6: also
    without the last rows and columns, and without the first, each of them mirrored too:
    four corners of the ten crops of Krizhevsky et al. (2012), for 0.6 of the work.
    """
    check_views(views)
    found = [images]
    if views == 6:
        if not images.is_floating_point():
            found = [images := images.float() / 255]
        side, cut = images.shape[2:], max(1, round(images.shape[-1] * CUT / 48))
        for part in (images[..., :-cut, :-cut], images[..., cut:, cut:]):
            found.append(F.interpolate(part, side, mode="bilinear"))
    if views > 1:
        found += [view.flip(3) for view in found]
    return torch.stack(found)


@torch.inference_mode()
def predict_probabilities(
    model: Recognizer, images: np.ndarray, views: int = 2, progress: bool = False
) -> np.ndarray:
    """Return float32 [N,classes] for uint8 images [N,H,W], the mean of `tta_views`."""
    check_views(views)
    if not len(images):  # convolutions on CUDA refuse an empty batch
        return np.empty((0, len(model.classes)), np.float32)
    model.eval()
    device = next(model.parameters()).device
    side = getattr(model, "input_size", images.shape[-1])
    size = inference_batch(device, side, views)
    batches = torch.from_numpy(images).unsqueeze(1).split(size)
    means = []
    for batch in tqdm(batches, disable=not progress, leave=False):
        batch = batch.to(device, memory_format=memory_format(device))
        seen = tta_views(batch, views)
        each = model(seen.flatten(0, 1)).float().softmax(1)
        means.append(each.unflatten(0, seen.shape[:2]).mean(0).cpu())
    return torch.cat(means).numpy()
