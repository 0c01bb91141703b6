"""For tests and screenshots: a page served from a thread, and Chromium to open it."""

import contextlib
import functools
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing but the page under test: no sandbox (root in containers), no calls home.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def missing() -> str:
    """Return why no browser can be started, or an empty text."""
    if not find_spec("playwright"):
        return "Playwright is not installed: pip install playwright"
    return "" if find() else f"none of {', '.join(NAMES)} is installed"


def find() -> str:
    """Return the path of a Chromium, or an empty text."""
    from playwright.sync_api import sync_playwright

    if found := [path for path in map(shutil.which, NAMES) if path]:
        return found[0]
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else ""


@contextlib.contextmanager
def chromium(camera: Path | None = None) -> Iterator:
    """Yield a headless browser; `camera` (MJPEG, or one JPEG) plays as its webcam."""
    from playwright.sync_api import sync_playwright

    film = [f"--use-file-for-fake-video-capture={camera}"] if camera else []
    path, flags = find(), [*FLAGS, *CAMERA, *film]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextlib.contextmanager
def running(app) -> Iterator[str]:
    """Serve a web app from a thread on a free loopback port; yield its address."""
    from fer_utils.apps.service.app import listen, server

    runner = server(app)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=runner.run, args=([listener],), daemon=True)
        thread.start()
        while not runner.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            runner.should_exit = True
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """What any static host does, without a line for each request."""

    def log_message(self, *_) -> None:
        pass


def serving(folder: Path):
    """Serve a folder from a thread on a free loopback port; yield its address."""
    return listening(functools.partial(Quiet, directory=folder))


@contextlib.contextmanager
def listening(handler) -> Iterator[str]:
    """Answer HTTP requests by a handler from a thread; yield the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # a page that left before its file came
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
