"""Everything read from the environment, once, and the one error type of the package."""

import os
from dataclasses import dataclass
from pathlib import Path

PROFILES = ("full", "cpu", "quick")


class FerError(ValueError):
    """A problem the user can mend; its message says what was wrong and what to do."""


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
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "fer_utils" / "recipes.toml").exists():
            return folder
    return here


def read_config(env: dict[str, str] | None = None) -> Config:
    """Read the configuration from `env` (default: the process environment)."""
    env = os.environ if env is None else env
    caches = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    profile = env.get("FER_PROFILE", "").strip()
    if profile and profile not in PROFILES:
        raise FerError(f"FER_PROFILE={profile!r}: use one of {', '.join(PROFILES)}")
    return Config(
        data=env.get("FER_DATA", "").strip(),
        votes=env.get("FER_VOTES", "").strip(),
        cache=Path(env.get("FER_CACHE") or caches / "fer_utils").expanduser(),
        runs=Path(env.get("FER_RUNS") or _project_root() / "runs").expanduser(),
        profile=profile,
        device=env.get("FER_DEVICE", "").strip(),
    )


config = read_config()


def device():
    """Return the torch device to work on: FER_DEVICE, else CUDA, Apple's MPS, CPU."""
    import torch

    name = config.device
    if not name:
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        chosen = torch.device(name)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise FerError(
            f"FER_DEVICE={name!r} cannot be used here ({reason}); try FER_DEVICE=cpu"
        ) from None
    return chosen


def profile() -> str:
    """Return the profile in force: FER_PROFILE, else `full` on a GPU and `cpu` off."""
    return config.profile or ("full" if device().type == "cuda" else "cpu")


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
