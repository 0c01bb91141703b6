"""Chromium for tests and screenshots: the system's own, else one Playwright keeps."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing but the page under test: no sandbox (root in containers), no calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def missing() -> str:
    """Return why no browser can be started, or an empty text."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "Playwright is not installed: pip install playwright"
    return "" if find() else f"none of {', '.join(NAMES)} is installed"


def find() -> str:
    """Return the path of a Chromium, or an empty text."""
    from playwright.sync_api import sync_playwright

    found = filter(None, map(shutil.which, NAMES))
    if path := next(found, ""):
        return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else ""


@contextlib.contextmanager
def chromium(camera: Path | None = None) -> Iterator:
    """Yield a headless Playwright browser; `camera` (MJPEG file) plays as its webcam.

    A single JPEG is a valid MJPEG of one frame; it repeats.
    """
    from playwright.sync_api import sync_playwright

    flags = [*FLAGS, *CAMERA]
    if camera:
        flags.append(f"--use-file-for-fake-video-capture={camera}")
    path = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
