"""Load FER2013: find or download it, decode it once, keep the arrays in one file."""

import hashlib
import os
from io import BytesIO
from pathlib import Path

import numpy as np

from ..config import config
from ..errors import FerError, reason
from ..files import write_atomic
from ..lazy import need
from ..notebook import banner
from .archives import list_files, tell
from .fer2013 import FER2013, SAMPLE_NAME
from .readers import Raw, read_source

KAGGLE = "msambare/fer2013/versions/1"  # pinned: answers from its cache when offline
KAGGLE_URL = "https://api.kaggle.com"
PATIENCE = 10  # seconds that Kaggle may take to answer at all
SAMPLE = Path(__file__).with_name("sample.npz")  # made by tools/draw_sample.py
NO_SCORES = (
    "Every cell works, but accuracies mean nothing. For real faces, connect to the "
    "internet, or download FER2013 and set <code>FER_DATA</code> to it "
    "(data/README.md), then restart the kernel."
)
FORMAT = 2  # raise it when readers.py changes what it makes of a source


def load_fer2013(source: str | Path | None = None) -> FER2013:
    """Load FER2013 from `source`, decoding it only the first time.

    `source`: a folder, CSV or archive; `"kaggle"` (the pinned download); `"sample"`
    (drawn faces, no network); None: FER_DATA, else Kaggle, else the sample, saying
    which. Raises `FerError` naming the file, the problem and the remedy.
    """
    if source is not None and not str(source).strip():
        raise FerError("the path is empty; use a folder, CSV, archive or 'sample'")
    chosen = str(source or config.data).strip()
    pinned = chosen in ("", "kaggle")
    path = _locate(chosen)
    if path == SAMPLE:
        if source is None:
            banner("These are <b>drawn faces</b>, not FER2013.", NO_SCORES)
        return FER2013(*_read_npz(SAMPLE), SAMPLE_NAME)
    try:
        if not path.exists():
            raise FerError(f"{path}: nothing there; check the path or FER_DATA")
        # The pinned download never changes: no need to look at its 35,903 files, which
        # takes minutes where they lie on a network drive, as in Kaggle and Colab.
        raw = _read_cached(path, _digest(KAGGLE) if pinned else _fingerprint(path))
    except OSError as error:
        raise FerError(
            f"{error.filename or path}: {error.strerror or error}; check that it "
            "exists and that you may read it"
        ) from None
    return FER2013(*raw, "Kaggle" if pinned else path.name)


def _locate(chosen: str) -> Path:
    """Return where the data lies; `SAMPLE` if nothing was chosen or downloaded."""
    if chosen == "sample":
        return SAMPLE
    if chosen not in ("", "kaggle"):
        return Path(os.path.expanduser(chosen))
    try:
        return _download()
    except FerError as error:
        if chosen:
            raise
        tell(f"{error}\nUsing the embedded sample of drawn faces instead.")
        return SAMPLE


def _download() -> Path:
    need("kagglehub", "downloading FER2013", "course")
    import httpx
    import kagglehub

    try:
        # kagglehub sets no time limit when it asks for a data set: behind a firewall
        # that silently drops packets it would wait for minutes, or for ever.
        # On Kaggle itself it mounts the data, with the internet switched off, too.
        on_kaggle = "KAGGLE_KERNEL_RUN_TYPE" in os.environ
        if not on_kaggle and not kaggle_cache().is_dir():
            httpx.head(KAGGLE_URL, timeout=PATIENCE)
        return Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # its errors share no base class
        cut = isinstance(error, httpx.TransportError) or "ConnectionPool" in str(error)
        why = "no connection" if cut else reason(error)
        raise FerError(
            f"FER2013 could not be downloaded from Kaggle ({why}); check the network, "
            "or download it in a browser and set FER_DATA to the file"
        ) from None


def kaggle_cache() -> Path:
    """Return the folder in which kagglehub keeps the pinned download."""
    home = os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub"
    return Path(os.path.expanduser(home), "datasets", KAGGLE)


def _read_cached(path: Path, key: str) -> Raw:
    """Return what `read_source` makes of `path`, from the cache when it is there."""
    cache = config.cache / f"fer2013-{key}.npz"
    try:
        return _read_npz(cache)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Exception as error:  # numpy raises nearly anything on damaged bytes
        tell(f"{cache}: not usable ({reason(error)}); decoding again")
    raw = read_source(path)
    buffer = BytesIO()
    np.savez(buffer, **raw._asdict())
    try:
        write_atomic(cache, buffer.getbuffer())
    except FerError as error:  # a full disk must not cost the decoded data
        tell(
            "The decoded data could not be cached, so the next load is slow too: "
            f"{error}, or set FER_CACHE to another folder"
        )
    return raw


def _fingerprint(path: Path) -> str:
    """Return a key that changes when the source does."""
    path = path.resolve()
    found = [os.fspath(path)]
    for file in list_files(path) if path.is_dir() else [path]:
        stat = os.stat(file)
        found.append(f"{file}|{stat.st_size}|{stat.st_mtime_ns}")
    return _digest("|".join(found))


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(f"{FORMAT}|{text}")).hexdigest()[:16]


def _read_npz(path: Path) -> Raw:
    with np.load(path) as stored:
        return Raw(*(stored[field] for field in Raw._fields))
