"""FER2013 in miniature: every published layout, from 28 made-up images."""

import io
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_utils.data.readers import read_source
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS

USAGE = ("Training", "Training", "PublicTest", "PrivateTest")
KINDS = ("zip", "tar", "gztar", "bztar", "xztar")  # as shutil names them
ROWS = [(code, usage) for code in range(7) for usage in USAGE]
PIXELS = np.random.default_rng(0).integers(0, 256, (28, 48, 48), np.uint8)


def encode(image: np.ndarray, kind: str = "JPEG") -> bytes:
    """An image file of uint8 [H,W] or [H,W,3], or uint16 [H,W] (PNG)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and ends where its pixels should begin."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = b""
    for kind, body in ((b"IHDR", size), (b"IDAT", b"")):
        crc = zlib.crc32(kind + body)
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    return b"\x89PNG\r\n\x1a\n" + chunks


def kaggle(folder: Path) -> Path:
    """`{train,test}/<expression>/<Usage>_<id>.jpg`"""
    for number, (code, usage) in enumerate(ROWS):
        split = "train" if usage == "Training" else "test"
        write(folder / split / EMOTIONS[code] / f"{usage}_{number}.jpg", number)
    return folder


def face_expression(folder: Path) -> Path:
    """`images/{train,validation}/<expression>/<id>.jpg`, no PrivateTest"""
    for number, (code, usage) in enumerate(ROWS):
        split = "train" if usage == "Training" else "validation"
        write(folder / "images" / split / EMOTIONS[code] / f"{number}.jpg", number)
    return folder


def folders(folder: Path, splits, classes) -> Path:
    """`<split>/<class>/<id>.png`, without loss; names of splits in USAGES' order"""
    of = dict(zip(("Training", "PublicTest", "PrivateTest"), splits, strict=True))
    for number, (code, usage) in enumerate(ROWS):
        path = folder / of[usage] / classes[code] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(PIXELS[number], "PNG"))
    return folder


def write(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(PIXELS[number]))


def table(path: Path, header: str = "emotion,pixels,Usage", **changes) -> Path:
    """A CSV with the columns of `header`; `changes` replace cells of its fifth row."""
    lines = [header]
    for number, (code, usage) in enumerate(ROWS):
        cells = {
            "emotion": str(code),
            "usage": usage,
            "pixels": " ".join(map(str, PIXELS[number].ravel())),
        }
        cells |= changes if number == 4 else {}
        columns = [column.strip(' "\ufeff').lower() for column in header.split(",")]
        lines.append(",".join(cells[column] for column in columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def part(path: Path, usage: str, header: str) -> Path:
    """The rows of `table` that belong to one usage."""
    head, *lines = table(path, header).read_text("utf-8").splitlines()
    rows = zip(lines, ROWS, strict=True)
    kept = [line for line, (_, row_usage) in rows if row_usage == usage]
    path.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
    return path


def pack(source: Path, kind: str) -> Path:
    """The folder or file in an archive beside it."""
    folder, base = (source.parent, source.name) if source.is_file() else (source, ".")
    return Path(shutil.make_archive(str(source), kind, folder, base))


def tar_of(path: Path, *infos: tarfile.TarInfo, body: bytes = b"") -> Path:
    """A tar of these members, all with the same body."""
    with tarfile.open(path, "w") as archive:
        for info in infos:
            info.size = len(body) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(body))
    return path


def refusal(path: Path) -> str:
    """Return the one line that says why `path` is refused: where, what; the remedy."""
    with pytest.raises(FerError) as caught:
        read_source(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 700
    assert text.startswith(str(path)) and "; " in text
    return text
