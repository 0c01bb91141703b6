"""The demo's parts: what its widgets pass on, its sentences, and what it forgets."""

import re

import numpy as np
import pytest
from PIL import Image

from fer_utils.photos import PORTRAIT

pytest.importorskip("anywidget", reason="needs the extra 'demo'")

from fer_utils.apps.widget import Demo, card, sample_photo, sentence, uploads
from fer_utils.labels import COLOURS, EMOTIONS
from fer_utils.photos import Face, Predictor, find_faces
from fer_utils.plots import inference_process, stock_image

PHOTO = PORTRAIT.read_bytes()


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


def face(emotion="happy", confidence=0.9):
    rest = (1 - confidence) / 6
    table = dict.fromkeys(EMOTIONS, rest) | {"happy": confidence}
    return Face((50, 50, 150, 170), table, emotion, confidence)


def texts(shown):
    return [each.value for each in shown.cards.children]


def said(shown):
    return [re.search("role=status>(.*?)<", text)[1] for text in texts(shown)]


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_uploads_of_both_generations_of_ipywidgets(kind):
    one, two = kind(b"one"), kind(b"two")
    seven = {
        name: {"metadata": {"name": name, "size": 3}, "content": content}
        for name, content in (("a.jpg", one), ("b.png", two))
    }
    eight = (
        {"name": "a.jpg", "type": "image/jpeg", "size": 3, "content": one},
        {"name": "b.png", "type": "image/png", "size": 3, "content": two},
    )
    assert uploads(seven) == uploads(eight) == [("a.jpg", b"one"), ("b.png", b"two")]
    assert uploads({}) == uploads(()) == []


def test_sentences():
    assert sentence([]).startswith("No face was found")
    assert sentence([face()]) == "One face: happy (90%)."
    assert sentence([face("unsure", 0.3)]) == "One face: unsure, at best happy (30%)."
    two = sentence([face(), face("unsure", 0.3)])
    assert two == "2 faces: 1 happy (90%), 2 unsure, at best happy (30%)."


def test_card_has_seven_bars_in_seven_colours_for_every_face():
    text = card("<b>.jpg", Image.new("RGB", (300, 200)), [face(), face()])
    assert text.count("<li>") == 14 and text.count("width: 90.0%") == 2
    assert all(text.count(shade) == 2 for shade in COLOURS.values())
    assert "&lt;b&gt;.jpg" in text and "<b>.jpg" not in text
    assert "<li>" not in card("a.jpg", Image.new("L", (9, 9)), [])


def uploaded(shown, *photos):
    """Do what the browser does; return the button that was used."""
    button = shown.buttons.children[0]
    new = tuple({"name": name, "content": memoryview(data)} for name, data in photos)
    shown._uploaded({"new": new, "owner": button})
    return button


def test_uploads_are_read_and_forgotten(predictor):
    shown = Demo(predictor)
    button = uploaded(shown, ("me.jpg", PHOTO), ("not.jpg", b"no photo " * 9))
    assert shown.buttons.children[0] is not button and button.comm is None
    first, second = said(shown)
    assert re.fullmatch(r"One face: happy \(\d+%\)\.", first)
    assert "JPEG" in second
    assert shown.progress.value == 2 and shown.progress.layout.display == "none"
    assert "happy" not in repr(shown) and len(repr(shown)) < 80
    cards = shown.cards.children
    shown.clear.click()
    assert not shown.cards.children and not shown.photos
    assert all(each.comm is None for each in cards)


def test_newest_first_and_options_apply_to_what_is_shown(predictor):
    shown = Demo(predictor)
    shown.add([("blank", np.zeros((90, 90, 3), np.uint8))])
    shown.sample.click()
    assert [words[:8] for words in said(shown)] == ["One face", "No face "]
    shown.unsure.value = 1
    assert said(shown)[0].startswith("One face: unsure, at best happy")
    shown.cropped.value = True
    assert [words[:8] for words in said(shown)] == ["One face"] * 2


def test_camera_hands_over_bytes(predictor):
    shown = Demo(predictor)
    shown.camera._handle_custom_msg("photo", [memoryview(PHOTO)])
    assert said(shown)[0].startswith("One face: happy")


def test_the_sample_photo_holds_one_face(predictor):
    caption, photo = sample_photo()
    assert "NASA" in caption and photo.size == (512, 512)
    assert len(predictor.predict(photo)) == 1


def test_figures(predictor):
    photo = Image.open(PORTRAIT)
    found = find_faces(photo)
    (answer,) = predictor.predict(photo)
    figures = (
        stock_image(photo, found),
        inference_process(photo, found[0], answer.probabilities),
    )
    for figure in figures:
        assert figure._repr_png_().startswith(b"\x89PNG")
    axes = figures[1].axes
    assert axes[3].images[0].get_array().shape == (48, 48)
    assert [bar.get_width() for bar in axes[4].patches] == pytest.approx(
        list(answer.probabilities.values())
    )
