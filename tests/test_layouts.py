"""Layouts met in the wild; data of which a part could be taken for the whole."""

import gzip
import os
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    PIXELS,
    ROWS,
    USAGE,
    encode,
    face_expression,
    folders,
    kaggle,
    pack,
    part,
    refusal,
    table,
    tar_of,
    write,
)
from PIL import Image

from fer_utils.data.readers import read_source
from fer_utils.data.tables import MAX_LINE
from fer_utils.labels import EMOTIONS

CODES = np.array([code for code, _ in ROWS])
USAGES = np.array([usage for _, usage in ROWS])


def whole(raw) -> bool:
    """Whether these are all 28 faces, each with its own label and usage."""
    place = {image.tobytes(): number for number, image in enumerate(raw.images)}
    if len(raw.labels) != 28 or len(place) != 28:
        return False
    order = [place[image.tobytes()] for image in PIXELS]
    return np.array_equal(raw.labels[order], CODES) and np.array_equal(
        raw.usage[order], USAGES
    )


# --- Several tables -----------------------------------------------------------------

PARTS = [
    {"train.csv": "Training", "val.csv": "PublicTest", "test.csv": "PrivateTest"},
    {
        "fer_training.csv": "Training",
        "fer-public-test.csv": "PublicTest",
        "PrivateTest.csv": "PrivateTest",
    },
    {
        "train/faces.csv": "Training",
        "valid/faces.csv": "PublicTest",
        "test/faces.csv": "PrivateTest",
    },
]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: next(iter(parts)))
@pytest.mark.parametrize("kind", ["plain", "zip", "xztar"])
@pytest.mark.parametrize("header", ["emotion,pixels", "emotion,pixels,Usage"])
def test_parts_in_several_tables(tmp_path, parts, kind, header):
    folder = tmp_path / "fer2013"
    for name, usage in parts.items():
        part(folder / name, usage, header)
    raw = read_source(folder if kind == "plain" else pack(folder, kind))
    assert whole(raw)
    assert not any(name.startswith("row ") for name in raw.names), "rows of no one file"
    assert len(set(raw.names)) == 28


def test_train_and_test_with_emotions(tmp_path):
    part(tmp_path / "train.csv", "Training", "emotion,pixels")
    part(tmp_path / "test_with_emotions.csv", "PublicTest", "emotion,pixels")
    raw = read_source(tmp_path)
    assert list(raw.usage) == ["Training"] * 14 + ["PrivateTest"] * 7


def test_tables_that_do_not_say_which_part_they_are(tmp_path):
    part(tmp_path / "a.csv", "Training", "emotion,pixels")
    part(tmp_path / "b.csv", "PrivateTest", "emotion,pixels")
    text = refusal(tmp_path)
    assert "a.csv" in text and "b.csv" in text and "train.csv" in text


def test_the_competition(tmp_path, capsys):
    """All rows in one table, one part again without Usage, test rows without labels."""
    table(tmp_path / "icml_face_data.csv", "emotion, Usage, pixels")
    part(tmp_path / "train.csv", "Training", "emotion,pixels")
    part(tmp_path / "test.csv", "PrivateTest", "pixels")
    (tmp_path / "example_submission.csv").write_text("id,emotion\n1,2\n", "utf-8")
    (tmp_path / "fer2013.tar.gz").write_bytes(b"not looked at")
    raw = read_source(tmp_path)
    assert whole(raw) and raw.names[0] == "row 0"
    said = capsys.readouterr().out
    assert "train.csv" in said and "test.csv" in said and "fer2013.tar.gz" in said


def test_the_same_table_twice(tmp_path):
    table(tmp_path / "fer2013.csv")
    table(tmp_path / "icml_face_data.csv", "emotion, Usage, pixels")
    assert whole(read_source(tmp_path))


def test_tables_that_disagree(tmp_path):
    table(tmp_path / "fer2013.csv")
    table(tmp_path / "other.csv", emotion="6")
    text = refusal(tmp_path)
    assert "fer2013.csv" in text and "other.csv" in text and "keep one" in text


def test_labels_that_only_the_organisers_have(tmp_path):
    part(tmp_path / "test.csv", "PrivateTest", "pixels")
    for path in (tmp_path, tmp_path / "test.csv"):
        assert "no column emotion" in refusal(path)


@pytest.mark.parametrize("kind", ["plain", "zip", "tar"])
def test_a_table_beside_images_of_another_part(tmp_path, kind):
    folder = kaggle(tmp_path / "fer2013")
    part(folder / "train.csv", "Training", "emotion,pixels")
    text = refusal(folder if kind == "plain" else pack(folder, kind))
    assert "train.csv" in text and "test/" in text
    table(folder / "train.csv")
    raw = read_source(folder if kind == "plain" else pack(folder, kind))
    assert whole(raw) and raw.names[0] == "row 0"


