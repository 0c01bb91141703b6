"""`fer predict --engine ray`: many photos, on all cores or on a cluster, to tables.

Ray Data hands the work out, and hands it out again where a worker is lost.
"""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray
from PIL import Image
from ray.data import TaskPoolStrategy
from ray.exceptions import RayError
from tqdm.auto import tqdm

from ..errors import FerError, PhotoError, reason, shorten
from ..photos import Predictor
from ..photos.crop import SIZE
from ..photos.open import decode_photo, read_photo
from ..photos.predictor import cut_faces
from .face_tables import FaceTables
from .predict_files import find_photos

MAX_FILE = 64 * 2**20  # bytes of one photo
PART = 1000  # photos a table: what is done again, at most, after a sudden end
BLOCK = 50  # photos handed out at once; of a lost worker, these are done again
# A row a photo, from the first stage to the last; each stage fills in what it finds.
ROW = pa.schema(
    {
        "photo": pa.string(),
        "path": pa.binary(),  # not every path is text
        "file": pa.large_binary(),
        "error": pa.string(),
        "boxes": pa.list_(pa.list_(pa.int32())),
        "crops": pa.binary(),
        "chances": pa.list_(pa.list_(pa.float32())),
    }
)
BLANK = Image.new("RGB", (64, 48))
EMPTY = dict.fromkeys(ROW.names) | {"boxes": [], "chances": []}


def predict_with_ray(
    predictor: Predictor,
    sources: list[str],
    out: Path,
    abstain_below: float = 0.0,
    **options,
) -> int:
    """Write the faces of photos, folders and addresses as tables into the folder `out`.

    Photos that are there already are left out, so a stopped call goes on. `options` are
    those of `Predictor.predict`. Returns how many photos have an error. On a cluster
    (RAY_ADDRESS names it), the photos have to lie where all machines see them.
    """
    # What is wrong with the options is said here, not by a worker.
    predictor.predict(BLANK, abstain_below=abstain_below, **options)
    header = json.dumps(dict(predictor.network.metadata), sort_keys=True, default=str)
    weights = blake2b(header.encode(), digest_size=6).hexdigest()  # of this training
    settings = {"model": predictor.model_name, "weights": weights}
    settings |= {"abstain_below": abstain_below}
    tables = FaceTables(out, predictor.classes, settings | options)
    photos = {in_table(path): path for path, _ in find_photos(sources)}
    left = [
        EMPTY | {"photo": photo, "path": os.fsencode(path)}
        for photo, path in photos.items()
        if photo not in tables.photos
    ]
    if not left:
        return tables.failed
    waiting: list[dict] = []
    done = len(photos) - len(left)
    try:
        with running_ray(), tqdm(total=len(photos), initial=done, unit="photo") as bar:
            for answer in answers(predictor, left, **options):
                waiting.append(answer)
                bar.update()
                if len(waiting) == PART:
                    whole, waiting = waiting, []
                    tables.write(whole)
    finally:  # a stop loses nothing that was answered
        if waiting:
            tables.write(waiting)
    return tables.failed


def in_table(path: str) -> str:
    """Return a path as a table can hold it: what is not text in it, as its code."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def running_ray() -> Iterator[None]:
    """Use the Ray that runs, or RAY_ADDRESS's cluster, or start one for a while."""
    started = not ray.is_initialized()
    try:
        if started:
            start_ray()
        yield
    except (RayError, ConnectionError) as error:
        cause = getattr(error, "cause", None) or error
        why = f"Ray stopped ({reason(cause)}); what was answered is kept"
        raise FerError(f"{why}, and the same command goes on from there") from None
    finally:
        if started:
            ray.shutdown()


def start_ray() -> None:
    """Start Ray without its own news; `FerError` if it does not start."""
    check_address(os.environ.get("RAY_ADDRESS", ""))
    # Nothing about its use is to leave this machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    for last in (False, True):  # it waits for half a minute, too short when busy
        try:
            ray.init(include_dashboard=False, **quiet)
            return
        except Exception as error:  # Ray has no class of its own for this
            ray.shutdown()
            if last:
                why = f"Ray does not start ({reason(error)})"
                raise FerError(f"{why}; try again when the machine is idle") from None


def check_address(address: str) -> None:
    """Raise `FerError` if nobody listens there; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():  # "auto", "local", or none
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        why = f"RAY_ADDRESS = {shorten(address)}: nobody answers ({reason(error)})"
        hint = "start a cluster there with `ray start --head`, or unset it"
        raise FerError(f"{why}; {hint}") from None


def answers(
    predictor: Predictor, rows: list[dict], views: int | None = None, **options
) -> Iterator[dict]:
    """Yield each row with its boxes and chances, or its error, in the order they end.

    There are three stages, which run at the same time: the first reads files, the
    second finds faces, which is most of the work, and the third names the expressions
    of many faces at once. `options` go to `cut_faces`.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel("ERROR")  # its news are not the user's
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    size = max(1, min(BLOCK, len(rows) // (8 * cores)))
    starts = range(0, len(rows), size)
    parts = [pa.Table.from_pylist(rows[i : i + size], ROW) for i in starts]
    held = [ray.put(predictor)]  # in a list: workers get it once, not with each task
    # All stages run at once. Those that compute share the cores; reading is waiting.
    data = ray.data.from_arrow(parts)
    for stage, workers, share, settings in (
        (read, 2 * cores, 0, {}),
        (find, cores, 0.8, options),
        (name, cores, 0.2, {"held": held, "views": views}),
    ):
        data = data.map_batches(
            stage,
            batch_format="pyarrow",
            fn_kwargs=settings,
            num_cpus=share,
            compute=TaskPoolStrategy(workers),
        )
    for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from table.to_pylist()


def read(rows: pa.Table) -> pa.Table:
    """The first stage: the bytes of each photo."""

    def one(row: dict) -> dict:
        return {"file": read_photo(os.fsdecode(row["path"]), MAX_FILE)}

    return each(rows, one)


def find(rows: pa.Table, **options) -> pa.Table:
    """The second stage: the box and the crop of every face."""

    def one(row: dict) -> dict:
        faces = cut_faces(decode_photo(row["file"]), **options)
        crops = b"".join(crop.tobytes() for _, crop in faces)
        return {"file": None, "boxes": [box for box, _ in faces], "crops": crops}

    return each(rows, one)


def name(rows: pa.Table, held: list[ray.ObjectRef], views: int | None) -> pa.Table:
    """The third stage: the probability of every expression, of all faces at once."""
    pixels = b"".join(crops or b"" for crops in rows["crops"].to_pylist())
    crops = np.frombuffer(pixels, np.uint8).reshape(-1, SIZE, SIZE)
    chances = iter(fetched(held[0]).probabilities(crops, views).tolist())

    def one(row: dict) -> dict:
        return {"crops": None, "chances": [next(chances) for _ in row["boxes"]]}

    return each(rows, one)


@cache  # a worker does one task after another
def fetched(held: ray.ObjectRef) -> Predictor:
    return ray.get(held)


def each(rows: pa.Table, work: Callable[[dict], dict]) -> pa.Table:
    """Return the rows with what `work` finds of each, or with the error it raises."""
    done = rows.to_pylist()
    for row in done:
        if row["error"] is None:
            try:
                row |= work(row)
            except PhotoError as error:
                row |= {"file": None, "error": str(error)}
    return pa.Table.from_pylist(done, ROW)
