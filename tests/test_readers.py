"""Every layout of FER2013, and everything that can be wrong with it."""

import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    KINDS,
    PIXELS,
    ROWS,
    encode,
    face_expression,
    kaggle,
    pack,
    png_header,
    refusal,
    table,
    tar_of,
)
from PIL import Image

from fer_utils.data.readers import read_source
from fer_utils.labels import EMOTIONS


def short(value) -> str:
    """The name of a parameter in the list of tests; bodies of files have none."""
    return value if isinstance(value, str) and len(value) < 60 else "-"


@pytest.fixture
def folder(tmp_path):
    return kaggle(tmp_path / "fer2013")


@pytest.fixture
def one(folder):
    """Path of one image in the folder, as a replaceable thing."""
    return folder / "train" / "fear" / "Training_8.jpg"


# --- What is read -------------------------------------------------------------------


def test_kaggle_folder(folder):
    images, labels, usage, names = read_source(folder)
    assert images.shape == (28, 48, 48) and images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert list(names) == sorted(names)
    for image, label, split, name in zip(images, labels, usage, names, strict=True):
        top, emotion, file = name.split("/")
        assert emotion == EMOTIONS[label], "codes do not follow the alphabet"
        assert file.startswith(split) and top == ("test", "train")[split == "Training"]
        number = int(file.removesuffix(".jpg").split("_")[1])
        with Image.open(folder / name) as face:
            assert np.array_equal(image, face)
        assert ROWS[number] == (label, split)


@pytest.mark.parametrize("kind", KINDS)
def test_archives_read_like_the_folder(folder, kind):
    # An archive of Kaggle has no folder at its top, one packed by hand has some.
    (folder.parent / "all" / "deep").mkdir(parents=True)
    folder.rename(folder.parent / "all" / "deep" / "fer2013")
    top = folder.parent / "all"
    expected, packed = read_source(top), read_source(pack(top, kind))
    assert all(map(np.array_equal, expected, packed))


@pytest.mark.parametrize("kind", KINDS)
def test_face_expression_layout(tmp_path, kind):
    folder = face_expression(tmp_path / "face-expression")
    raw, packed = read_source(folder), read_source(pack(folder, kind))
    assert all(map(np.array_equal, raw, packed))
    assert {u: int((raw.usage == u).sum()) for u in set(raw.usage)} == {
        "Training": 14,
        "PublicTest": 14,
    }


@pytest.mark.parametrize("kind", ["plain", *KINDS])
@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("fer2013.csv", "emotion,pixels,Usage"),
        ("icml_face_data.csv", "emotion, Usage, pixels"),
        ("train.csv", "emotion,pixels"),
        ("saved_again.csv", '\ufeff"emotion","pixels","Usage"'),
    ],
)
def test_csv(tmp_path, name, header, kind):
    path = table(tmp_path / name, header)
    raw = read_source(path if kind == "plain" else pack(path, kind))
    assert np.array_equal(raw.images, PIXELS), "pixels, and the order of the rows"
    assert list(raw.labels) == [code for code, _ in ROWS]
    expected = [usage if "sage" in header else "Training" for _, usage in ROWS]
    assert list(raw.usage) == expected
    assert list(raw.names) == [f"row {i}" for i in range(28)]


def test_a_csv_with_pixels_is_all_that_is_read(folder):
    (folder / "example_submission.csv").write_text("id,emotion\n1,2\n", "utf-8")
    (folder / "empty.csv").write_text("", "utf-8")
    assert len(read_source(folder).labels) == 28, "these carry no pixels"
    table(folder / "train" / "fer2013.csv")
    for path in (folder, pack(folder, "zip")):
        assert read_source(path).names[0] == "row 0"


def test_what_a_file_is_called_does_not_matter(tmp_path, folder):
    bare = table(tmp_path / "fer2013.csv").rename(tmp_path / "faces")
    assert len(read_source(bare).labels) == 28
    bare.unlink()
    misnamed = pack(folder, "zip").rename(tmp_path / "archive.csv")
    assert len(read_source(misnamed).labels) == 28
    misnamed = pack(folder, "xztar").rename(tmp_path / "archive.zip")
    assert len(read_source(misnamed).labels) == 28


def test_litter_is_left_out(folder, one):
    for name in (
        "._Training_8.jpg",
        ".ipynb_checkpoints/x.jpg",
        "a.txt",
        "Thumbs.db",
    ):
        (one.parent / name).parent.mkdir(exist_ok=True)
        (one.parent / name).write_bytes(b"no image")
    (folder / "__MACOSX" / "train").mkdir(parents=True)
    shutil.copy(one, folder / "__MACOSX" / "train" / one.name)
    (folder / "train" / "cover.jpg").mkdir()
    assert len(read_source(folder).labels) == 28
    assert len(read_source(pack(folder, "zip")).labels) == 28


