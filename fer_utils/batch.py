"""`fer predict`: photo after photo, reported as text, JSON or CSV, or drawn."""

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from tqdm.auto import tqdm

from .annotate import annotate
from .config import FerError, write_whole
from .predict import Face, PhotoError, Predictor, open_photo

# What is taken from a folder: formats that are read, and photos that are not, so that
# they are reported instead of left out in silence.
READ = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
NOT_READ = {".heic", ".heif", ".avif", ".tif", ".tiff"}

Report = Callable[[str, list[Face]], None]


def predict_all(
    predictor: Predictor,
    sources: list[str],
    style: str = "text",
    out: Path | None = None,
    **options,
) -> int:
    """Report the faces of photos, folders and addresses; return how many failed.

    `style`: `text`, `json` (one object a line) or `csv` (one face a line). Each photo
    is reported when it is done; one that cannot be used is named on stderr and
    skipped. `out`: a folder for annotated copies. `options` go to `predict`.
    """
    photos = find_photos(sources, out)
    report = REPORTS[style](predictor.model.classes)
    taken = {Path(name).resolve() for name, _ in photos}
    failed = 0
    # On a terminal only: a log file wants no bar.
    hidden = True if len(photos) == 1 else None
    for name, relative in tqdm(photos, unit="photo", disable=hidden, leave=False):
        try:
            image = open_photo(name)
            faces = predictor.predict(image, **options)
        except PhotoError as error:
            failed += 1
            tqdm.write(f"fer: {error}", file=sys.stderr)
            continue
        report(name, faces)
        if out:
            target = free_name(out / relative.with_suffix(".jpg"), taken)
            drawn = io.BytesIO()
            annotate(image, faces).save(drawn, "JPEG", quality=90)
            write_whole(target, drawn.getbuffer())
    if failed:
        tqdm.write(f"fer: {failed} of {len(photos)} skipped", file=sys.stderr)
    return failed


def find_photos(sources: list[str], out: Path | None = None) -> list[tuple[str, Path]]:
    """Return (what to open, where its copy goes within the folder for copies).

    Folders are searched through, except `out`: its copies are not photos to read.
    """
    photos = []
    for source in sources:
        folder = Path(source)
        if not folder.is_dir():
            last = source.partition("?")[0].rstrip("/").rpartition("/")[2]
            photos.append((source, Path(last or "photo")))
            continue
        if out and folder.resolve().is_relative_to(out.resolve()):
            raise FerError(
                f"{out}: copies would lie among the photos of {source}; name another "
                "folder for them"
            )
        inside = [
            (str(path), path.relative_to(folder))
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in READ | NOT_READ
            and not path.name.startswith(".")
            and not (out and path.resolve().is_relative_to(out.resolve()))
        ]
        if not inside:
            raise FerError(f"{source}: no photos in this folder")
        photos += inside
    return photos


def free_name(target: Path, taken: set[Path]) -> Path:
    """Return `target`, numbered if it is a photo of this call or one of its copies."""
    number, first = 1, target
    while target.resolve() in taken:
        number += 1
        target = first.with_stem(f"{first.stem}-{number}")
    taken.add(target.resolve())
    return target


def _text(classes) -> Report:
    def report(name: str, faces: list[Face]) -> None:
        count = {0: "no face found", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
        tqdm.write(f"{name}: {count}")
        for number, face in enumerate(faces, 1):
            likely = sorted(face.probabilities.items(), key=lambda kv: -kv[1])[:3]
            shares = ", ".join(f"{name} {chance:.0%}" for name, chance in likely)
            doubt = "" if face.emotion == likely[0][0] else f"{face.emotion}: "
            tqdm.write(
                "  {}  {}{}  ({}, {} to {}, {})".format(
                    number, doubt, shares, *face.box
                )
            )

    return report


def _json(classes) -> Report:
    def report(name: str, faces: list[Face]) -> None:
        tqdm.write(json.dumps({"photo": name, "faces": [asdict(f) for f in faces]}))

    return report


def _csv(classes) -> Report:
    rows = csv.writer(SimpleNamespace(write=lambda line: tqdm.write(line, end="")))
    box = ("left", "top", "right", "bottom")
    rows.writerow(["photo", "face", *box, "emotion", "confidence", *classes])

    def report(name: str, faces: list[Face]) -> None:
        if not faces:  # the photo was read; only cells of faces stay empty
            rows.writerow([name, 0] + [""] * (6 + len(classes)))
        for number, face in enumerate(faces, 1):
            chances = [f"{chance:.4f}" for chance in face.probabilities.values()]
            start = [name, number, *face.box, face.emotion, f"{face.confidence:.4f}"]
            rows.writerow(start + chances)

    return report


REPORTS = {"text": _text, "json": _json, "csv": _csv}
