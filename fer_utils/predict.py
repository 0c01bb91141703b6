"""`Predictor`: a photo in, its faces with probabilities of each expression out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch

from .config import FerError, reason
from .faces import SIZE, crop_faces, find_faces, whole_face
from .looks import check_looks, look
from .models import Recognizer, load_model
from .photos import ACCEPTED, Photo, PhotoError, open_photo
from .run import Run

__all__ = ["ACCEPTED", "Face", "Photo", "PhotoError", "Predictor", "open_photo"]

UNSURE = "unsure"
LEAST_SIDE = 16  # pixels; what is smaller shows no expression


@dataclass(frozen=True)
class Face:
    """A face and the expression that it shows to a viewer."""

    box: tuple[int, int, int, int]  # left, top, right, bottom: pixels, upright photo
    probabilities: dict[str, float]  # of all classes, in the model's order; sum 1
    emotion: str  # the likeliest class, or "unsure"
    confidence: float  # its probability


class Predictor:
    """Finds the faces in photos and names their expressions; for several threads too.

    `looks` and `temperature` come with the weights: how many looks at each face their
    scores were measured with, and what, fitted on validation images, makes the
    confidence mean what it says (Guo et al., 2017, arXiv:1706.04599).
    """

    def __init__(self, model: Recognizer):
        self.model = model.eval().to(memory_format=torch.channels_last)
        header = getattr(model, "metadata", {})
        try:  # a file of unknown origin may say anything
            self.model_name = str(header.get("recipe", {}).get("name", model.name))
            self.temperature = float(header.get("temperature", 1.0))
        except (AttributeError, TypeError, ValueError) as error:
            raise FerError(f"weights with a damaged header ({reason(error)})") from None
        if not 0 < self.temperature < math.inf:
            raise FerError(f"temperature {self.temperature}: must be above 0")
        self.looks = header.get("looks", 2)
        check_looks(self.looks)

    def __repr__(self) -> str:
        return f"Predictor({self.model_name}: {', '.join(self.model.classes)})"

    @classmethod
    def load(cls, weights: str | Path | Run | None = None) -> "Predictor":
        """Load a `.safetensors` file, a run or its folder; None: the shipped weights.

        Raises `FerError` if there are none, or they are damaged.
        """
        if weights is None:
            return cls(load_model())
        if isinstance(weights, str | Path) and Path(weights).is_dir():
            weights = Run.load(weights)
        return cls(weights.model if isinstance(weights, Run) else load_model(weights))

    @overload
    def predict(self, photo: Photo, **options) -> list[Face]: ...
    @overload
    def predict(self, photo: list[Photo], **options) -> list[list[Face]]: ...
    def predict(
        self,
        photo,
        looks: int | None = None,
        assume_cropped: bool = False,
        abstain_below: float = 0.0,
    ):
        """Return the faces of a photo, largest first; of a list of photos, a list each.

        `photo`: whatever `open_photo` takes. `looks`: 1, 2 or 6 at each face, averaged
        (`looks.views`), as the weights say if None; 1 is the fastest. `assume_cropped`:
        the photo *is* a face, nothing is searched. A face whose confidence is under
        `abstain_below` is called "unsure". Raises `PhotoError`.
        """
        photos = photo if isinstance(photo, list | tuple) else [photo]
        cut = [_cut(open_photo(each), assume_cropped) for each in photos]
        crops = [crops for _, crops in cut]
        rows = iter(self.probabilities(np.concatenate([_NO_CROPS, *crops]), looks))
        answers = [
            [self._face(box, next(rows), abstain_below) for box in boxes]
            for boxes, _ in cut
        ]
        return answers if isinstance(photo, list | tuple) else answers[0]

    def probabilities(self, crops: np.ndarray, looks: int | None = None) -> np.ndarray:
        """Return float32 [N,classes] for face crops uint8 [N,48,48]."""
        if not len(crops):  # convolutions on CUDA refuse an empty batch
            return np.empty((0, len(self.model.classes)), np.float32)
        device = next(self.model.parameters()).device
        images = torch.from_numpy(crops).unsqueeze(1).to(device)
        looks = self.looks if looks is None else looks
        return look(self.model, images, looks, self.temperature).cpu().numpy()

    def _face(self, box, chances: Sequence[float], abstain_below: float) -> Face:
        values = [float(chance) for chance in chances]
        table = dict(zip(self.model.classes, values, strict=True))
        best = max(table, key=table.__getitem__)
        emotion = best if table[best] >= abstain_below else UNSURE
        return Face(box, table, emotion, table[best])


_NO_CROPS = np.empty((0, SIZE, SIZE), np.uint8)


def _cut(image, assume_cropped: bool) -> tuple[list[tuple], np.ndarray]:
    """Return the boxes [N] and the crops uint8 [N,48,48] of an upright photo."""
    if assume_cropped:
        if min(image.size) < LEAST_SIDE:
            raise PhotoError(
                "a face of {}×{} pixels: at least {} each way".format(
                    *image.size, LEAST_SIDE
                ),
                "too_small",
            )
        return [(0, 0, *image.size)], whole_face(image)[None]
    found = find_faces(image)
    return [face.box for face in found], crop_faces(image, found)
