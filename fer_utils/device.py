"""The hardware: device, profile, number format, threads, and what is on record of it.

PyTorch's OpenMP threads spin while they wait for each other. Beside another busy
program they then wait ever longer: one face through the shipped network took 212 ms
instead of 8. So they are told to sleep while they wait; OMP_WAIT_POLICY=ACTIVE in the
environment brings the spinning back.
"""

import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .config import PROFILES, config
from .errors import FerError, reason


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait; works until torch is imported."""
    if "OMP_WAIT_POLICY" in os.environ:
        return
    if "torch" in sys.modules:
        warnings.warn(
            "torch was imported before fer_utils, so its threads will compete with "
            "other programs; import fer_utils first, or set OMP_WAIT_POLICY=PASSIVE",
            stacklevel=3,
        )
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _use_one_thread() -> None:
    # A forked process inherits the handles of threads that do not exist in it: the
    # first one that waits for them waits for ever.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: for little work, waking more costs more than it gains.

    Only the calling thread is limited. `torch.set_num_threads` would also limit all
    threads that start meanwhile, and what it restores depends on which one ends last.
    """
    import torch

    torch.get_num_threads()  # a new thread fetches its setting now, not in the block
    with _openmp().limit(limits=1):
        yield


@cache
def _openmp():
    """Return the control of OpenMP's threads; torch must have been imported."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")


def device():
    """Return the torch device to work on: FER_DEVICE, else CUDA, Apple's MPS, CPU."""
    import torch

    name = config.device
    if not name:
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError) as error:
        raise FerError(
            f"FER_DEVICE={name!r} cannot be used here ({reason(error)}); try "
            "FER_DEVICE=cpu"
        ) from None
    return chosen


def best_precision(device, model=None):
    """Return the fastest safe torch dtype that the hardware computes natively.

    A T4 only emulates bfloat16, which is slow: it gets float16 and a gradient scaler.
    On a CPU, bfloat16 slows depthwise convolutions down: such a model gets float32.
    """
    import torch

    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    layers = model.modules() if model else ()
    depthwise = any(getattr(layer, "groups", 1) > 1 for layer in layers)
    fast = device.type == "cpu" and native and not depthwise
    return torch.bfloat16 if fast else torch.float32


def inference_batch(device) -> int:
    """Return how many images to send through a network at once, without gradients."""
    # On a CPU more are slower: a layer's output would no longer fit the CPU's cache.
    return 16 if device.type == "cpu" else 256


def profile() -> str:
    """Return the profile to use: FER_PROFILE, else `full` on CUDA, `cpu` elsewhere."""
    if config.profile and config.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise FerError(f"FER_PROFILE={config.profile!r}: use one of {known}")
    return config.profile or ("full" if device().type == "cuda" else "cpu")


def hardware() -> dict[str, Any]:
    """Return what a training runs on: device, CPU, cores, threads and versions."""
    import torch

    where = device()
    cpu, own = platform.processor() or platform.machine(), "source"
    with suppress(OSError, StopIteration):  # Linux says more
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        cpu = next(x.split(":")[1].strip() for x in lines if "model name" in x)
    with suppress(PackageNotFoundError):  # run from a folder that was not installed
        own = version("fer-utils")
    return {
        "device": torch.cuda.get_device_name() if where.type == "cuda" else where.type,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "fer_utils": own,
    }


def setup() -> None:
    """Print what this process runs on and what that changes; for notebooks."""
    found, chosen = hardware(), profile()
    print(f"Profile {chosen!r}: {PROFILES[chosen]}.")
    print("Device {device}, {threads} threads, torch {torch}.".format(**found))
