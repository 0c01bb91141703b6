"""Where a network looks: class evidence as a heat map over the face (Grad-CAM)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import inference_batch
from ..errors import FerError
from ..models import Recognizer


def grad_cam(
    model: Recognizer, images: np.ndarray, labels: np.ndarray | int | None = None
) -> np.ndarray:
    """Return float32 [N,H,W], 0..1: where in each image the evidence for a class lies.

    `images` uint8 [N,H,W]. `labels`: the class to explain, one for all or int [N], or
    None for the model's choice. Source: Selvaraju et al., 2017 (arXiv:1610.02391).
    """
    if images.ndim != 3 or not len(images):
        raise FerError(f"images {images.shape}: pass at least one image, [N,H,W]")
    device = next(model.parameters()).device
    size = inference_batch(device, model.input_size)
    batches = torch.from_numpy(images).unsqueeze(1).to(device).split(size)
    codes = [None] * len(batches)
    if labels is not None:
        shape, last = np.shape(labels), len(model.classes) - 1
        fits = shape in ((), images.shape[:1])
        if not fits or np.min(labels) < 0 or np.max(labels) > last:
            raise FerError(
                f"labels {shape}: pass one code or one for each image, from 0 to {last}"
            )
        each = np.broadcast_to(labels, len(images)).astype(np.int64)
        codes = torch.from_numpy(each).to(device).split(size)
    model.eval()
    maps = [class_evidence(model, *pair) for pair in zip(batches, codes, strict=True)]
    return torch.cat(maps).cpu().numpy()


def class_evidence(model: Recognizer, images: Tensor, codes: Tensor | None) -> Tensor:
    """Return the Grad-CAM of one batch [N,1,H,W], float [N,H,W]; see `grad_cam`."""
    kept = []
    block = model.net.body[-1]
    hook = block.register_forward_hook(lambda *call: kept.append(call[2]))
    try:
        with torch.enable_grad():
            # Asking for the images' gradient works with frozen weights too.
            logits = model((images / 255).requires_grad_())
            codes = logits.argmax(1) if codes is None else codes
            chosen = logits.gather(1, codes[:, None]).sum()
            (slopes,) = torch.autograd.grad(chosen, kept)
    finally:
        hook.remove()
    (features,) = kept  # [N,C,h,w]
    weights = slopes.mean((2, 3), keepdim=True)  # how each feature moves the logit
    heat = (weights * features).sum(1, keepdim=True).relu()  # only evidence in favour
    heat = F.interpolate(heat.detach(), images.shape[2:], mode="bilinear")
    return (heat / heat.amax((2, 3), keepdim=True).clamp_min(1e-12)).squeeze(1)
