"""From a photo to an answer: names, numbers and boxes are right; `fer predict` too."""

import csv
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import torch
from PIL import Image

from fer_utils.apps import predict_files
from fer_utils.errors import FerError, PhotoError
from fer_utils.labels import EMOTIONS
from fer_utils.models import Recognizer, save_model
from fer_utils.photos import PORTRAIT, Face, Predictor, annotate, is_address, open_photo

PLAIN = Image.new("RGB", (64, 64), "white")


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="module")
def portrait():
    return open_photo(PORTRAIT)


def constant(code, classes=EMOTIONS):
    """A model that always answers with the class of this code."""
    model = Recognizer("compact-cnn", classes)
    torch.nn.init.zeros_(model.net.head[-1].weight)
    model.net.head[-1].bias.data = 4.0 * torch.eye(len(classes))[code]
    return model


def crops(number, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (number, 48, 48), np.uint8)


# Answers


def test_the_astronaut_is_happy(predictor):
    (face,) = predictor.predict(PORTRAIT)
    assert face.emotion == "happy" and 0.5 < face.confidence <= 1
    assert np.abs(np.subtract(face.box, (183, 64, 269, 175))).max() < 8
    assert tuple(face.probabilities) == EMOTIONS
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert face.confidence == face.probabilities["happy"]
    assert predictor.model_name == "people"
    json.dumps([face.box, face.probabilities])  # plain Python numbers


def test_red_and_blue_are_not_swapped(predictor, portrait, tmp_path):
    """Path, PIL and RGB array give one answer; an array in OpenCV's order another."""
    portrait.save(tmp_path / "photo.png")
    array = np.asarray(portrait)
    sources = [tmp_path / "photo.png", portrait, array]
    answers = predictor.predict(sources)
    assert answers[0] == answers[1] == answers[2]
    assert predictor.predict(array[..., ::-1]) != answers[0]


@pytest.mark.parametrize("code", range(7))
def test_labels_in_their_order(code, tmp_path):
    """Named in FER2013's order, not in that of sorted folders, from a file too."""
    save_model(constant(code), tmp_path / "model.safetensors")
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    for predictor in (
        Predictor(constant(code)),
        Predictor.load(tmp_path / "model.safetensors"),
    ):
        (face,) = predictor.predict(PLAIN, assume_cropped=True)
        assert face.emotion == names[code] and face.confidence > 0.8


def test_classes_come_from_the_weights():
    predictor = Predictor(constant(0, ("neutral", "angry+disgust")))
    (face,) = predictor.predict(PLAIN, assume_cropped=True)
    assert face.emotion == "neutral" and len(face.probabilities) == 2


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_turned_by_exif_is_answered_like_the_upright_one(
    predictor, portrait, orientation
):
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    stored = portrait.transpose(turn.get(orientation, Image.Transpose.ROTATE_270))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    stored.save(file, "PNG", exif=exif)
    assert predictor.predict(file.getvalue()) == predictor.predict(portrait)
    assert predictor.predict(stored) != predictor.predict(portrait)


def test_a_list_is_answered_by_a_list(predictor, portrait):
    wall = Image.new("RGB", (300, 300), "grey")
    pair = Image.new("RGB", (800, 400), "grey")
    pair.paste(portrait.crop((100, 0, 350, 250)), (0, 0))
    pair.paste(portrait.crop((100, 0, 350, 250)).resize((350, 350)), (400, 0))
    answers = predictor.predict([portrait, wall, pair])
    assert [len(answer) for answer in answers] == [1, 0, 2]
    large, small = answers[2]
    assert large.box[0] > 400 > small.box[0]
    for photo, answer in zip((portrait, wall, pair), answers, strict=True):
        alone = predictor.predict(photo)
        assert [face.box for face in alone] == [face.box for face in answer]
        assert [face.confidence for face in alone] == pytest.approx(
            [face.confidence for face in answer], abs=1e-4
        )
    assert predictor.predict([]) == [] and predictor.predict(wall) == []


@pytest.fixture
def batches(predictor, monkeypatch):
    """How many images went through the network in each call."""
    calls, run = [], predictor.network._run
    monkeypatch.setattr(
        predictor.network, "_run", lambda x: calls.append(len(x)) or run(x)
    )
    return calls


