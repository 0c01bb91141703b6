"""Settings of this process, read once from the environment."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROFILES = {
    "full": "the references' own settings",
    "cpu": "real data, settings that a laptop finishes in minutes",
    "quick": "settings that finish in seconds, to see everything work",
}


@dataclass(frozen=True)
class Config:
    """The settings and their variables; `device` explains one more, OMP_WAIT_POLICY."""

    data: str  # FER_DATA: path of FER2013, `kaggle`, `sample`, or empty (search for it)
    votes: str  # FER_VOTES: path of the FER+ votes (`fer2013new.csv`), or empty (none)
    cache: Path  # FER_CACHE: folder for decoded data
    runs: Path  # FER_RUNS: folder for training runs
    profile: str  # FER_PROFILE: one of PROFILES, or empty (by hardware)
    device: str  # FER_DEVICE: a torch device, or empty (the fastest there is)


def _project_root() -> Path:
    """Return the folder of the course, so that notebooks and shell share `runs/`."""
    try:
        here = Path.cwd()
    except OSError:  # deleted meanwhile
        return Path(".")
    mark = Path("fer_utils", "training", "recipes.toml")
    return next((f for f in (here, *here.parents) if (f / mark).exists()), here)


def _expand(path: str) -> Path:
    """Expand `~`; without a home (in some containers) it is the temporary folder."""
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
