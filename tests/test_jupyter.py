"""Notebook 06 in a real JupyterLab and under Voilà, in headless Chromium."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from fer_utils.photos import PORTRAIT

pytest.importorskip("jupyterlab", reason="needs the extra 'lab'")
pytest.importorskip("playwright", reason="needs the extra 'test'")
pytest.importorskip("anywidget", reason="needs the extra 'demo'")

from playwright.sync_api import expect

from browser import missing
from fer_utils.labels import COLOURS, EMOTIONS

if missing():
    pytest.skip(f"no browser: {missing()}", allow_module_level=True)

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "06_upload_and_predict.ipynb"
SECONDS = 100  # for everything that waits until a notebook has run
TRACKER = "lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"


@contextmanager
def served(app, folder, *options):
    """Run a Jupyter application over `folder`; yield its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home, log = folder / ".home", folder / ".log.txt"
    settings = home / "config" / TRACKER
    settings.parent.mkdir(parents=True)
    settings.write_text(
        json.dumps({"windowingMode": "none"}), "utf-8"
    )  # keep all cells in view
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for kind in ("config", "data", "runtime"):
        environment[f"JUPYTER_{kind.upper()}_DIR"] = str(home / kind)
    command = [sys.executable, "-m", app, "--no-browser", f"--port={port}", *options]
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text("utf-8")[-3000:]
                assert time.monotonic() < end, log.read_text("utf-8")[-3000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    bare(folder)
    return folder


def bare(folder):
    """Put notebook 06 there as it is before any cell has run."""
    nb = json.loads(NOTEBOOK.read_text("utf-8"))
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    (folder / NOTEBOOK.name).write_text(json.dumps(nb), "utf-8")


@pytest.fixture(scope="module")
def lab(browser, folder):
    """A page with notebook 06 in JupyterLab, all cells run."""
    options = [
        "--allow-root",
        "--IdentityProvider.token=",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with served("jupyterlab", folder, *options) as url:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(30_000)
        page.goto(f"{url}/lab/tree/{NOTEBOOK.name}")
        page.get_by_text(re.compile("Python 3.*Idle")).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        upload_button(page).wait_for(timeout=SECONDS * 1000)
        yield page
        page.close()


def upload_button(page):
    return page.get_by_role("button", name=re.compile("Upload photos"))


def upload(page, *files):
    """Choose files by the upload button, as a person does."""
    with page.expect_file_chooser() as chooser:
        upload_button(page).click()
    chooser.value.set_files(files)


def sentences(page, number):
    """Wait for so many photos; return the sentence for each, newest first."""
    cards = page.locator(".fer-card")
    expect(cards).to_have_count(number, timeout=30_000)
    return cards.get_by_role("status").all_inner_texts()


def clear(page):
    page.locator(".jupyter-button", has_text="Clear").click()
    assert sentences(page, 0) == []


def assert_face_and_bars(page):
    """The newest photo shows a box on the face, and seven bars in seven colours."""
    card = page.locator(".fer-card").first
    rows = card.locator(".fer-bars li")
    assert [row.split()[0] for row in rows.all_inner_texts()] == list(EMOTIONS)
    shares = [int(row.split()[1].rstrip("%")) for row in rows.all_inner_texts()]
    assert 97 <= sum(shares) <= 103 and max(shares) == shares[EMOTIONS.index("happy")]
    bars = [bar.bounding_box()["width"] for bar in rows.locator("b").all()]
    assert bars.index(max(bars)) == EMOTIONS.index("happy") and max(bars) > 80
    orange = [int(COLOURS["happy"][i : i + 2], 16) for i in (1, 3, 5)]
    near = card.locator("img").evaluate(
        """(image, colour) => {
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const off = (x, y) => Math.max(...[...context.getImageData(x, y, 1, 1).data]
            .slice(0, 3).map((value, i) => Math.abs(value - colour[i])));
          return [182, 268].map((x) =>
            Math.min(...[-2, -1, 0, 1, 2].map((d) => off(x + d, 120))));
        }""",
        orange,
    )
    assert max(near) < 60, "the box is not around the face"
    assert card.locator("img").bounding_box()["width"] > 300


def test_run_all_runs_all(lab):
    prompts = lab.locator(".jp-CodeCell .jp-InputPrompt")
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = sum(cell["cell_type"] == "code" for cell in cells)
    # The button is there before the last cells have run: their prompts are "[*]:".
    numbers = [f"[{n}]:" for n in range(1, code + 1)]
    expect(prompts).to_have_text(numbers, timeout=SECONDS * 1000)
    assert lab.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0


def test_uploads_give_boxes_and_bars(lab, tmp_path):
    upload(lab, PORTRAIT)
    assert sentences(lab, 1)[0].startswith("One face: happy")
    assert_face_and_bars(lab)
    text = tmp_path / "a<b>.jpg"
    text.write_text("not a photo", "utf-8")
    upload(lab, PORTRAIT, text)  # the button works again, for several, for the same
    first, second, third = sentences(lab, 3)
    assert first == third and "JPEG, PNG" in second
    assert "a<b>.jpg" in lab.locator(".fer-card").nth(1).inner_text()
    clear(lab)


def test_sample_photo_and_doubt(lab):
    lab.get_by_role("button", name="Sample photo").click()
    assert sentences(lab, 1)[0].startswith("One face: happy")
    handle = lab.get_by_role("slider").last  # the first moves a margin
    handle.focus()
    handle.press("End")
    lab.get_by_text("One face: unsure, at best happy").wait_for()
    handle.press("Home")
    lab.get_by_text("One face: happy").wait_for()
    clear(lab)


def test_camera(lab):
    lab.get_by_role("button", name="Use camera").click()
    lab.get_by_role("button", name="Take photo").click()
    assert sentences(lab, 1)[0].startswith("One face: happy")
    lab.get_by_role("button", name="Use camera").wait_for()
    clear(lab)


def test_refused_camera(lab):
    lab.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new Error('Permission denied')); }"
    )
    lab.get_by_role("button", name="Use camera").click()
    lab.get_by_text("cannot be used (Permission denied); upload a photo").wait_for()


def test_saved_notebook_holds_no_photo(lab, folder):
    upload(lab, PORTRAIT)
    sentences(lab, 1)
    file = folder / NOTEBOOK.name
    before = file.stat().st_mtime_ns
    lab.locator(".jp-Notebook").first.click(position={"x": 5, "y": 5})
    lab.keyboard.press("Control+s")
    end = time.monotonic() + 30
    while time.monotonic() < end:  # until it is written, and to its end
        if file.stat().st_mtime_ns > before and file.read_bytes().endswith(b"}\n"):
            break
        time.sleep(0.1)
    nb = json.loads(file.read_text("utf-8"))
    assert nb["cells"][1]["execution_count"] == 1 and "widgets" not in nb["metadata"]
    text = file.read_text("utf-8")
    assert "image/jpeg" not in text and "widget-view" in text
    assert "fer-card" not in text and "One face" not in text


def test_voila_runs_it_as_an_app(browser, tmp_path):
    pytest.importorskip("voila", reason="needs the extra 'demo'")
    bare(tmp_path)
    with served("voila", tmp_path) as url:
        page = browser.new_page()
        page.goto(f"{url}/voila/render/{NOTEBOOK.name}", timeout=SECONDS * 1000)
        upload_button(page).wait_for(timeout=SECONDS * 1000)
        upload(page, PORTRAIT)
        assert sentences(page, 1)[0].startswith("One face: happy")
        assert_face_and_bars(page)
        assert page.locator(".jp-InputArea-editor").count() == 0, "no code is shown"
        page.close()