def test_all_faces_go_through_the_net_in_one_call(predictor, portrait, batches):
    predictor.predict([portrait] * 3, views=1)
    predictor.predict([portrait] * 3, views=6)
    assert batches == [3, 18]


def test_many_faces_go_through_in_batches(predictor, batches):
    """So that hundreds of faces in one photo do not take all the memory."""
    faces = crops(40)
    many = predictor.probabilities(faces, views=6)
    assert max(batches) <= 6 * 16 and sum(batches) == 6 * 40
    fewer = predictor.probabilities(faces[20:], views=6)
    assert np.allclose(many[20:], fewer, atol=1e-5)


def test_two_views_take_no_side(predictor):
    faces = crops(3)
    mirrored = np.ascontiguousarray(faces[..., ::-1])
    ones = [predictor.probabilities(each, views=1) for each in (faces, mirrored)]
    twos = [predictor.probabilities(each, views=2) for each in (faces, mirrored)]
    assert not np.allclose(*ones, atol=1e-3)
    assert np.allclose(*twos, atol=1e-5)


def test_views_come_with_the_weights(tmp_path):
    model, faces, path = Recognizer("compact-cnn").eval(), crops(3), tmp_path / "m.st"
    for views in (1, 2, 6):
        save_model(model, path, views=views)
        predictor = Predictor.load(path)
        expected = predictor.probabilities(faces, views)
        assert np.array_equal(predictor.probabilities(faces), expected)
    with pytest.raises(FerError, match=r"views.* 3: use one of 1, 2, 6"):
        predictor.predict(PORTRAIT, views=3)
    save_model(model, path, views="many")
    with pytest.raises(FerError, match=r"views.* 'many': use one of"):
        Predictor.load(path)


@pytest.mark.parametrize(
    "header",
    [
        {"temperature": "hot"},
        {"temperature": [1]},
        {"recipe": "mine"},
        {"views": [2]},
        {"balance": [1, 1]},
        {"balance": [0] * 7},
        {"balance": "fair"},
        {"balance": None},
    ],
)
def test_headers_that_say_nonsense(header, tmp_path):
    save_model(Recognizer("compact-cnn"), tmp_path / "m.safetensors", **header)
    with pytest.raises(FerError, match=r"damaged header|views"):
        Predictor.load(tmp_path / "m.safetensors")


def test_temperature_comes_with_the_weights(tmp_path):
    model, faces = Recognizer("compact-cnn").eval(), crops(5)
    path = tmp_path / "model.safetensors"
    save_model(model, path, temperature=2.0)
    images = torch.from_numpy(faces)[:, None]
    expected = (model(images) / 2).softmax(1).detach().numpy()
    found = Predictor.load(path).probabilities(faces, views=1)
    assert np.allclose(found, expected, atol=1e-5)
    save_model(model, path, temperature=0)
    with pytest.raises(FerError, match="temperature"):
        Predictor.load(path)


def test_unsure_below(predictor):
    (sure,) = predictor.predict(PORTRAIT, abstain_below=0.3)
    (unsure,) = predictor.predict(PORTRAIT, abstain_below=1)
    assert sure.emotion == "happy" and unsure.emotion == "unsure"
    assert unsure.probabilities == sure.probabilities


def test_assume_cropped_is_the_whole_image(predictor):
    faces = crops(4)
    answers = predictor.predict(list(faces), assume_cropped=True)
    assert all(answer[0].box == (0, 0, 48, 48) for answer in answers)
    table = [[*answer[0].probabilities.values()] for answer in answers]
    assert np.allclose(table, predictor.probabilities(faces), atol=1e-5)
    with pytest.raises(PhotoError) as caught:
        predictor.predict(faces[0][:5, :5], assume_cropped=True)
    assert caught.value.kind == "too_small"


def test_one_pixel_shows_no_face(predictor):
    assert predictor.predict(Image.new("RGB", (1, 1))) == []


def test_several_threads_get_the_same_answers(predictor, portrait):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(predictor.predict, [portrait] * 12))
    expected = predictor.predict(portrait)
    assert all(answer[0].box == expected[0].box for answer in answers)
    chances = [[*answer[0].probabilities.values()] for answer in answers]
    assert np.allclose(chances, [*expected[0].probabilities.values()], atol=1e-4)


