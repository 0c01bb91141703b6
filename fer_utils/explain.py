"""Where a network looks: class evidence as a heat map over the face (Grad-CAM)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import FerError
from .models import Recognizer


def grad_cam(
    model: Recognizer, images: np.ndarray, labels: np.ndarray | int | None = None
) -> np.ndarray:
    """Return float32 [N,H,W], 0..1: where in each image the evidence for a class lies.

    `images` uint8 [N,H,W]. `labels`: the class to explain, one for all or int [N];
    None: the one that the model chooses. Source: Selvaraju et al., 2017
    (arXiv:1610.02391).
    """
    if images.ndim != 3 or not len(images):
        raise FerError(f"images {images.shape}: want at least one, [N,H,W]")
    device = next(model.parameters()).device
    batches = torch.from_numpy(images).unsqueeze(1).to(device).split(128)
    codes = [None] * len(batches)
    if labels is not None:
        if np.shape(labels) not in ((), (len(images),)):
            raise FerError(f"labels {np.shape(labels)}: want one, or one an image")
        one_each = np.broadcast_to(labels, len(images)).astype(np.int64)
        if one_each.min() < 0 or one_each.max() >= len(model.classes):
            raise FerError(f"labels: want codes from 0 to {len(model.classes) - 1}")
        codes = torch.from_numpy(one_each).to(device).split(128)
    model.eval()
    maps = [class_evidence(model, *pair) for pair in zip(batches, codes, strict=True)]
    return torch.cat(maps).cpu().numpy()


def class_evidence(model: Recognizer, images: Tensor, codes: Tensor | None) -> Tensor:
    """Grad-CAM of one batch [N,1,H,W]; see `grad_cam`."""
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
    weights = slopes.mean((2, 3), keepdim=True)  # what each feature does to the logit
    heat = (weights * features).sum(1, keepdim=True).relu()  # evidence against: cut
    heat = F.interpolate(heat.detach(), images.shape[2:], mode="bilinear")
    return (heat / heat.amax((2, 3), keepdim=True).clamp_min(1e-12)).squeeze(1)
