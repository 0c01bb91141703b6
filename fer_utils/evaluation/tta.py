"""Test-time augmentation: probabilities averaged over several views of each face."""

from collections.abc import Callable

import numpy as np
from tqdm.auto import tqdm

from ..errors import FerError

VIEWS = (1, 2, 6)
CUT = 2  # pixels of 48; on PublicTest, 2 to 4 were equally good


def check_views(views: int) -> None:
    """Raise `FerError` unless `tta_views` knows this number of views."""
    if views not in VIEWS:
        raise FerError(f"views = {views!r}: use one of {', '.join(map(str, VIEWS))}")


def tta_views(images: np.ndarray, views: int) -> np.ndarray:
    """Return float32 [views,N,H,W] in 0..1: versions of images uint8 [N,H,W].

    1: as they are. 2: and mirrored, since an expression has no left or right. 6: also
    without the last rows and columns, and without the first, each of them mirrored too:
    four corners of the ten crops of Krizhevsky et al. (2012), for 0.6 of the work.
    """
    check_views(views)
    grey = images.astype(np.float32) / 255
    found = [grey]
    if views == 6:
        cut = max(1, round(grey.shape[-1] * CUT / 48))
        height, width = (enlarging(side - cut, side) for side in grey.shape[1:])
        for part in (grey[:, :-cut, :-cut], grey[:, cut:, cut:]):
            found.append(height @ part @ width.T)
    if views > 1:
        found += [view[..., ::-1] for view in found]
    return np.stack(found)


def enlarging(source: int, target: int) -> np.ndarray:
    """Return float32 [target,source]: bilinear enlargement of one side, as a matrix."""
    places = ((np.arange(target) + 0.5) * source / target - 0.5).clip(0, source - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(source))).astype("f")


def average_views(
    network: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    views: int,
    batch: int = 16,
    progress: bool = False,
) -> np.ndarray:
    """Return probabilities float32 [N,classes], each the mean over `tta_views`.

    `network` takes float32 [M,1,H,W] in 0..1 and returns probabilities [M,classes].
    `images`: uint8 [N,H,W], N > 0. `batch`: how many of them to compute at once.
    """
    means = []
    for start in tqdm(range(0, len(images), batch), disable=not progress, leave=False):
        seen = tta_views(images[start : start + batch], views)
        each = network(seen.reshape(-1, 1, *seen.shape[2:]))
        means.append(each.reshape(*seen.shape[:2], -1).mean(0))
    return np.concatenate(means).astype(np.float32)