def test_rows_of_a_test_table_are_not_the_first_rows_of_fer2013(tmp_path):
    raw = read_source(part(tmp_path / "test.csv", "PrivateTest", "emotion,pixels"))
    assert set(raw.usage) == {"PrivateTest"} and raw.names[0] == "test.csv row 0"


# --- Folders ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "splits",
    [
        ("Training", "PublicTest", "PrivateTest"),
        ("train", "valid", "test"),
        ("TRAIN", "Validation", "Test"),
        ("training", "public_test", "private_test"),
        ("train", "Public Test", "private-test"),
    ],
    ids=lambda splits: splits[1],
)
@pytest.mark.parametrize("classes", [EMOTIONS, "0123456"], ids=["words", "codes"])
def test_names_of_splits_and_codes_for_classes(tmp_path, splits, classes, capsys):
    assert whole(read_source(folders(tmp_path / "f", splits, classes)))
    said = "0 angry, 1 disgust" in capsys.readouterr().out
    assert said == (classes != EMOTIONS), "codes are a guess that has to be told"


@pytest.mark.parametrize(
    "classes",
    [
        "Anger Disgusted Fearful HAPPY sadness suprise Neutral",
        "angry disgust scared happiness Sad surprised neutrality",
        "angery digust fear hapy sad surprize netural",
    ],
)
def test_other_names_of_classes(tmp_path, classes):
    classes = classes.split()
    splits = ("train", "val", "test")
    assert whole(read_source(folders(tmp_path / "f", splits, classes)))


def test_back_slashes(tmp_path):
    kaggle(tmp_path / "fer2013")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted((tmp_path / "fer2013").rglob("*.jpg")):
            info = zipfile.ZipInfo("x")
            name = file.relative_to(tmp_path).as_posix()
            info.filename = name.replace("/", "\\")  # as old .NET wrote them
            archive.writestr(info, file.read_bytes())
    expected = read_source(tmp_path / "fer2013")
    assert all(map(np.array_equal, read_source(tmp_path / "a.zip"), expected))


def test_deeper_folders_and_a_tar_without_a_suffix(tmp_path):
    kaggle(tmp_path / "x" / "archive" / "fer2013")
    packed = pack(tmp_path / "x", "gztar").rename(tmp_path / "fer2013")
    assert len(read_source(packed).labels) == 28
    table(tmp_path / "y" / "archive" / "fer2013" / "fer2013.csv")
    assert whole(read_source(tmp_path / "y"))


SUFFIXES = ["jpg", "JPEG", "jpe", "jfif", "PNG", "bmp", "webp", "Gif"]
ENCODERS = {"png": "PNG", "bmp": "BMP", "webp": "WEBP", "gif": "GIF"}


@pytest.mark.parametrize("kind", ["plain", "zip", "tar"])
def test_all_formats_count(tmp_path, kind):
    folder = tmp_path / "f"
    (folder / "train" / "sad").mkdir(parents=True)
    for number, suffix in enumerate(SUFFIXES):
        blob = encode(PIXELS[number], ENCODERS.get(suffix.lower(), "JPEG"))
        (folder / "train" / "sad" / f"{number}.{suffix}").write_bytes(blob)
    (folder / "train" / "sad" / "Thumbs.db").write_bytes(b"litter")
    raw = read_source(folder if kind == "plain" else pack(folder, kind))
    assert len(raw.labels) == len(SUFFIXES)
    for number in (4, 5, 7):
        assert (raw.images[number] == PIXELS[number]).all(), SUFFIXES[number]


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "avif", "heic", "pgm"])
def test_formats_that_are_not_read_are_named(tmp_path, suffix):
    folder = kaggle(tmp_path / "f")
    (folder / "train" / "sad" / f"x.{suffix}").write_bytes(b"an image")
    text = refusal(folder)
    assert f"x.{suffix}" in text and "convert" in text


def test_a_name_twice_with_other_pixels(tmp_path):
    folder = kaggle(tmp_path / "f")
    write(folder / "old" / "train" / "fear" / "Training_8.jpg", 9)
    text = refusal(folder)
    assert "train/fear/Training_8.jpg" in text and "old/" in text
    assert "rename" in text


def test_a_member_twice(tmp_path):
    path = tmp_path / "a.zip"
    for second in (0, 1):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train/sad/1.jpg", encode(PIXELS[0]))
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr("train/sad/1.jpg", encode(PIXELS[second]))
        if second:
            assert "train/sad/1.jpg have one name and other pixels" in refusal(path)
        else:
            assert len(read_source(path).labels) == 1


