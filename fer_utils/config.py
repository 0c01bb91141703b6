"""What all modules share: settings and hardware, the one error type, safe writing."""

import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PROFILES = ("full", "cpu", "quick")


class FerError(ValueError):
    """A problem the user can mend; its message says what was wrong and what to do."""


def reason(error: Exception) -> str:
    """Return what another library's error says, short enough to stand in ours."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0][:200]


@dataclass(frozen=True)
class Config:
    """Settings of this process; every field has its environment variable.

    `data` FER_DATA: path of FER2013, `kaggle`, `sample`, or empty (find some).
    `votes` FER_VOTES: path of the FER+ votes (`fer2013new.csv`), or empty (none).
    `cache` FER_CACHE: folder for decoded data. `runs` FER_RUNS: folder for runs.
    `profile` FER_PROFILE: `full`, `cpu`, `quick`, or empty (by hardware).
    `device` FER_DEVICE: a torch device, or empty (the fastest there is).
    """

    data: str
    votes: str
    cache: Path
    runs: Path
    profile: str
    device: str


def _project_root() -> Path:
    """The folder that holds the course, so that notebooks and shell share `runs/`."""
    try:
        here = Path.cwd()
    except OSError:  # deleted meanwhile
        return Path(".")
    for folder in (here, *here.parents):
        if (folder / "fer_utils" / "recipes.toml").exists():
            return folder
    return here


def _expand(path: str) -> Path:
    """Expand `~`; whoever has no home (in some containers) gets a temporary one."""
    expanded = Path(os.path.expanduser(path))
    if expanded.parts[:1] != ("~",):
        return expanded
    return Path(tempfile.gettempdir(), *expanded.parts[1:])


def read_config(env: dict[str, str] | None = None) -> Config:
    """Read the configuration from `env` (default: the process environment)."""
    env = os.environ if env is None else env
    caches = _expand(env.get("XDG_CACHE_HOME") or "~/.cache")
    return Config(
        data=env.get("FER_DATA", "").strip(),
        votes=env.get("FER_VOTES", "").strip(),
        cache=_expand(env.get("FER_CACHE") or str(caches / "fer_utils")),
        runs=_expand(env.get("FER_RUNS") or str(_project_root() / "runs")),
        profile=env.get("FER_PROFILE", "").strip(),
        device=env.get("FER_DEVICE", "").strip(),
    )


config = read_config()


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all; `FerError` if it cannot be written.

    Written beside, then renamed: whoever reads sees the new file or the one before,
    after a kill or a full disk too.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise FerError(
            f"{path}: could not be written ({error.strerror or error}); mend that and "
            "run the same again, what stood there is kept"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


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


def profile() -> str:
    """Return the profile in force: FER_PROFILE, else `full` on a GPU and `cpu` off."""
    if config.profile and config.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise FerError(f"FER_PROFILE={config.profile!r}: use one of {known}")
    return config.profile or ("full" if device().type == "cuda" else "cpu")


def hardware() -> dict[str, Any]:
    """Return what the training runs on: device, CPU, cores, versions."""
    import torch

    where = device()
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(x.split(":")[1].strip() for x in lines if "model name" in x)
    except (OSError, StopIteration):
        pass
    try:
        own = version("fer-utils")
    except PackageNotFoundError:  # run from a folder that was not installed
        own = "source"
    return {
        "device": torch.cuda.get_device_name() if where.type == "cuda" else where.type,
        "cpu": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "fer_utils": own,
    }


def setup() -> None:
    """Print once what this process runs on and what that changes; for notebooks."""
    import torch

    where = device()
    name = torch.cuda.get_device_name() if where.type == "cuda" else where.type.upper()
    meaning = {
        "full": "the references' own settings",
        "cpu": "real data, settings that a laptop finishes in minutes",
        "quick": "settings that finish in seconds, to see everything work",
    }
    print(f"Profile {profile()!r}: {meaning[profile()]}.")
    print(
        f"Device {name}, {torch.get_num_threads()} threads, torch {torch.__version__}."
    )
