"""The page without a server: how it is built, and that its answers are Python's."""

import functools
import shutil
import subprocess
import sys

import numpy as np
import pytest
from in_browser import differences, encoded, in_browser
from PIL import Image

import try_page
from browser import missing, serving
from fer_utils import Predictor, load_fer2013
from fer_utils.errors import FerError
from fer_utils.photos import PORTRAIT
from fer_utils.shipped import weights_path


def test_sizes(page_folder):
    whole, engine = (
        try_page.megabytes(page_folder),
        try_page.megabytes(page_folder, "runtime/*"),
    )
    assert whole <= 20 and whole - engine <= 6
    first = whole - try_page.megabytes(page_folder, "models/centerface.onnx")
    text = (page_folder / "index.html").read_text("utf-8")
    assert f"({first:.0f}&nbsp;MB, once)" in text, "as long as people wait"


def test_settings_come_from_the_weights(page_folder):
    predictor, settings = Predictor.load(), try_page.settings()
    assert settings["temperature"] == predictor.temperature
    assert settings["views"] == predictor.views
    assert tuple(settings["classes"]) == predictor.classes
    assert settings["balance"] == list(predictor.balance)
    assert (page_folder / "README.md").read_text("utf-8").startswith("---\ntitle: ")


def test_only_its_own_folder_is_replaced(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(FerError, match="something else"):
        try_page.build(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_without_npm_or_network_it_says_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(try_page, "CACHE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FerError, match="install Node"):
        try_page.runtime()
    failing = [sys.executable, "-c", "import sys; sys.exit('no network')"]
    run = subprocess.run
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", lambda _, **how: run(failing, **how))
    with pytest.raises(FerError, match="no network"):
        try_page.runtime()


@pytest.fixture(scope="module")
def steps(request):
    """A page whose scripts the tests call themselves."""
    if missing():
        pytest.skip(f"no browser: {missing()}")
    page = request.getfixturevalue("browser").new_page()
    page.goto(request.getfixturevalue("page_url"))
    yield page
    page.close()


@functools.cache
def portraits():
    """Photos that take each way through the detector, and the crops beside it."""
    image = Image.open(PORTRAIT).convert("RGB")
    face = image.crop((150, 40, 300, 190))
    pair = Image.new("RGB", (1000, 512), "gray")
    pair.paste(image.resize((400, 400)), (560, 0))
    pair.paste(image, (0, 0))
    small = Image.new("RGB", (2400, 1600), "teal")
    small.paste(image.resize((220, 220)), (1500, 900))
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x0112] = 6
    rolled = image.transpose(Image.Transpose.ROTATE_90)
    upright = encoded(rolled, "JPEG", quality=95, exif=exif)
    return {
        "as it is": PORTRAIT.read_bytes(),
        "two faces": encoded(pair, "PNG"),
        "fills the photo": encoded(face.crop((25, 5, 125, 145)), "PNG"),
        "at the edge": encoded(image.crop((205, 0, 512, 512)), "PNG"),
        "turned by 30°": encoded(image.rotate(30), "PNG"),
        "large": encoded(image.resize((3000, 3000)), "JPEG", quality=90),
        "small in a large one": encoded(small, "JPEG", quality=90),
        "turned by EXIF": upright,
        "grey": encoded(image.convert("L"), "JPEG", quality=90),
        "transparent": encoded(clear, "PNG"),
        "a face already": encoded(face.convert("L").resize((64, 64)), "PNG"),
        "no face": encoded(Image.new("RGB", (300, 200), "teal"), "PNG"),
    }


@pytest.mark.parametrize("name", portraits())
def test_portraits_are_answered_as_python_answers(steps, name):
    photo = portraits()[name]
    ours = Predictor.load().predict(photo)
    assert bool(ours) == (name != "no face")
    same, gap, moved = differences(ours, in_browser(steps, photo)[0])
    assert same and gap < 0.02 and moved <= 1, (gap, moved)


def test_faces_are_answered_as_python_answers(steps):
    """Drawn faces: networks are unsure of them, so that small gaps would show."""
    faces = load_fer2013("sample").images
    faces = faces[np.random.default_rng(0).choice(len(faces), 40, False)]
    predictor = Predictor.load()
    for face in faces:
        photo = encoded(Image.fromarray(face), "PNG")
        ours = predictor.predict(photo)
        same, gap, _ = differences(ours, in_browser(steps, photo)[0])
        assert same and gap < 1e-4


def test_a_network_of_ones_own_is_answered_as_python_answers(steps, tmp_path):
    onnx = pytest.importorskip("onnx")
    own = onnx.load(weights_path(None, ".onnx"))
    header = {each.key: each.value for each in own.metadata_props}
    header |= {"balance": "[0.5, 3, 1, 0.4, 2, 1, 0.7]"}
    header |= {"temperature": "1.7", "views": "2"}
    onnx.helper.set_model_props(own, header)
    weights = tmp_path / "own.onnx"
    onnx.save(own, weights)
    photo = portraits()["as it is"]
    usual, ours = (Predictor.load(each).predict(photo) for each in (None, weights))
    assert differences(ours, [vars(usual[0])])[1] > 0.1, "the header counts"
    with serving(try_page.build(tmp_path / "try", str(weights))) as url:
        page = steps.context.browser.new_page()
        page.goto(url)
        same, gap, _ = differences(ours, in_browser(page, photo)[0])
        page.close()
    assert same and gap < 1e-4
    with pytest.raises(FerError, match="fer export"):
        try_page.build(tmp_path / "no", str(PORTRAIT))
