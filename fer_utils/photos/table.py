"""Answers as tables: a row for each face of a photo, or each sight of a person."""

from collections.abc import Sequence

from ..errors import FerError
from ..lazy import need
from .face import Face, Sighting

BOX = ["left", "top", "right", "bottom", "emotion", "confidence"]
COLUMNS = ["photo", "face", *BOX]
VIDEO_COLUMNS = ["time", "person", *BOX]


def row(face: Face) -> list:
    """Return box, expression, confidence and the probability of every class."""
    return [*face.box, face.emotion, face.confidence, *face.probabilities.values()]


def cells(face: Face) -> list:
    """Return a `row` for a CSV file: shares with four digits."""
    return [f"{x:.4f}" if isinstance(x, float) else x for x in row(face)]


def to_frame(answers: list, names: Sequence[object] | None = None) -> "pd.DataFrame":  # noqa: F821
    """Return an answer of `predict` or `predict_video` as a pandas table.

    A row for each face: photo, face (1, 2 …, largest first), left, top, right, bottom,
    emotion, confidence, then each class. `names` are those of the photos, by default 0,
    1, 2 …. Photos without a face, or with an error, have no row. Of a video: time in
    seconds and person instead of photo and face.
    """
    need("pandas", "a table of faces", "course")
    import pandas as pd

    if answers and isinstance(answers[0], Sighting):
        columns = [*VIDEO_COLUMNS, *answers[0].probabilities]
        rows = [[each.time, each.person, *row(each)] for each in answers]
        return pd.DataFrame(rows, columns=columns)
    if answers and isinstance(answers[0], Face):
        answers = [answers]
    names = range(len(answers)) if names is None else list(names)
    if len(names) != len(answers):
        why = f"{len(names)} names for {len(answers)} photos"
        raise FerError(f"{why}; pass one for each")
    faces = [
        (name, number, face)
        for name, found in zip(names, answers, strict=True)
        if isinstance(found, list)  # not an error
        for number, face in enumerate(found, 1)
    ]
    classes = faces[0][2].probabilities if faces else {}
    rows = [[name, number, *row(face)] for name, number, face in faces]
    return pd.DataFrame(rows, columns=[*COLUMNS, *classes])
