"""The page without a server, in headless Chromium: clicks, a camera, and what fails."""

import io
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from pages import (
    PHONE,
    assert_fits_a_phone,
    choose_by_keyboard,
    seen,
    sentence,
    watched,
)
from PIL import Image

from browser import missing, serving
from fer_utils.photos import PORTRAIT, Face, Tracker

if missing():
    pytest.skip(f"no browser: {missing()}", allow_module_level=True)


@pytest.fixture
def page(browser, page_url, request):
    """A fresh page that nothing may leave."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.set_default_timeout(60_000)
    with watched(page, page_url, methods=("GET",)):
        yield page


def file(data, name="a.jpg"):
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def test_photo_sample_and_the_limit_of_doubt(page):
    assert "Nothing yet" in sentence(page)
    page.set_input_files("#file", PORTRAIT)
    assert seen(page).startswith("Face 1: happy")
    assert sentence(page).startswith("One face: happy")
    assert page.locator("#bars li").count() == 7
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".box").count() == 0
    page.get_by_role("button", name="Sample photo").click()
    assert "happy" in seen(page)
    page.get_by_label("Unsure below").fill("100")
    assert "unsure" in seen(page) and "hard to read" in sentence(page)


def test_pasted_photo(page):
    sentence(page)
    page.evaluate(
        """async () => {
          const data = await (await fetch("sample.jpg")).blob();
          const transfer = new DataTransfer();
          transfer.items.add(new File([data], "a.jpg", { type: "image/jpeg" }));
          const event = new ClipboardEvent("paste", { clipboardData: transfer });
          document.dispatchEvent(event);
        }"""
    )
    assert seen(page)


def huge():
    """A PNG of 20,000×20,000 pixels; only its header is ever read."""
    data = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(data, "PNG")
    return data.getvalue()


BAD = [
    (b"no photo " * 9, "not a photo"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC"),
    (PORTRAIT.read_bytes()[:300], "damaged"),
    (huge(), "20000×20000 pixels; at most 40 million"),
]


def test_bad_files_get_one_sentence(page):
    for data, words in BAD:
        page.set_input_files("#file", file(data))
        page.wait_for_selector("body.failed")
        assert words in sentence(page)
        assert len(re.findall(r"\.(?: |$)", sentence(page))) == 1
        assert page.locator("#view").is_hidden()
    page.set_input_files("#file", PORTRAIT)
    assert seen(page), "the page goes on"


def test_camera(page):
    page.get_by_role("button", name="Use camera").click()
    assert seen(page)
    page.wait_for_function("() => /frames.s/.test(rate.textContent)")
    video = page.locator("#video").bounding_box()
    box = page.locator(".box").first.bounding_box()
    middle = (box["x"] + box["width"] / 2 - video["x"]) / video["width"]
    assert 0.5 < middle < 0.65, "mirrored, like the film itself"
    page.get_by_role("button", name="Stop camera").click()
    assert page.evaluate("() => video.srcObject === null")


def test_camera_faces_are_followed_as_in_python(page):
    """Two people walk about, are lost and come back: the same numbers, and shares."""
    rng = np.random.default_rng(0)
    frames, tracker, expected = [], Tracker(), []
    for time in np.cumsum(rng.choice([0.1, 0.3, 1.4], 60)):
        lefts = [place + rng.normal(0, 30) for place in (0, 130) if rng.random() < 0.8]
        faces = []
        for left in rng.permutation(lefts):
            happy = rng.random()
            chances = {"happy": happy, "sad": 1 - happy}
            box = (float(left), 0, float(left) + 100, 100)
            faces.append(Face(box, chances, "happy", happy))
        frames.append([float(time), [asdict(face) for face in faces]])
        expected.append(tracker.add(float(time), faces))
    found = page.evaluate(
        """async (frames) => {
          const { Tracker } = await import(new URL("track.js", location.href));
          const tracker = new Tracker();
          return frames.map(([time, faces]) => tracker.add(time, faces));
        }""",
        frames,
    )
    for ours, theirs in zip(expected, found, strict=True):
        assert [face.person for face in ours] == [face["person"] for face in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.probabilities == pytest.approx(other["probabilities"])
            assert other["confidence"] == pytest.approx(one.confidence)
    assert max(face.person for faces in expected for face in faces) > 3


def test_refused_camera(page):
    sentence(page)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new Error('Permission denied')); }"
    )
    page.get_by_role("button", name="Use camera").click()
    page.wait_for_selector("body.failed")
    assert "Permission denied" in sentence(page)


PARTS = (
    "models/rnet.onnx",
    "models.json",
    "runtime/ort-wasm-simd-threaded.wasm",
    "runtime/ort.wasm.bundle.min.mjs",
    "stage.js",
)


@pytest.mark.parametrize("part", PARTS)
def test_missing_parts_get_one_sentence(browser, page_folder, tmp_path, part):
    shutil.copytree(page_folder, tmp_path / "try")
    (tmp_path / "try" / part).unlink()
    with serving(tmp_path / "try") as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("body.failed", timeout=60_000)
        assert "could not be loaded" in sentence(page)
        assert (part in sentence(page)) == part.startswith(("models", "runtime/ort-"))
        page.close()


def test_opened_from_the_disk_it_says_how_to_serve_it(browser, page_folder):
    page = browser.new_page()
    page.goto((page_folder / "index.html").as_uri())
    page.wait_for_selector("body.failed")
    assert "http.server" in sentence(page)
    page.close()


def test_keyboard_reaches_everything(page):
    assert "Nothing yet" in sentence(page)
    page.keyboard.press("Tab")
    choose_by_keyboard(page)
    assert seen(page)
    for name in ("Use camera", "Sample photo"):
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == name
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "unsure"


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_phone(page):
    assert_fits_a_phone(page)


def test_the_page_says_what_it_is_for(page):
    text = page.locator("body").inner_text()
    for words in ("not what the person feels", "Not for monitoring people", "AI Act"):
        assert words in text
    assert "nothing is stored" in text