def test_ones_own_validation_folder(tmp_path):
    folder = kaggle(tmp_path / "f")
    (folder / "validation" / "fear").mkdir(parents=True)
    face = folder / "train" / "fear" / "Training_8.jpg"
    face.rename(folder / "validation" / "fear" / face.name)
    raw = read_source(folder)
    assert raw.usage[raw.names == "validation/fear/Training_8.jpg"] == ["PublicTest"]


@pytest.mark.parametrize("side", [96, 224])
def test_larger_copies_are_made_small_and_said(tmp_path, side, capsys):
    folder = face_expression(tmp_path / "f")
    smooth = np.add.outer(np.arange(48), 2 * np.arange(48)).astype(np.uint8)
    large = Image.fromarray(smooth).resize((side, side), Image.Resampling.BICUBIC)
    for name in ("0.jpg", "1.jpg"):
        large.convert("RGB").save(folder / "images" / "train" / "angry" / name, "PNG")
    raw = read_source(folder)
    assert raw.images.shape == (28, 48, 48)
    made = raw.images[raw.names == "train/angry/0.jpg"][0]
    assert np.abs(made.astype(int) - smooth).mean() < 1.5
    assert f"2 images of {side}x{side}" in capsys.readouterr().out


def test_links(tmp_path):
    folder = kaggle(tmp_path / "f")
    (folder / "test").rename(tmp_path / "elsewhere")
    (folder / "test").symlink_to(tmp_path / "elsewhere")
    assert len(read_source(folder).labels) == 28, "a linked folder is part of the data"
    (folder / "train" / "again").symlink_to(folder)
    assert "again: a link to a folder that" in refusal(folder)


def test_a_file_that_links_to_itself(tmp_path):
    folder = kaggle(tmp_path / "f")
    (folder / "train" / "sad" / "x.jpg").symlink_to("x.jpg")
    assert "x.jpg: a broken link" in refusal(folder)


@pytest.mark.parametrize("name", ["fer2013.rar", "a.zip", "fer2013.7z", "all.tar.gz"])
@pytest.mark.parametrize("kind", ["plain", "zip"])
def test_an_archive_in_an_archive_is_named(tmp_path, name, kind):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / name).write_bytes(b"packed")
    assert name in refusal(folder if kind == "plain" else pack(folder, kind))


def test_the_folder_of_one_split(tmp_path):
    folder = kaggle(tmp_path / "fer2013")
    assert "the folder that holds train/" in refusal(folder / "train")


def test_names_in_any_script(tmp_path):
    folder = kaggle(tmp_path / "Gesichter überall 表情")
    face = folder / "train" / "fear" / "Training_8.jpg"
    face.rename(face.with_name("ein „Bild“ 😀.jpg"))
    for kind in (None, "zip", "tar"):
        raw = read_source(pack(folder, kind) if kind else folder)
        assert "train/fear/ein „Bild“ 😀.jpg" in raw.names


# --- CSV ----------------------------------------------------------------------------


def rewritten(path: Path, change) -> Path:
    table(path)
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    return path


def cells(change):
    """Change the cells of every row but the first."""

    def rows(text: str) -> str:
        head, *lines = text.splitlines()
        return "\n".join([head, *(",".join(change(*x.split(","))) for x in lines)])

    return rows


WORDS = {"Training": "train", "PublicTest": "VAL", "PrivateTest": "Test"}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: "\ufeff" + text.replace(",", ";").replace("\n", "\r\n"),
        lambda text: text.replace("emotion", '"emotion"'),
        lambda text: text.replace("emotion,pixels,Usage", " Emotion , PIXELS, usage"),
        cells(lambda e, p, u: (f"{e}.0", p, u)),
        cells(lambda e, p, u: (EMOTIONS[int(e)].title(), p, u)),
        cells(lambda e, p, u: (e, p, WORDS[u])),
        cells(lambda e, p, u: (e, p, u.upper())),
        cells(lambda e, p, u: (e, f'"{p}"', u)),
        cells(lambda e, p, u: (e, f'"[{p.replace(" ", ", ")}]"', u)),
        cells(lambda e, p, u: (e, f'"{p.replace(" ", ",")}"', u)),
        cells(lambda e, p, u: (e, p.replace(" ", ","), u)),
        cells(lambda e, p, u: (e, f" {p} ", f" {u} ")),
    ],
    ids=[
        *("semicolons", "tabs", "excel", "quoted-header", "spaced-header", "float"),
        *("word", "usage-words", "usage-case", "quoted", "brackets", "commas"),
        *("bare-commas", "spaces"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "zip"])
