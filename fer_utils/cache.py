"""FER2013 decoded once: the arrays kept in one file, written whole or not at all."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from tqdm.auto import tqdm

from .archives import list_files
from .config import config, reason
from .readers import Raw, read_source

FORMAT = 1  # raise it when readers.py changes what it makes of a source


def read_cached(path: Path) -> Raw:
    """Return what `read_source` makes of `path`, from the cache when it is there."""
    cache = config.cache / f"fer2013-{_fingerprint(path)}.npz"
    raw = _read(cache)
    if raw is None:
        raw = read_source(path)
        _write(cache, raw)
    return raw


def _fingerprint(path: Path) -> str:
    """A key that changes when the source does."""
    path = path.resolve()
    digest = hashlib.sha256(f"{FORMAT}|".encode() + os.fsencode(path))
    for file in list_files(path) if path.is_dir() else [path]:
        stat = os.stat(file)
        digest.update(os.fsencode(f"{file}|{stat.st_size}|{stat.st_mtime_ns}|"))
    return digest.hexdigest()[:16]


def _read(cache: Path) -> Raw | None:
    try:
        with np.load(cache) as stored:
            return Raw(*(stored[field] for field in Raw._fields))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # numpy raises nearly anything on damaged bytes
        tqdm.write(f"{cache}: not usable ({reason(error)}); decoding again")
        return None


def _write(cache: Path, raw: Raw) -> None:
    # Beside, then renamed: who reads at any moment sees a whole file or none.
    part = cache.with_name(f"{cache.stem}-{uuid4().hex}.part")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            np.savez(file, **raw._asdict())
        part.replace(cache)
    except OSError as error:  # a full disk must not cost the decoded data
        tqdm.write(
            f"{cache.parent}: decoded data not kept ({error.strerror or error}); free "
            "some space or set FER_CACHE to another folder"
        )
    finally:
        with suppress(OSError):
            part.unlink()
    for left in cache.parent.glob("fer2013-*.part"):  # by a killed process
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()
