"""Files are written whole or not at all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from .errors import FerError

UNFINISHED = ".fer-part"  # the suffix of a file that is still being written
ABANDONED = 3600  # seconds after which its writer must have been killed


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all; `FerError` if it cannot be written."""
    with whole_file(path) as part:
        part.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; what was written there becomes the file `path`.

    It lies beside `path` and is renamed in the end: a reader sees the new file or the
    old one, even if the writer is killed or the disk is full. Several writers may try
    at once; the last one wins. `FerError` if the file cannot be written.
    """
    part = path.with_name(uuid4().hex + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        yield part
        part.replace(path)
    except OSError as error:
        raise FerError(
            f"{path}: cannot be written ({error.strerror or error}). Nothing was "
            "changed; correct the cause and run the same command again"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()


@cache  # once for each folder: looking through a large one takes time
def _remove_abandoned(folder: Path) -> None:
    for part in folder.glob(f"*{UNFINISHED}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
