"""`Predictor`: a photo in, its faces with probabilities of each expression out."""

import math
import os
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

import numpy as np
from PIL import Image

from ..errors import FerError, PhotoError, reason
from ..evaluation.calibration import apply_balance, apply_temperature, check_balance
from ..evaluation.tta import check_views
from ..shipped import weights_path
from .crop import SIZE, crop_faces, looks_cropped, whole_face
from .detect import MIN_SIZE, SEARCH_SIZE, find_faces
from .face import Face, Sighting, judge
from .network import OnnxNetwork
from .open import Photo, open_photo
from .video import follow

if TYPE_CHECKING:
    from ..models import Recognizer

LEAST_SIDE = 16  # pixels; a smaller face shows no expression


class Predictor:
    """Finds the faces in photos and names their expressions.

    Several threads may use one predictor, and so may processes that were forked after
    it was loaded. `views` and `temperature` come with the weights: how many views of
    each face their scores were measured with, and what makes the confidence mean what
    it says, fitted on validation images (Guo et al., 2017, arXiv:1706.04599).
    `balance`, a factor for each class, keeps rare expressions from being overlooked
    (Menon et al., 2021, arXiv:2007.07314).
    """

    def __init__(self, network: Union[OnnxNetwork, "Recognizer"]):
        if not isinstance(network, OnnxNetwork):
            from ..evaluation import TorchNetwork

            network = TorchNetwork(network)
        self.network, self.classes = network, network.classes
        header = network.metadata
        try:  # a file of unknown origin may say anything
            self.model_name = str(header.get("recipe", {}).get("name", network.name))
            self.temperature = float(header.get("temperature", 1.0))
            if not 0 < self.temperature < math.inf:
                raise ValueError(f"temperature {self.temperature}")
            count = len(self.classes)
            self.balance = check_balance(header.get("balance", [1.0] * count), count)
        except (AttributeError, TypeError, ValueError) as error:
            why = f"the weights have a damaged header ({reason(error)})"
            raise FerError(f"{why}; use others") from None
        self.views = header.get("views", 2)
        check_views(self.views)

    def __repr__(self) -> str:
        return f"Predictor({self.model_name}: {', '.join(self.classes)})"

    @classmethod
    def load(cls, weights: str | Path | None = None) -> "Predictor":
        """Load an `.onnx` or `.safetensors` file, a run's folder, or a shipped network.

        "people", the usual one, answers what most people see in a face;
        "fer2013-labels" what FER2013's labels say. An ONNX file needs no PyTorch.
        Raises `FerError` if there is none, or it is damaged.
        """
        path = weights_path(weights, ".onnx")
        if path.suffix.lower() == ".onnx":
            return cls(OnnxNetwork(path))
        from ..models import load_model

        return cls(load_model(path / "model.safetensors" if path.is_dir() else path))

    def predict(
        self,
        photo: Photo | list[Photo],
        views: int | None = None,
        assume_cropped: bool | Literal["auto"] = "auto",
        abstain_below: float = 0.0,
        min_size: int = MIN_SIZE,
        search_size: int = SEARCH_SIZE,
        errors: Literal["raise", "return"] = "raise",
    ) -> list[Face] | list[list[Face] | PhotoError]:
        """Return the faces of a photo, largest first; of a list of photos, a list each.

        `photo`: anything that `open_photo` takes. `views`: 1, 2 or 6 of each face,
        averaged (`tta_views`); None: as many as the weights say; 1 is the fastest.
        `assume_cropped`: the whole photo is one face, so none is searched for; "auto":
        if it looks like one (`looks_cropped`). A face whose confidence is under
        `abstain_below` is called "unsure". `min_size` and `search_size`, in pixels: see
        `find_faces`. Raises `PhotoError`, which names the place of a bad photo in a
        list; with `errors="return"` the error takes the place of that photo's faces.
        """
        if errors not in ("raise", "return"):
            raise FerError(f'errors = {errors!r}: use "raise" or "return"')
        if assume_cropped not in (True, False, "auto"):
            raise FerError(
                f'assume_cropped = {assume_cropped!r}: True, False or "auto"'
            )
        check_share("abstain_below", abstain_below)
        several = isinstance(photo, list | tuple)
        photos = photo if several else [photo]
        cut: list[list[tuple] | PhotoError] = []
        for number, each in enumerate(photos, 1):
            try:  # one after the other: only their crops stay in memory
                image = open_photo(each)
                cut.append(cut_faces(image, assume_cropped, min_size, search_size))
            except PhotoError as error:
                if several:
                    place = f"photo {number} of {len(photos)}: {error}"
                    error = PhotoError(place, error.kind)
                if errors == "raise" or not several:
                    raise error from None
                cut.append(error)
        good = [faces for faces in cut if isinstance(faces, list)]
        crops = [crop for faces in good for _, crop in faces]
        stack = np.array(crops, np.uint8).reshape(-1, SIZE, SIZE)
        rows = iter(self.probabilities(stack, views).tolist())
        answers = [
            [self._face(box, next(rows), abstain_below) for box, _ in faces]
            if isinstance(faces, list)
            else faces
            for faces in cut
        ]
        return answers if several else answers[0]

    def predict_video(
        self,
        path: str | os.PathLike,
        every: float = 0.2,
        annotate: str | os.PathLike | None = None,
        abstain_below: float = 0.0,
        progress: bool = True,
        **options,
    ) -> list[Sighting]:
        """Return who is seen when in a video, with which expression.

        A frame is looked at `every` so many seconds; people are followed from one to
        the next, and their probabilities smoothed over time (`Tracker`). `annotate`: an
        .mp4 file to write, a copy with boxes and names. `options` go to `predict`.
        Raises `PhotoError` if the file is no video, or is damaged at its start; damage
        later on ends the answer there, and a line says so.
        """

        check_share("abstain_below", abstain_below)

        def look(image: Image.Image) -> list[Face]:
            return self.predict(image, **options)

        return follow(look, path, every, annotate, abstain_below, progress)

    def probabilities(self, crops: np.ndarray, views: int | None = None) -> np.ndarray:
        """Return float32 [N,classes] for face crops uint8 [N,48,48]."""
        if crops.dtype != np.uint8 or crops.shape[1:] != (SIZE, SIZE):
            form = f"{crops.dtype} {list(crops.shape)}"
            raise FerError(f"crops {form}: pass uint8 [N,{SIZE},{SIZE}]")
        views = self.views if views is None else views
        check_views(views)
        found = self.network.probabilities(crops, views)
        found = apply_balance(found, self.balance)
        return apply_temperature(found, self.temperature).astype(np.float32)

    def _face(self, box, chances: list[float], abstain_below: float) -> Face:
        table = dict(zip(self.classes, chances, strict=True))
        return Face(box, table, *judge(table, abstain_below))


def check_share(name: str, value: object) -> None:
    """Raise `FerError` unless a setting is a number from 0 to 1."""
    if not isinstance(value, Real) or not 0 <= value <= 1:
        raise FerError(f"{name} = {value!r}: give a number from 0 to 1")


def cut_faces(
    image: Image.Image,
    assume_cropped: bool | Literal["auto"] = "auto",
    min_size: int = MIN_SIZE,
    search_size: int = SEARCH_SIZE,
) -> list[tuple[tuple, np.ndarray]]:
    """Return box and crop, uint8 [48,48], of each face in an upright photo."""
    if assume_cropped == "auto":
        large = min(image.size) >= LEAST_SIDE
        assume_cropped = large and looks_cropped(image)
    if not assume_cropped:
        found = find_faces(image, min_size, search_size=search_size)
        crops = crop_faces(image, found)
        return [(face.box, crop) for face, crop in zip(found, crops, strict=True)]
    if min(image.size) < LEAST_SIDE:
        why = f"{image.width}×{image.height} pixels are too small for a face"
        raise PhotoError(f"{why}; it needs {LEAST_SIDE} each way", "too_small")
    return [((0, 0, *image.size), whole_face(image))]
