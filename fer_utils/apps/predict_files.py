"""`fer predict`: photo after photo, reported as text, JSON or CSV, or drawn."""

import csv
import io
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path, PurePath
from types import SimpleNamespace

from PIL import Image
from tqdm.auto import tqdm

from ..errors import FerError, PhotoError
from ..files import write_atomic
from ..photos import Face, Predictor, annotate, is_address, open_photo
from ..photos.table import COLUMNS, cells
from ..photos.video import VIDEOS, is_video
from .predict_videos import predict_videos

# What is taken from a folder: formats that can be read; other photos, and videos, so
# that they are reported instead of left out in silence.
READ = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"}
NOT_READ = {".heic", ".heif", ".avif", ".tif", ".tiff", *VIDEOS}
COMMENT = b"drawn by fer predict"  # in the annotated copies


def predict_all(
    predictor: Predictor,
    sources: list[str],
    style: str = "text",
    out: Path | None = None,
    every: float = 0.2,
    **options,
) -> int:
    """Report the faces of photos, folders and addresses; return how many failed.

    `style`: `text`, `json` (one object a line) or `csv` (one face a line). A photo that
    cannot be used is named on stderr and skipped. `out`: a folder for annotated copies.
    `options` go to `predict`. Of videos, a frame is looked at `every` so many seconds.
    """
    videos = [source for source in sources if is_video(source)]
    if videos:
        if len(videos) < len(sources):
            raise FerError("photos and videos together: name one kind at a time")
        return predict_videos(predictor, videos, style, out, every, **options)
    photos = find_photos(sources, out)
    taken = {same_file(Path(name)) for name, _ in photos}
    failed = 0
    table = csv.writer(
        SimpleNamespace(write=lambda line: tqdm.write(line, end="")),
        lineterminator="\n",  # the stream makes of it what the system wants
    )
    header = [*COLUMNS, *predictor.classes]
    if style == "csv":
        table.writerow(header)
    # None: a bar on a terminal only, since it would clutter a log file.
    hidden = True if len(photos) == 1 else None
    for name, relative in tqdm(photos, unit="photo", disable=hidden, leave=False):
        try:
            image = open_photo(name)
            faces = predictor.predict(image, **options)
        except PhotoError as error:
            failed += 1
            tqdm.write(f"fer: {error}", file=sys.stderr)
            continue
        if style == "csv":
            table.writerows(csv_rows(name, faces, len(header)))
        elif style == "json":
            tqdm.write(json.dumps({"photo": name, "faces": [*map(asdict, faces)]}))
        else:
            tqdm.write(as_text(name, faces))
        if out:
            drawn = io.BytesIO()
            copy = annotate(image, faces)
            copy.save(drawn, "JPEG", quality=90, comment=COMMENT)
            target = free_name(out / relative.with_suffix(".jpg"), taken)
            write_atomic(target, drawn.getbuffer())
    if failed:
        tqdm.write(f"fer: {failed} of {len(photos)} skipped", file=sys.stderr)
    return failed


def find_photos(sources: list[str], out: Path | None = None) -> list[tuple[str, Path]]:
    """Return (what to open, where its copy goes within the folder for copies).

    Folders are searched with all folders inside them, except `out`: its copies are not
    photos to read.
    """

    def among_copies(path: Path) -> bool:
        return out is not None and path.resolve().is_relative_to(out.resolve())

    photos = []
    for source in sources:
        folder = Path(source)
        if not folder.is_dir():
            photos.append((source, Path(copy_name(source))))
            continue
        if among_copies(folder):
            why = f"the copies would lie among the photos of {source}"
            raise FerError(f"{out}: {why}; name another folder for them")
        inside = [
            (str(path), path.relative_to(folder))
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in READ | NOT_READ
            and not path.name.startswith(".")
            and not among_copies(path)
        ]
        if not inside:
            raise FerError(f"{source}: there are no photos in this folder")
        photos += inside
    return photos


def copy_name(source: str, path: type[PurePath] = PurePath) -> str:
    """Return the file name of a photo's copy, from the photo's path or address.

    `path`: the paths of another system, for tests.
    """
    if not is_address(source):
        return path(source).name or "photo"
    name = re.split("[?#]", source)[0].rpartition("/")[2]
    # What could lead out of the folder, or is forbidden in Windows.
    return re.sub(r'[\\<>:"|?*\x00-\x1f]', "_", name).strip(". ") or "photo"


def same_file(path: Path) -> str:
    """Return what two paths of one file have in common, also where case is ignored."""
    return str(path.resolve()).casefold()


def free_name(target: Path, taken: set[str]) -> Path:
    """Return `target`, numbered if a photo is there: of this call, or any other file.

    A copy of an earlier call gives way to the new one: it is known by its comment.
    """
    number, first = 1, target
    while same_file(target) in taken or (target.exists() and not is_copy(target)):
        number += 1
        target = first.with_stem(f"{first.stem}-{number}")
    taken.add(same_file(target))
    return target


def is_copy(path: Path) -> bool:
    """Whether `fer predict --annotate` made this file."""
    try:
        with Image.open(path) as image:
            return image.info.get("comment") == COMMENT
    except (OSError, ValueError):
        return False


def as_text(name: str, faces: list[Face]) -> str:
    """Return the faces of a photo as lines of text, three classes for each."""
    count = {0: "no face found", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
    lines = [f"{name}: {count}"]
    for number, face in enumerate(faces, 1):
        likely = sorted(face.probabilities.items(), key=lambda kv: -kv[1])[:3]
        shares = ", ".join(f"{name} {chance:.0%}" for name, chance in likely)
        doubt = "" if face.emotion == likely[0][0] else f"{face.emotion}: "
        box = "({}, {} to {}, {})".format(*face.box)
        lines.append(f"  {number}  {doubt}{shares}  {box}")
    return "\n".join(lines)


def csv_rows(name: str, faces: list[Face], columns: int) -> list[list]:
    """Return a row for each face; of a photo without one, a row of empty cells."""
    if not faces:
        return [[name, 0] + [""] * (columns - 2)]
    return [[name, n, *cells(face)] for n, face in enumerate(faces, 1)]
