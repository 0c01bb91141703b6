"""A network in one ONNX file, with all that its answers need in the file's metadata."""

import json
from pathlib import Path

import numpy as np

from ..errors import FerError, reason
from ..evaluation.tta import average_views, check_views
from ..labels import parse_classes
from ..runtime import Session
from ..shipped import weights_path

INPUT, OUTPUT = "faces", "probabilities"  # float32 [N,1,48,48] in 0..1, [N,classes]


class OnnxNetwork:
    """A network from `fer_utils.export`; `FerError` if the file is another, or damaged.

    `weights`: its path, or the name of one that comes with the package; None: the usual
    one. `metadata`: what the file says of itself: classes, views, temperature, balance.
    """

    def __init__(self, weights: str | Path | None = None):
        path = weights_path(weights, ".onnx")
        try:
            model = path.read_bytes()
        except OSError as error:
            why = f"cannot be read ({reason(error)})"
            raise FerError(f"{path}: {why}; check the path") from None
        try:
            self._session = Session(model)
            texts = self._session.metadata
            self.metadata = {key: json.loads(text) for key, text in texts.items()}
            self.classes = parse_classes(",".join(self.metadata["classes"]))
            self.name = str(self.metadata["model"])
            if self._session.inputs != [INPUT]:
                raise ValueError(f"its inputs are {', '.join(self._session.inputs)}")
        except Exception as error:  # a file of unknown origin can fail at every step
            raise FerError(
                f"{path}: not a network that `fer export` wrote ({reason(error)}); "
                "use another file"
            ) from None

    def probabilities(self, images: np.ndarray, views: int = 2) -> np.ndarray:
        """Return float32 [N,classes] for uint8 [N,48,48], the mean of `tta_views`."""
        check_views(views)
        if not len(images):
            return np.empty((0, len(self.classes)), np.float32)
        return average_views(self._run, images, views)

    def _run(self, seen: np.ndarray) -> np.ndarray:
        return self._session.run(**{INPUT: np.ascontiguousarray(seen)})[0]
