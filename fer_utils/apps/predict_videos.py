"""`fer predict clip.mp4`: who shows what when, as text, JSON or CSV, or drawn."""

import csv
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from ..errors import FerError, PhotoError
from ..photos import Predictor, Sighting
from ..photos.table import VIDEO_COLUMNS, cells


def predict_videos(
    predictor: Predictor,
    videos: list[str],
    style: str,
    out: Path | None,
    every: float,
    assume_cropped: object = False,
    **options,
) -> int:
    """Report who is seen in each video; return how many could not be used.

    `out`: an .mp4 file for the drawn copy of one video, or a folder for several.
    """
    single = out is not None and out.suffix.lower() == ".mp4"
    if single and len(videos) > 1:
        raise FerError(f"{out}: several videos need a folder for their copies")
    table = csv.writer(sys.stdout, lineterminator="\n")
    if style == "csv":
        table.writerow(["video", *VIDEO_COLUMNS, *predictor.classes])
    failed = 0
    for name in videos:
        copy = out if single or out is None else out / f"{Path(name).stem}.mp4"
        try:
            seen = predictor.predict_video(name, every, annotate=copy, **options)
        except PhotoError as error:
            failed += 1
            print(f"fer: {error}", file=sys.stderr)
            continue
        if style == "csv":
            for each in seen:
                table.writerow([name, f"{each.time:.3f}", each.person, *cells(each)])
        elif style == "json":
            print(json.dumps({"video": name, "sightings": [*map(asdict, seen)]}))
        else:
            print(as_text(name, seen))
    return failed


def as_text(name: str, seen: list[Sighting]) -> str:
    """Return a line for each person: when they are seen, and what they show most."""
    people = sorted({each.person for each in seen})
    count = {0: "nobody is seen", 1: "1 person"}.get(
        len(people), f"{len(people)} people"
    )
    lines = [f"{name}: {count}"]
    for person in people:
        mine = [each for each in seen if each.person == person]
        shown = Counter(each.emotion for each in mine).most_common(3)
        shares = ", ".join(f"{emotion} {n / len(mine):.0%}" for emotion, n in shown)
        when = f"{mine[0].time:.1f} to {mine[-1].time:.1f} s"
        lines.append(f"  person {person}, {when}: {shares} of the frames looked at")
    return "\n".join(lines)
