"""A folder of parquet tables of faces, which grows until all photos are answered."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import FerError, reason
from ..files import UNFINISHED, whole_file
from ..photos.face import judge
from ..photos.table import COLUMNS

SETTINGS = b"fer predict"  # the key in a table's metadata that says how it was made
NAME = re.compile(r"part-(\d{6,})\.parquet")
TEXTS = ("photo", "emotion", "error")
WHOLE = ("face", "left", "top", "right", "bottom")


class FaceTables:
    """Tables `part-000000.parquet` and so on, each written whole or not at all.

    A row a face, with the columns of `to_frame` and `error`. A photo without a face, or
    with an error, has one row, in which `face` is 0. `settings` is kept in every table:
    a folder cannot hold the answers of two networks. `photos` and `failed` say what is
    answered already, and how many of these have an error.
    """

    def __init__(self, folder: Path, classes: tuple[str, ...], settings: dict):
        self.folder = folder
        kinds = dict.fromkeys([*COLUMNS, *classes, "error"], pa.float32())
        kinds |= dict.fromkeys(TEXTS, pa.string()) | dict.fromkeys(WHOLE, pa.int32())
        self.abstain_below = settings["abstain_below"]
        text = json.dumps(settings, sort_keys=True)
        self.schema = pa.schema(kinds, {SETTINGS: text.encode()})
        self.classes = classes
        self.photos: set[str] = set()
        self.failed = self.parts = 0
        if folder.exists() and not folder.is_dir():
            raise FerError(f"{folder}: this is a file; name a folder for the tables")
        found = sorted(folder.iterdir()) if folder.exists() else []
        for path in found:
            if path.suffix != UNFINISHED:
                self._take(path)

    def _take(self, path: Path) -> None:
        """Note what an earlier call has answered; `FerError` if that was another."""
        other = "; name an empty or a new folder for the tables"
        if not NAME.fullmatch(path.name):
            raise FerError(f"{path.parent} holds other files ({path.name}){other}")
        try:
            made = (pq.read_schema(path).metadata or {}).get(SETTINGS, b"")
            if same := made == self.schema.metadata[SETTINGS]:
                table = pq.read_table(path, columns=["photo", "error"])
        except (pa.ArrowException, OSError) as error:
            why = f"cannot be read ({reason(error)}){other}"
            raise FerError(f"{path}: {why}, or delete this one") from None
        if not same:
            given = self.schema.metadata[SETTINGS].decode()
            what = f"made with {made.decode()}" if made else "of another program"
            raise FerError(f"{path.parent}: its tables are {what}, not {given}{other}")
        self.photos |= set(table["photo"].to_pylist())
        self.failed += len(table) - table["error"].null_count
        self.parts = max(self.parts, int(NAME.fullmatch(path.name)[1]) + 1)

    def write(self, answers: list[dict]) -> None:
        """Write a table of answers: photo, error, boxes and chances of each."""
        answers = sorted(answers, key=lambda answer: answer["photo"])
        rows = [row for answer in answers for row in self._rows(answer)]
        table = pa.Table.from_pylist(rows, self.schema)
        with whole_file(self.folder / f"part-{self.parts:06}.parquet") as part:
            pq.write_table(table, part)
        self.parts += 1
        self.photos |= {answer["photo"] for answer in answers}
        self.failed += sum(answer["error"] is not None for answer in answers)

    def _rows(self, answer: dict) -> list[dict]:
        photo = {"photo": answer["photo"]}
        rows = []
        for box, chances in zip(answer["boxes"], answer["chances"], strict=True):
            table = dict(zip(self.classes, chances, strict=True))
            emotion, confidence = judge(table, self.abstain_below)
            place = dict(zip(WHOLE, [len(rows) + 1, *box], strict=True))
            said = {"emotion": emotion, "confidence": confidence}
            rows.append(photo | place | said | table)
        return rows or [photo | {"face": 0, "error": answer["error"]}]
