"""What a network of PyTorch says of faces."""

from contextlib import nullcontext

import numpy as np
import torch

from ..device import inference_batch, memory_format, one_thread
from ..models import Recognizer
from .tta import average_views, check_views

# So few images gain little from a second thread, and lose much by it if PyTorch was
# imported first, and spins (see `device`), while another program is busy.
HANDFUL = 16


def predict_probabilities(
    model: Recognizer, images: np.ndarray, views: int = 2, progress: bool = False
) -> np.ndarray:
    """Return float32 [N,classes] for uint8 images [N,H,W], the mean of `tta_views`."""
    return TorchNetwork(model).probabilities(images, views, progress)


class TorchNetwork:
    """A network of PyTorch, as `Predictor` wants it: images in, probabilities out."""

    def __init__(self, model: Recognizer):
        self.model, self.classes = model, model.classes
        self.metadata = getattr(model, "metadata", {})
        self.name = getattr(model, "name", type(model).__name__)

    def probabilities(
        self, images: np.ndarray, views: int = 2, progress: bool = False
    ) -> np.ndarray:
        """Return float32 [N,classes] for uint8 images [N,H,W], the mean of views."""
        check_views(views)
        if not len(images):  # convolutions on CUDA refuse an empty batch
            return np.empty((0, len(self.classes)), np.float32)
        self.model.eval()
        device = next(self.model.parameters()).device
        layout = memory_format(device)
        side = getattr(self.model, "input_size", images.shape[-1])

        def network(seen: np.ndarray) -> np.ndarray:
            batch = torch.from_numpy(seen).to(device, memory_format=layout)
            return self.model(batch).float().softmax(1).cpu().numpy()

        size = inference_batch(device, side, views)
        few = len(images) * views <= HANDFUL
        with torch.inference_mode(), one_thread() if few else nullcontext():
            return average_views(network, images, views, size, progress)