def test_colour_is_converted_and_said_once(folder, one, capsys):
    faces = sorted(one.parent.glob("*.jpg"))
    grey = np.full((48, 48, 3), 100, np.uint8)
    for face in faces:
        face.write_bytes(encode(grey))
    raw = read_source(folder)
    assert (raw.images[raw.names == "train/fear/Training_8.jpg"] == 100).all()
    said = capsys.readouterr().out
    assert said == "fer2013: 2 colour images converted to grey\n"


def test_an_archive_that_holds_everything_twice(folder, capsys):
    shutil.copytree(folder, folder / "images" / "images")
    assert len(read_source(folder).labels) == 28
    assert "28 images occur twice; each is used once" in capsys.readouterr().out


# --- Folders that are refused -------------------------------------------------------


def test_empty_folder(tmp_path):
    assert "no FER2013 inside; expected train/<expression>" in refusal(tmp_path)


def test_folder_of_other_things(tmp_path):
    for number in range(50):
        (tmp_path / f"{number}.txt").write_text("no image", "utf-8")
    assert "no FER2013 inside" in refusal(tmp_path)


def test_folder_with_the_archive_inside(folder):
    archive = pack(folder, "gztar")
    shutil.rmtree(folder)
    assert f"not read: {archive.name} (unpack it, or name it" in refusal(archive.parent)


def test_unknown_class(folder, one):
    one.parent.rename(folder / "train" / "bored")
    text = refusal(folder)
    assert "train/bored/Training_" in text and "'bored' is not an expression" in text
    assert "rename the folder" in text


@pytest.mark.parametrize("place", ["x.jpg", "angry/x.jpg", "dev/angry/x.jpg"])
def test_image_out_of_place(folder, one, place):
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(one, folder / place)
    assert f"{folder / place}: expected train, test or validation" in refusal(folder)


FACE = encode(PIXELS[0])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (FACE[: len(FACE) // 2], "broken image"),
        (b"", "broken image"),
        (b"this is text", "broken image"),
        (FACE[:20] + b"\0" * 300, "broken image"),
        (png_header(48, 48), "broken image"),
        (encode(PIXELS[0][:40]), "48x40 pixels, expected 48x48"),
        (encode(np.zeros((48, 48), np.uint16), "PNG"), "of 16 bits"),
        (encode(PIXELS[0], "TIFF"), "broken image"),
        (png_header(9000, 9000), "9000x9000 pixels, expected 48x48"),
        (png_header(10_000, 10_000), "broken image"),  # Pillow warns from here,
        (png_header(60_000, 60_000), "broken image"),  # refuses from here
        (FACE + b"\0" * (1 << 20), "over 1 MB"),
    ],
    ids=short,
)
@pytest.mark.parametrize("kind", [None, "zip", "xztar"])
def test_bad_image(folder, one, body, problem, kind, recwarn):
    one.write_bytes(body)
    text = refusal(pack(folder, kind) if kind else folder)
    assert problem in text and "train/fear/Training_8.jpg: " in text
    assert not recwarn.list


def test_dangling_link(folder, one):
    one.unlink()
    one.symlink_to(folder / "gone.jpg")
    assert "Training_8.jpg: a broken link" in refusal(folder)


def test_pipe(folder, one):
    one.unlink()
    os.mkfifo(one)
    assert "not a regular file; remove it" in refusal(folder)
    assert "not a regular file; use a folder" in refusal(one)
    assert "not a regular file" in refusal(Path(os.devnull))


# --- Archives that are refused ------------------------------------------------------


def test_empty_file(tmp_path):
    (tmp_path / "fer2013.zip").touch()
    assert "the file is empty; download" in refusal(tmp_path / "fer2013.zip")


@pytest.mark.parametrize(
    "body", [b"no archive", b"\n", b"\0" * 3000, b"\x80" * 3000], ids=short
)
def test_no_archive(tmp_path, body):
    path = tmp_path / "fer2013.tar.xz"
    path.write_bytes(body)
    text = refusal(path)
    assert "not a readable archive" in text or "no FER2013 inside" in text


@pytest.mark.parametrize("kind", KINDS)
def test_archive_cut_short(folder, kind):
    path = pack(folder, kind)
    whole, size = path.read_bytes(), path.stat().st_size
    for share in (0.001, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(size * share)])
        assert "not a readable archive" in refusal(path)


def test_tar_cut_between_members(folder):
    # Where tarfile itself sees the regular end, and a part would pass for the whole.
    path = pack(folder, "tar")
    with tarfile.open(path) as archive:
        starts = [info.offset for info in archive][1:]
    whole = path.read_bytes()
    for start in starts[10::15]:
        path.write_bytes(whole[:start])
        assert "cut short" in refusal(path)
        path.write_bytes(whole[: start + 100])
        assert "cut short" in refusal(path)
        path.write_bytes(whole[:start] + b"\x01" * 512 + whole[start + 512 :])
        assert "damaged" in refusal(path)


def test_damaged_zip(folder):
    path = pack(folder, "zip")
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 255
    path.write_bytes(body)
    assert "not a readable archive" in refusal(path)