def test_weights_from_a_file_or_a_runs_folder(tmp_path):
    save_model(constant(5), tmp_path / "model.safetensors")
    for weights in (tmp_path / "model.safetensors", tmp_path, str(tmp_path)):
        (face,) = Predictor.load(weights).predict(PLAIN, assume_cropped=True)
        assert face.emotion == "surprise"


@pytest.mark.parametrize("weights", ["nowhere.safetensors", "", PORTRAIT, "."])
def test_bad_weights_are_named(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FerError, match=r"no such weights|not a weights file"):
        Predictor.load(weights)


@pytest.mark.alone
def test_memory():
    """Torch, OpenCV and both networks, after some photos: at most 700 MB."""
    code = (
        "import psutil; from fer_utils import Predictor; p = Predictor.load()\n"
        f"for _ in range(5): p.predict({str(PORTRAIT)!r})\n"
        "print(psutil.Process().memory_info().rss / 1e6)"
    )
    used = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8"
    )
    assert float(used.stdout) < 700, used.stderr


def test_nothing_heavy_is_imported_for_help():
    code = """if True:
        import sys, fer_utils.apps.cli
        print({"torch", "cv2", "PIL"} & {*sys.modules})
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8"
    )
    assert done.stdout.strip() == "set()", done.stderr


# Drawing


@pytest.mark.parametrize("size", [(512, 512), (20, 30), (900, 60), (60, 900)])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_annotate_keeps_the_photo_and_adds_a_panel(size, count):
    chances = dict.fromkeys(EMOTIONS, 0.1) | {"sad": 0.4}
    emotions = [*EMOTIONS, "unsure"]
    faces = [
        Face((0, 0, size[0], size[1]), chances, emotions[i % 8], 0.4)
        for i in range(count)
    ]
    photo = Image.new("L", size, 200)
    drawn = annotate(photo, faces)
    assert drawn.width > size[0] and drawn.height >= size[1]
    assert np.asarray(photo).min() == 200, "the photo itself was drawn on"


# Command line


@pytest.fixture
def fer(fer, monkeypatch, predictor):
    """`fer predict`, with the network that is loaded already."""
    monkeypatch.setattr(Predictor, "load", lambda weights=None: predictor)
    return partial(fer, "predict")


@pytest.fixture
def album(tmp_path, portrait):
    """A folder: a photo, one without a face in a folder inside, and a text."""
    folder = tmp_path / "album"
    (folder / "deeper").mkdir(parents=True)
    portrait.save(folder / "portrait.PNG")
    Image.new("RGB", (99, 99)).save(folder / "deeper" / "dark.jpg")
    (folder / "notes.txt").write_text("This is not a photo.", "utf-8")
    return folder


def test_a_photo_as_text(fer):
    code, out, err = fer(PORTRAIT)
    assert code == 0 and not err
    assert out.startswith(f"{PORTRAIT}: 1 face\n  1  happy ")
    code, out, _ = fer(PORTRAIT, "--unsure-below", 1)
    assert "1  unsure: happy" in out


def test_a_folder_as_json(fer, album, predictor):
    code, out, _ = fer(album, "--json", "--views", 1)
    dark, photo = map(json.loads, out.splitlines())
    assert code == 0 and dark["faces"] == []
    assert photo["photo"] == str(album / "portrait.PNG")
    (face,) = predictor.predict(album / "portrait.PNG", views=1)
    assert photo["faces"][0]["probabilities"] == face.probabilities
    assert tuple(photo["faces"][0]["box"]) == face.box


def test_a_folder_as_csv(fer, album):
    code, out, _ = fer(album, "--csv")
    dark, photo = csv.DictReader(out.splitlines())
    assert code == 0 and dark["face"] == "0" and dark["happy"] == ""
    assert photo["emotion"] == "happy" and float(photo["happy"]) > 0.5


def test_bad_photos_are_named_and_skipped(fer, album):
    (album / "cut.jpg").write_bytes(PORTRAIT.read_bytes()[:9000])
    (album / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    code, out, err = fer(album / "none.jpg", album, "file:///etc/passwd", "--json")
    assert code == 1 and len(out.splitlines()) == 2
    reported = err.splitlines()
    assert [line.startswith("fer: ") for line in reported] == [True] * 5
    assert reported[-1] == "fer: 4 of 6 skipped"
    assert "none.jpg" in err and "cut.jpg" in err and "phone.HEIC" in err


def test_annotated_copies_never_replace_a_photo(fer, album):
    (album / "portrait.jpg").write_bytes(PORTRAIT.read_bytes())
    before = {p: p.read_bytes() for p in album.rglob("*") if p.is_file()}
    code, _, _ = fer(album, "--annotate", album)
    assert code == 1  # every photo lies in the folder for copies
    code, _, _ = fer(
        album / "portrait.PNG", album / "portrait.jpg", "--annotate", album
    )
    assert code == 0
    assert {p: p.read_bytes() for p in before} == before
    made = sorted(p.name for p in album.glob("portrait-*"))
    assert made == ["portrait-2.jpg", "portrait-3.jpg"]
    for name in made:
        assert Image.open(album / name).width > 512


def test_annotated_copies_replace_nothing_but_older_copies(fer, album):
    out = album / "out"
    out.mkdir()
    Image.new("L", (9, 9)).save(out / "portrait.jpg")
    (out / "thesis.jpg").write_bytes(b"no photo at all")
    before = {p: p.read_bytes() for p in out.iterdir()}
    thesis = album / "thesis.png"
    Image.new("L", (50, 50)).save(thesis)
    for _ in range(2):
        code, *_ = fer(album / "portrait.PNG", thesis, "--annotate", out)
        assert code == 0
    assert {p: p.read_bytes() for p in before} == before
    made = {path.name for path in out.iterdir()} - {path.name for path in before}
    assert made == {"portrait-2.jpg", "thesis-2.jpg"}


def test_names_that_differ_in_case_are_one_file_on_many_systems(tmp_path):
    taken = {predict_files.same_file(tmp_path / "Me.JPG")}
    assert predict_files.free_name(tmp_path / "me.jpg", taken).name == "me-2.jpg"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (r"C:\pics\me.png", "me.png"),
        ("C:/pics/me.png", "me.png"),
        ("C://pics//me.png", "me.png"),
        (r"..\what?.png", "what?.png"),
        (r"\\server\share\me.png", "me.png"),
        ("C:\\", "photo"),
        ("https://example.org/a/me.png?size=9#top", "me.png"),
        ("https://example.org/a%2Fb.png", "a%2Fb.png"),
        ("https://example.org/C:evil.png", "C_evil.png"),
        (r"https://example.org/..\..\evil.png", "_.._evil.png"),
        ("https://example.org/..", "photo"),
        ("https://example.org/", "photo"),
        ("http://[::1", "[__1"),
    ],
)
def test_the_name_of_a_copy_in_windows(source, name):
    assert predict_files.copy_name(source, PureWindowsPath) == name
    inside = PureWindowsPath("D:/out", name)
    assert inside.parent == PureWindowsPath("D:/out")


def test_a_drive_is_no_web_address():
    for path in ("C://photos//me.jpg", "c:\\me.jpg", "me.jpg", "a/b://c"):
        assert not is_address(path)
    for address in ("https://example.org/me.jpg", "FTP://example.org", "file:///etc"):
        assert is_address(address)


def test_a_table_in_a_file_is_utf8_whatever_the_system(tmp_path):
    """As on Windows with a file name that its code page lacks."""
    photo = tmp_path / "Zoë→面.png"
    Image.open(PORTRAIT).resize((64, 64)).save(photo)
    command = [sys.executable, "-m", "fer_utils", "predict", "--csv", "--cropped"]
    env = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([*command, photo], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(done.stdout.decode("utf-8").splitlines()))
    assert rows[1][0] == str(photo) and b"\r" not in done.stdout


def test_annotated_copies_are_not_read_again(fer, album):
    for _ in range(2):
        code, out, _ = fer(album, "--annotate", album / "out")
        assert code == 0 and len(out.splitlines()) == 3
    made = {p.relative_to(album / "out") for p in (album / "out").rglob("*.*")}
    assert made == {Path("portrait.jpg"), Path("deeper/dark.jpg")}


def test_problems_of_the_call_are_one_line(fer, tmp_path):
    for arguments in ((tmp_path,), (PORTRAIT, "--json", "--csv")):
        code, out, err = fer(*arguments)
        assert code == 1 and not out and err.count("\n") == 1
