"""The hardware: device, profile, number format, threads, and what is on record of it.

PyTorch's OpenMP threads spin while they wait for each other. Beside another busy
program they then wait ever longer: one face through the shipped network took 212 ms
instead of 8. So they are told to sleep while they wait, all but a moment;
OMP_WAIT_POLICY=ACTIVE in the environment brings the spinning back.
"""

import ctypes
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


def prepare_torch() -> None:
    """Set what torch reads when it is imported; see `wait_passively`.

    What Apple's GPU lacks, the CPU does; torch says so in one line, once.
    """
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    wait_passively()


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait; works until torch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ and "torch" in sys.modules:
        warnings.warn(
            "torch was imported before fer_utils, so its threads will compete with "
            "other programs; import fer_utils first, or set OMP_WAIT_POLICY=PASSIVE",
            stacklevel=4,  # the line that imports fer_utils
        )
    if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper() == "PASSIVE":
        # To wake a thread takes some microseconds, longer than a small product. So
        # threads of GCC's OpenMP spin for about as long before they sleep: on two
        # cores, a training step then takes nine tenths of the time.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


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
    On a CPU, bfloat16 slows grouped convolutions down: a model that has them gets
    float32, unless they are a class of their own with a gradient of its own.
    """
    import torch

    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    layers = model.modules() if model else ()
    slow = any(type(x) is torch.nn.Conv2d and x.groups > 1 for x in layers)
    fast = device.type == "cpu" and native and not slow
    return torch.bfloat16 if fast else torch.float32


def memory_format(device):
    """Return how images and kernels lie in memory where convolutions are fastest."""
    import torch

    # Until lately, batch norm's gradients were wrong there in channels-last.
    mps = device.type == "mps"
    return torch.contiguous_format if mps else torch.channels_last


def keep_memory() -> None:
    """Let glibc keep large blocks of memory that are freed, for the next step to use.

    Otherwise it returns them to the system, and every step waits for fresh ones.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            for option in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
                libc.mallopt(option, 2**30)


def inference_batch(device, side: int = 48, views: int = 1) -> int:
    """Return how many images to send through a network at once, without gradients.

    `side`: of the images as the network sees them, in pixels; `views` of each.
    """
    if device.type == "cpu":
        return 16  # more are slower: a layer's output would not fit the CPU's cache
    # 256 images of 224 pixels take 4.3 GB in EfficientNet-B0; a T4 has 15 for us.
    return max(1, min(256, 256 * 224**2 // (side**2 * views)))


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
    cpu = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):  # Linux says more
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        cpu = next(x.split(":")[1].strip() for x in lines if "model name" in x)
    return {
        "device": torch.cuda.get_device_name() if where.type == "cuda" else where.type,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "fer_utils": own_version() or "source",
    }


def own_version() -> str:
    """Return the version of fer_utils; empty where it runs without installation."""
    try:
        return version("fer-utils")
    except PackageNotFoundError:
        return ""


def setup(needs: str = "") -> None:
    """Print what a notebook runs on and what that changes.

    `needs` is the version that the notebook was made with; `FerError` if the installed
    one is older, since then cells would fail for reasons that nobody could guess.
    """
    own = own_version()
    if needs and own and _numbers(own) < _numbers(needs):
        raise FerError(
            f"this notebook needs fer_utils {needs}, and {own} is installed. In a "
            "clone: git pull, then make course. Elsewhere: run `%pip uninstall -y "
            "fer-utils`, restart the kernel, and run this cell again"
        )
    found, chosen = hardware(), profile()
    print(f"Profile {chosen!r}: {PROFILES[chosen]}.")
    print("Device {device}, {threads} threads, torch {torch}.".format(**found))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(".")]
