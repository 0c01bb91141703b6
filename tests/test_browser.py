"""The web page in headless Chromium: what people click, type, drop and film."""

import base64
import io
import re

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

from fer_utils.photos import PORTRAIT

pytest.importorskip("fastapi_offline", reason="needs the extra 'serve'")

from browser import missing, running
from fer_utils.apps.service import create_app
from fer_utils.labels import EMOTIONS
from fer_utils.photos import Predictor

if missing():
    pytest.skip(f"no browser: {missing()}", allow_module_level=True)


@pytest.fixture(scope="module")
def url():
    with running(create_app(Predictor.load())) as url:
        yield url


@pytest.fixture
def page(browser, url, request):
    """A fresh page of the service."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.set_default_timeout(30_000)
    with watched(page, url):
        yield page


def test_photo_gives_boxes_bars_and_a_sentence(page):
    page.set_input_files("#file", PORTRAIT)
    assert seen(page).startswith("Face 1: ")
    assert sentence(page).startswith("One face: ")
    rows = page.locator("#bars li").all_inner_texts()
    assert [row.split()[0] for row in rows] == list(EMOTIONS)
    shares = [int(row.split()[1]) for row in rows]
    assert 97 <= sum(shares) <= 103
    widths = [page.evaluate("e => e.offsetWidth", e) for e in bars(page)]
    assert widths.index(max(widths)) == shares.index(max(shares))
    photo = page.locator("#photo").bounding_box()
    box = page.locator(".box").bounding_box()
    middle = (box["x"] + box["width"] / 2 - photo["x"]) / photo["width"]
    assert 0.35 < middle < 0.5, "the box lies on the astronaut's face"
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".box").count() == 0
    assert page.locator("#photo").is_hidden()
    assert "Nothing yet" in sentence(page)


def test_sample_photo_and_the_limit_of_doubt(page):
    page.get_by_role("button", name="Sample photo").click()
    assert "happy" in seen(page)
    slider = page.get_by_label("Unsure below")
    before = page.locator("#bars").inner_text()
    slider.fill("100")
    assert "unsure" in seen(page) and "hard to read" in sentence(page)
    slider.fill("0")
    assert "happy" in seen(page) and page.locator("#bars").inner_text() == before


def bars(page):
    page.wait_for_timeout(350)  # they grow
    return page.locator(".track i").element_handles()


def test_several_faces_can_be_looked_at_one_by_one(page, tmp_path):
    image = Image.open(PORTRAIT)
    pair = Image.new("RGB", (1000, 512))
    pair.paste(image, (0, 0))
    pair.paste(image.resize((400, 400)), (560, 0))
    pair.save(tmp_path / "pair.png")
    page.set_input_files("#file", tmp_path / "pair.png")
    second = page.get_by_role("group", name="Faces").get_by_role("button").nth(1)
    second.focus()
    page.keyboard.press("Enter")
    assert second.get_attribute("aria-pressed") == "true"
    assert page.locator("#which").inner_text().startswith("Face 2 of 2: ")


def test_dropped_photo(page):
    data = base64.b64encode(PORTRAIT.read_bytes()).decode()
    page.evaluate(
        """data => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "a.jpg", { type: "image/jpeg" }));
          const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
          const stage = document.getElementById("stage");
          stage.dispatchEvent(new DragEvent("dragover", options));
          stage.dispatchEvent(new DragEvent("drop", options));
        }""",
        data,
    )
    assert seen(page)


def test_large_photo_turned_by_exif_travels_smaller(page, tmp_path):
    image = Image.open(PORTRAIT).resize((4000, 4000))
    exif = Image.Exif()
    exif[0x0112] = 8  # shown turned by 90 degrees anticlockwise
    turned = image.transpose(Image.Transpose.ROTATE_270)
    turned.save(tmp_path / "phone.jpg", exif=exif)
    with page.expect_request("**/predict") as sent:
        page.set_input_files("#file", tmp_path / "phone.jpg")
    assert seen(page)
    assert int(sent.value.header_value("content-length")) < 2_000_000
    photo = page.locator("#photo").bounding_box()
    box = page.locator(".box").bounding_box()
    assert box["y"] - photo["y"] < photo["height"] / 3, "upright: the face is on top"


def test_plain_words_when_it_does_not_work(page, url, tmp_path):
    blank = io.BytesIO()
    Image.new("RGB", (200, 200), "teal").save(blank, "PNG")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": blank.getvalue()}
    page.set_input_files("#file", picture)
    assert "No face" in sentence(page)
    text = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no photo " * 9}
    page.set_input_files("#file", text)
    page.wait_for_selector("body.failed")
    assert "JPEG" in sentence(page)
    assert page.locator("#view").is_hidden()
    page.route("**/predict", lambda route: route.abort())
    page.set_input_files("#file", PORTRAIT)
    page.wait_for_selector("body.failed")
    assert "cannot be reached" in sentence(page)
    page.unroute("**/predict")
    page.set_input_files("#file", PORTRAIT)
    assert seen(page)


def test_camera_is_followed_one_frame_at_a_time(page):
    flying = most = frames = 0

    def left(request):
        nonlocal flying, most, frames
        if request.url.endswith("/predict"):
            flying, frames = flying + 1, frames + 1
            most = max(most, flying)

    def landed(request):
        nonlocal flying
        flying -= request.url.endswith("/predict")

    page.on("request", left)
    page.on("requestfinished", landed)
    page.get_by_role("button", name="Use camera").click()
    assert seen(page)
    page.wait_for_function("() => /frames.s/.test(rate.textContent)")
    while frames < 4:
        page.wait_for_timeout(50)
    assert most == 1
    video = page.locator("#video").bounding_box()
    box = page.locator(".box").first.bounding_box()
    middle = (box["x"] + box["width"] / 2 - video["x"]) / video["width"]
    assert 0.5 < middle < 0.65, "mirrored, like the film itself"
    page.get_by_role("button", name="Stop camera").click()
    assert page.locator("#video").is_hidden()
    page.wait_for_timeout(300)
    stopped = frames
    page.wait_for_timeout(300)
    assert frames == stopped
    assert page.evaluate("() => video.srcObject === null")


def test_refused_camera(page):
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new Error('Permission denied')); }"
    )
    page.get_by_role("button", name="Use camera").click()
    page.wait_for_selector("body.failed")
    assert "Permission denied" in sentence(page)


def test_keyboard(page):
    page.keyboard.press("Tab")
    assert focused(page) == "Choose a photo"
    choose_by_keyboard(page)
    assert seen(page)
    page.keyboard.press("Tab")
    assert focused(page) == "Use camera"
    page.keyboard.press("Tab")
    assert focused(page) == "Sample photo"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "unsure"
    page.keyboard.press("Tab")
    assert focused(page) == "Clear"
    page.keyboard.press("Space")
    assert "Nothing yet" in sentence(page)
    assert focused(page) == "Choose a photo"


def focused(page):
    """Return the words of what has the focus; a ring must show it."""
    element = page.locator(":focus")
    assert element.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    return element.inner_text()


SCHEMES = [{"color_scheme": "light"}, {"color_scheme": "dark"}]


@pytest.mark.parametrize("page", SCHEMES, indirect=True, ids=["light", "dark"])
def test_contrast(page):
    """Text reaches 4.5:1 on its ground (WCAG 2.2, AA)."""
    page.evaluate("() => document.body.classList.add('failed')")
    for selector in ("h1", "header p", "#sentence", "#bars li", ".notes p", "a"):
        assert contrast(page, selector) >= 4.5, selector
    for selector in (".primary", "#camera", "#invitation p", "#result-title"):
        assert contrast(page, selector) >= 4.5, selector


def contrast(page, selector):
    ink, ground = page.locator(selector).first.evaluate(
        """element => {
          const ink = getComputedStyle(element).color;
          const none = "rgba(0, 0, 0, 0)";
          const behind = [];
          for (let e = element; e; e = e.parentElement) {
            behind.push(getComputedStyle(e).backgroundColor);
          }
          return [ink, behind.find((ground) => ground !== none)];
        }"""
    )
    one, two = sorted((luminance(ink), luminance(ground)))
    return (two + 0.05) / (one + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    low = 0.04045
    linear = [p / 12.92 if p <= low else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_phone(page):
    assert_fits_a_phone(page)
    for button in page.locator(".tools .button").all():
        assert button.bounding_box()["height"] >= 44
    stage, result = (page.locator(".card").nth(n).bounding_box() for n in (0, 1))
    assert result["y"] >= stage["y"] + stage["height"], "one column"


def test_the_page_says_what_it_is_for(page):
    text = page.locator("body").inner_text()
    for words in ("not what the person feels", "Not for monitoring people"):
        assert words in text
    assert "AI Act" in text and "Nothing is stored" in text


def test_docs_work_without_a_cdn(page, url):
    page.goto(f"{url}/docs")
    page.get_by_text("Read the faces in a photo", exact=True).click()
    page.get_by_role("button", name="Try it out").wait_for()