@pytest.mark.parametrize(("at", "value"), [(8, 1), (10, 99)])
def test_zip_with_password_or_unknown_compression(folder, at, value):
    path = pack(folder, "zip")
    body = bytearray(path.read_bytes())
    for mark, shift in ((b"PK\1\2", 0), (b"PK\3\4", -2)):  # both headers of a member
        here = body.find(mark)
        while here >= 0:
            body[here + at + shift] |= value
            here = body.find(mark, here + 4)
    path.write_bytes(body)
    assert "not a readable archive" in refusal(path)


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/x.jpg", "..\\x.jpg"])
def test_members_that_point_outside(tmp_path, name):
    escaped = f"member {name!r} points outside"
    assert escaped in refusal(tar_of(tmp_path / "a.tar", tarfile.TarInfo(name)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train/angry/1.jpg", FACE)
        archive.writestr(name, FACE)
    assert escaped in refusal(tmp_path / "a.zip")
    assert not list(tmp_path.parent.glob("x.jpg"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_members_that_are_not_files(tmp_path, kind):
    plain, odd = tarfile.TarInfo("train/sad/1.jpg"), tarfile.TarInfo("train/sad/2.jpg")
    odd.type, odd.linkname = kind, "/etc/passwd"
    path = tar_of(tmp_path / "a.tar", plain, odd, body=FACE)
    assert "member 'train/sad/2.jpg' is a link or a device; pack" in refusal(path)
    odd.name = "train/latest"  # carries no data; nothing follows it
    path = tar_of(tmp_path / "a.tar", plain, odd, body=FACE)
    assert list(read_source(path).names) == ["train/sad/1.jpg"]


def test_zip_members_that_are_links(tmp_path):
    info = zipfile.ZipInfo("train/sad/1.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "train/sad/1.jpg: broken image" in refusal(tmp_path / "a.zip")


# --- CSV files that are refused -----------------------------------------------------

VALUES = ["7"] * 2304


@pytest.mark.parametrize(
    ("cell", "value", "problem"),
    [
        ("pixels", " ".join(VALUES[1:]), "2,303 pixels, expected 2,304"),
        ("pixels", " ".join(VALUES) + " 7", "2,305 pixels, expected 2,304"),
        ("pixels", "", "0 pixels, expected 2,304"),
        ("pixels", " ".join([*VALUES[1:], "a"]), "pixels that are not whole numbers"),
        ("pixels", " ".join([*VALUES[1:], "7.5"]), "pixels that are not whole numbers"),
        ("pixels", " ".join([*VALUES[1:], "\0"]), "pixels that are not whole numbers"),
        ("pixels", " ".join([*VALUES[1:], "256"]), "a pixel outside 0..255"),
        ("pixels", " ".join([*VALUES[1:], "-1"]), "a pixel outside 0..255"),
        ("pixels", " ".join([*VALUES[1:], "9" * 30]), "a pixel outside 0..255"),
        ("emotion", "7", "emotion '7', expected 0 to 6"),
        ("emotion", "-1", "emotion '-1', expected 0 to 6"),
        ("emotion", "", "emotion '', expected 0 to 6"),
        ("emotion", "bored", "emotion 'bored', expected 0 to 6"),
        ("usage", "Dev", "Usage 'Dev', expected Training, PublicTest, PrivateTest"),
        ("usage", "", "Usage '', expected Training"),
        ("usage", "x\0y", "Usage 'x\\x00y', expected Training"),
    ],
    ids=short,
)
def test_bad_row(tmp_path, cell, value, problem):
    path = table(tmp_path / "fer2013.csv", **{cell: value})
    text = refusal(path)
    assert f"fer2013.csv, line 6: {problem}" in text and "download" in text


def test_bad_row_in_an_archive(tmp_path):
    path = pack(table(tmp_path / "fer2013.csv", emotion="7"), "zip")
    assert "fer2013.csv.zip/fer2013.csv, line 6: emotion '7'" in refusal(path)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"emotion,pixels,Usage\n", "the CSV has no rows"),
        (b"emotion,pixels,Usage\n\n\n", "the CSV has no rows"),
        (b"emotion,pixels,Usage\n3,7 7", "line 2: cut short"),
        (b"emotion,pixels\n3,\xff\xfe\n", "not a readable CSV"),
        (b"emotion,pixels,\xe9\n", "not a readable CSV"),
        (b"emotion,pixels\n3," + b"7" * 200_000, "not a readable CSV"),
        (b"emotion,pixels\n3,'\"" + b"7 " * 90_000, "not a readable CSV"),
        (b"emotion,label\n3,7\n", "no columns emotion and pixels"),
        (b"emotion;pixels\n3;7\n", "1 pixels, expected 2,304"),
        ("emotion,pixels\n3,7\n".encode("utf-16"), "not a readable CSV"),
        (b"emotion,pixels\x0b,x\n3,7\n", "no columns emotion and pixels"),
        (b"\n", "no columns emotion and pixels"),
        (b"\0" * 600, "no columns emotion and pixels"),
        (b"\x89PNG\r\n" + b"\xff" * 600, "not a readable CSV"),
    ],
    ids=short,
)
def test_bad_csv(tmp_path, body, problem):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(body)
    assert problem in refusal(path)
