"""Depthwise convolutions that learn as fast as they predict, on a CPU, too."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

backward = torch.ops.aten.convolution_backward


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution whose gradients are quick on a CPU.

    oneDNN has fast gradients for kernels of 3×3 and, in bfloat16, for stride 1 only:
    a 5×5 kernel's takes up to seventy times as long as the convolution itself, the
    pixels' at stride 2 in bfloat16 a hundred times. So both are put in its words.
    """

    def forward(self, x: Tensor) -> Tensor:
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        if not learns or x.device.type != "cpu":
            return super().forward(x)
        dtype = x.dtype
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
        return _Depthwise.apply(x.to(dtype), self.weight.to(dtype), self.stride[0])


class _Depthwise(torch.autograd.Function):
    """The same convolution, without bias, padded by half a kernel; odd kernels."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0]
        grad_x = pixel_gradient(x, weight, grad, ctx.stride) if wanted else None
        return grad_x, kernel_gradient(x, weight, grad, ctx.stride), None


def pixel_gradient(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    """Return the gradient of `x`: a convolution with the kernel turned around."""
    pad = weight.shape[-1] // 2
    if stride > 1 and x.dtype == torch.float32:
        options = [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], len(weight)
        return backward(grad, x, weight, None, *options, [True, False, False])[0]
    if stride > 1:  # zeros where the stride left pixels out
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(2, 3), None, 1, pad, 1, len(weight))


def kernel_gradient(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    """Return the gradient of `weight`; of 5×5, in four overlapping pieces of 3×3."""
    side, pad = weight.shape[-1], weight.shape[-1] // 2
    options = [1, 1], False, [0, 0], len(weight), [False, True, False]
    if side != 5:
        return backward(grad, x, weight, None, [stride] * 2, [pad] * 2, *options)[1]
    reach = [(n - 1) * stride for n in grad.shape[2:]]  # of the kernel's first weight
    ends = [r + side - pad - n for r, n in zip(reach, x.shape[2:], strict=True)]
    x = F.pad(x, (pad, ends[1], pad, ends[0]))
    found, piece = torch.empty_like(weight), weight[:, :, :3, :3]
    for i, j in product((0, 2), repeat=2):
        seen = x[:, :, i : i + reach[0] + 3, j : j + reach[1] + 3]
        seen = seen.contiguous(memory_format=torch.channels_last)
        part = backward(grad, seen, piece, None, [stride] * 2, [0, 0], *options)[1]
        found[:, :, i : i + 3, j : j + 3] = part
    return found
