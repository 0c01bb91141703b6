"""Images that a network learns in a few steps, for tests that need no faces."""

import numpy as np

from fer_utils.data import FER2013
from fer_utils.labels import EMOTIONS


def tiny(count: int, seed: int = 0, classes: tuple[str, ...] = EMOTIONS) -> FER2013:
    """Noise with a bright band whose place tells the class; every class occurs."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(classes))
    images = rng.integers(0, 120, (count, 48, 48), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label * 6 : label * 6 + 6] += 120
    usage = np.full(count, "Training")
    names = np.array([f"row {i}" for i in range(count)])
    return FER2013(images, labels, usage, names, "tiny", classes)