def test_csv_as_other_programs_write_it(tmp_path, change, kind):
    path = rewritten(tmp_path / "fer2013.csv", change)
    raw = read_source(path if kind == "plain" else pack(path, kind))
    assert np.array_equal(raw.images, PIXELS)
    assert np.array_equal(raw.labels, CODES) and np.array_equal(raw.usage, USAGES)


@pytest.mark.parametrize("name", ["fer2013.csv.gz", "fer2013.gz", "fer2013", "x.csv"])
def test_gzipped_csv(tmp_path, name):
    packed = gzip.compress(table(tmp_path / "fer2013.csv").read_bytes())
    (tmp_path / "fer2013.csv").unlink()
    (tmp_path / name).write_bytes(packed)
    assert whole(read_source(tmp_path / name))
    (tmp_path / name).write_bytes(packed[:-200])
    assert "not a readable" in refusal(tmp_path / name)


def test_damaged_gzip_inside(tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(b"\x1f\x8bno gzip at all")
    assert "not a readable" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["plain", "zip", "tar"])
def test_gzipped_csv_inside(tmp_path, kind):
    folder = tmp_path / "f"
    for usage, name in zip(sorted(set(USAGE)), ("test", "valid", "train"), strict=True):
        path = part(folder / f"{name}.csv", usage, "emotion,pixels")
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert whole(read_source(folder if kind == "plain" else pack(folder, kind)))


@pytest.mark.parametrize("emotion", ["3.5", "7.0", "1e0", "bored", "nan", "\u0663"])
def test_emotions_that_are_none(tmp_path, emotion):
    text = refusal(table(tmp_path / "fer2013.csv", emotion=emotion))
    assert f"line 6: emotion {emotion!r}, expected 0 to 6" in text


# --- Huge and hostile ---------------------------------------------------------------


@pytest.mark.parametrize("body", [b"7", b"7 ", b'"', b"\0"])
def test_an_endless_line_is_not_read_to_its_end(tmp_path, body):
    with gzip.open(tmp_path / "fer2013.csv.gz", "wb") as file:
        file.write(b"emotion,pixels\n3,")
        for _ in range(100):
            file.write(body * ((1 << 20) // len(body)))
    peak = peak_memory(lambda: refusal(tmp_path / "fer2013.csv.gz"))
    assert peak < 100 * MAX_LINE


def peak_memory(run) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_more_images_than_fer2013_can_have(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_utils.data.tables.MAX_IMAGES", 20)
    monkeypatch.setattr("fer_utils.data.readers.MAX_IMAGES", 20)
    assert "more than 20 " in refusal(table(tmp_path / "fer2013.csv"))
    assert "more than 20 " in refusal(kaggle(tmp_path / "f"))


def test_tar_with_an_endless_header(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 50 << 20
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * (50 << 20))
    peak = peak_memory(lambda: refusal(path))
    assert peak < 10 << 20


@pytest.mark.parametrize("name", ["C:/x.jpg", "c:\\x.jpg", "\\\\host\\x.jpg"])
def test_members_with_a_drive(tmp_path, name):
    info = tarfile.TarInfo(name)
    assert "points outside" in refusal(tar_of(tmp_path / "a.tar", info))


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_with_an_endless_name(tmp_path, format_):
    info = tarfile.TarInfo(f"train/sad/{'x' * 100_000}.jpg")
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(format_) + b"\0" * 1024)
    assert "has too long a name" in refusal(path)


def test_output_that_lacks_a_letter(tmp_path):
    """Windows' habits, and names that are no UTF-8: what is told never stops a load."""
    folder = face_expression(tmp_path / os.fsdecode("表情".encode() + b"\xff"))
    (folder / os.fsdecode(b"\xff.zip")).write_bytes(b"packed")
    code = "import sys; from pathlib import Path; from fer_utils.data import readers; "
    code += "print(len(readers.read_source(Path(sys.argv[1])).labels))"
    for encoding in ("cp1252", "ascii", "utf-8"):
        done = subprocess.run(
            [sys.executable, "-c", code, folder],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr[-500:]
        assert b"not read: ?.zip" in done.stdout and b"28" in done.stdout


def test_a_zip_whose_list_lost_its_end(tmp_path):
    """zipfile reads what is left of it: half of the faces would pass for all."""
    path = pack(kaggle(tmp_path / "fer2013"), "zip")
    whole = path.read_bytes()
    end = whole.rindex(b"PK\5\6")
    size, start = struct.unpack("<II", whole[end + 12 : end + 20])
    half = whole.index(b"PK\1\2", start + size // 2) - start
    record = whole[end : end + 12] + struct.pack("<II", half, start) + whole[end + 20 :]
    path.write_bytes(whole[: start + half] + record)
    with zipfile.ZipFile(path) as archive:
        assert 0 < len(archive.infolist()) < 28
    assert "list of files is damaged" in refusal(path)
