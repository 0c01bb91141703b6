"""`fer score`: anybody's predictions on FER2013, against its labels and ten people."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..data import FER2013
from ..errors import FerError, reason
from ..evaluation import Scores, interval, people_scores, score
from ..labels import emotion_code

PARTS = {"val": "PublicTest", "test": "PrivateTest"}
MOST = 100_000  # rows; a part of FER2013 has 3,589, or 7,178
NAMES = ("name", "file", "filename", "image", "path")  # of the column with file names
ANSWERS = ("prediction", "predicted_class", "predicted", "emotion", "answer", "label")


def score_file(path: Path, data: FER2013, part: str) -> str:
    """Return the scores of a CSV with predictions, as text of several lines.

    A row for each image of the part: in FER2013's order, or with the image's file name
    in a column `name`. Seven columns named after the expressions hold probabilities; or
    one column `prediction` holds the answer, as a word or a code from 0 to 6. Raises
    `FerError` that names the column or the row that is wrong.
    """
    if part not in PARTS:
        raise FerError(f"part {part!r}: use val or test")
    piece = getattr(data.split(), part)
    chances, given = read_predictions(path, piece)
    return report(score(chances, piece), chances, piece, PARTS[part], given)


def read_predictions(path: Path, data: FER2013) -> tuple[np.ndarray, bool]:
    """Return probabilities float [N,classes] in the order of `data`, and if given.

    They are not where the file holds answers alone; each is a probability of 1 then.
    """
    try:
        table = pd.read_csv(
            path, dtype=str, encoding="utf-8-sig", skipinitialspace=True, nrows=MOST
        )
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise FerError(f"{path}: no CSV that can be read ({reason(error)})") from None
    table.columns = [str(name).strip().lower() for name in table.columns]
    table = in_order(table, path, data)
    columns = {}
    for name in table.columns:
        try:
            columns[emotion_code(name)] = table[name]
        except FerError:  # another column
            continue
    if len(columns) == len(data.classes):
        found = pd.DataFrame({code: columns[code] for code in sorted(columns)})
        found = found.apply(pd.to_numeric, errors="coerce").to_numpy(float)
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found).all(1))[0]) + 2
            raise FerError(f"{path}, line {row}: seven numbers are needed there")
        return found, True
    answer = next((name for name in ANSWERS if name in table.columns), None)
    if answer is None:
        raise FerError(
            f"{path}: give seven columns named {', '.join(data.classes)}, or a column "
            f"`prediction`; it has {', '.join(table.columns[:12])}"
        )
    codes = [code_of(text, path, row) for row, text in enumerate(table[answer], 2)]
    return np.eye(len(data.classes))[codes], False


def in_order(table: pd.DataFrame, path: Path, data: FER2013) -> pd.DataFrame:
    """Return the rows in the order of `data`, by their names if they have any."""
    column = next((name for name in NAMES if name in table.columns), None)
    if column is None:
        if len(table) != len(data):
            raise FerError(
                f"{path}: {len(table):,} rows, but the part has {len(data):,} images; "
                "add a column `name` with their file names, or give all in order"
            )
        return table
    known = {str(name).rpartition("/")[2]: name for name in data.names}
    short = table[column].fillna("").str.replace("\\", "/").str.rpartition("/")[2]
    if len(known) < len(data):  # the same file name in two folders
        known, short = {name: name for name in data.names}, table[column]
    if twice := short[short.duplicated()].tolist():
        raise FerError(f"{path}: {twice[0]} appears twice")
    if lacking := [name for name in known if name not in set(short)]:
        raise FerError(
            f"{path}: no row for {len(lacking):,} images, such as {lacking[0]}; "
            "every image of the part needs one"
        )
    return table.set_index(short).loc[list(known)].reset_index(drop=True)


def code_of(text: object, path: Path, row: int) -> int:
    """Return the code of an answer, a word or a number."""
    word = str(text).strip()
    try:
        code = float(word)
    except ValueError:
        try:
            return emotion_code(word[:40])
        except FerError as error:
            raise FerError(f"{path}, line {row}: {error}") from None
    if code not in range(7):
        raise FerError(f"{path}, line {row}: code {word[:40]}; use 0 to 6, or a word")
    return int(code)


def report(
    scores: Scores, chances: np.ndarray, data: FER2013, part: str, given: bool
) -> str:
    """Return the scores as people read them."""

    def line(what: str, share: float, count: int) -> str:
        low, high = interval(share, count)
        bounds = f"{100 * low:.1f} to {100 * high:.1f}"
        return f"{what:38}{100 * share:6.1f} %   95 %: {bounds}   {count:,} images"

    lines = [f"{part} of {data.source}", ""]
    lines.append(line("FER2013's label", scores.accuracy, scores.count))
    if clean := scores.clean:
        lines.append(
            line("  without copies of training images", clean.accuracy, clean.count)
        )
    try:
        people = people_scores(chances, data)
    except FerError as error:
        lines.append(f"Not compared with people: {error}")
    else:
        lines.append(
            line("what most of ten people see", people.agreement, people.faces)
        )
        lines.append(f"{'  the same, classes alike':38}{100 * people.balanced:6.1f} %")
        lines.append(line("FER+ protocol", people.published, people.published_faces))
        lines.append(
            f"{'  one more person, on these images':38}{100 * people.ceiling:6.1f} %"
        )
    lines += ["", f"macro-F1 {scores.macro_f1:.3f}"]
    if given:
        lines[-1] += f", calibration error {scores.calibration_error:.3f}"
        lines[-1] += f", right among the first two {100 * scores.top2_accuracy:.1f} %"
    return "\n".join([*lines, "", *per_class(scores)])


def per_class(scores: Scores) -> list[str]:
    """Return a table of the classes, a line each."""
    lines = [f"{'':14}precision  recall      f1  images"]
    for name, row in scores.per_class.items():
        shares = f"{row['precision']:9.3f}{row['recall']:8.3f}{row['f1']:8.3f}"
        lines.append(f"{name:14}{shares}{row['support']:8,}")
    return lines
