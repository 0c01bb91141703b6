"""Photograph the web page for the report (`python tools/screenshots.py`).

Writes page.png, request.png and response.png to report/images/; `--all FOLDER` every
state in two sizes, light and dark, to look at.
"""

import argparse
from pathlib import Path

from PIL import Image

from browser import chromium, running
from fer_utils.apps.service import create_app
from fer_utils.photos import PORTRAIT, Predictor

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


def photograph(browser, url: str, folder: Path, size: str, scheme: str) -> None:
    """Save the page as it opens, with a photo on its way, and with the answer."""
    viewport = dict(zip(("width", "height"), SIZES[size], strict=True))
    page = browser.new_page(viewport=viewport, color_scheme=scheme)

    def save(name: str) -> None:
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        # Few colours, small files; MAXCOVERAGE keeps those of the small bars true.
        colours = Image.open(path).convert("RGB")
        colours = colours.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
        colours.save(path, optimize=True)

    page.goto(url)
    page.get_by_text("Model:").wait_for()
    save("page")
    held = []  # the request waits here while its picture is taken
    page.route("**/predict", lambda route: held.append(route))
    page.set_input_files("#file", PORTRAIT)
    page.wait_for_selector("#photo:visible")
    while not held:
        page.wait_for_timeout(20)
    save("request")
    held[0].continue_()
    page.wait_for_selector("body:not(.busy)")
    page.wait_for_timeout(400)  # the bars grow
    save("response")
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    wanted = {ROOT / "report" / "images": ("desk", "light")}
    if options.all:
        views = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
        wanted = {options.all / "-".join(view): view for view in views}
    with running(create_app(Predictor.load())) as url, chromium() as browser:
        for folder, (size, scheme) in wanted.items():
            folder.mkdir(parents=True, exist_ok=True)
            photograph(browser, url, folder, size, scheme)
            print(folder)


if __name__ == "__main__":
    main()
