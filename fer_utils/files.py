"""Files are written whole or not at all."""

import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from .errors import FerError

UNFINISHED = ".fer-part"  # the suffix of a file that is still being written
ABANDONED = 3600  # seconds after which its writer must have been killed


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all; `FerError` if it cannot be written.

    The bytes go to a file beside it, which is then renamed: a reader sees the new file
    or the old one, even if the writer is killed or the disk is full. Several writers
    may try at once; the last one wins.
    """
    part = path.with_name(uuid4().hex + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        part.write_bytes(data)
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
