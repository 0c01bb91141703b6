"""Does the page without a server answer as Python does, and how fast? Needs FER2013.

Faces are shown to both: bare, as PNG of 48×48 pixels, and pasted into photos as in
bench/faces.py, saved as JPEG. Prints how often both see the same faces and call them by
the same name, and by how much their probabilities and boxes differ; then the time of
both for a photo, and the frames per second that the page reads from a camera.

    PYTHONPATH=tools FER_DATA=path/of/fer2013 python bench/in_browser.py [--count 500]
"""

import argparse
import base64
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from faces import BACKGROUNDS, WAYS, paste
from PIL import Image
from tqdm.auto import tqdm

import try_page
from browser import chromium, serving
from fer_utils import Predictor, load_fer2013
from fer_utils.data import FER2013
from fer_utils.photos import PORTRAIT, Face

# Answers one photo in the page's own steps, from the file's bytes on; and says how long
# all but the decoding took.
ANSWER = """async (data) => {
  const { Recogniser } = await import(`${location.origin}/recognise.js`);
  const { pixelsOf } = await import(`${location.origin}/photo.js`);
  const { fromCanvas } = await import(`${location.origin}/pixels.js`);
  window.recogniser ??= Recogniser.load();
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const { rgba, width, height } = await pixelsOf(new Blob([bytes]));
  const recogniser = await window.recogniser;
  const start = performance.now();
  const faces = await recogniser.recognise(fromCanvas(rgba, width, height));
  return [faces, performance.now() - start];
}"""


def in_browser(page, photo: bytes) -> tuple[list[dict], float]:
    """Return the page's faces of a photo, and the milliseconds that it took."""
    return page.evaluate(ANSWER, base64.b64encode(photo).decode())


def differences(ours: list[Face], theirs: list[dict]) -> tuple[bool, float, float]:
    """Return whether all names agree; the largest gap of probabilities, and of boxes.

    Gaps are infinite if one sees more faces than the other; boxes are in pixels.
    """
    if len(ours) != len(theirs):
        return False, np.inf, np.inf
    same, gap, moved = True, 0.0, 0.0
    for our, their in zip(ours, theirs, strict=True):
        table = their["probabilities"]
        same &= max(table, key=table.get) == our.emotion
        gap = max(gap, *(abs(table[name] - p) for name, p in our.probabilities.items()))
        moved = max(moved, *np.abs(np.subtract(our.box, their["box"])))
    return same, float(gap), float(moved)


def encoded(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def compare(page, predictor: Predictor, part: FER2013, way: str) -> list[str]:
    """Return a row: same faces, same names, gaps within 0.02, largest gaps, times."""
    rng = np.random.default_rng(0)
    rows, ours_ms, theirs_ms = [], [], []
    for i, face in enumerate(tqdm(part.images, way, leave=False, disable=None)):
        if way == "bare":
            photo = encoded(Image.fromarray(face), "PNG")
        else:
            canvas, _ = paste(face, way, BACKGROUNDS[i % len(BACKGROUNDS)], rng)
            photo = encoded(canvas, "JPEG", quality=90)
        start = time.perf_counter()
        ours = predictor.predict(photo)
        ours_ms.append(1000 * (time.perf_counter() - start))
        theirs, taken = in_browser(page, photo)
        theirs_ms.append(taken)
        rows.append(differences(ours, theirs))
    same, gaps, moved = (np.array(column) for column in zip(*rows, strict=True))
    counted = np.isfinite(gaps)
    shares = (counted.mean(), same.mean(), (gaps <= 0.02).mean())
    return [
        f"{way:16}",
        *(f"{share:8.2%}" for share in shares),
        f"{gaps[counted].max():9.5f} {moved[counted].max():6.0f}",
        f"{np.median(ours_ms):7.0f} {np.median(theirs_ms):7.0f}",
    ]


def frames_per_second(page, seconds: float = 10) -> str:
    """Return what the page itself says after some time in front of the camera."""
    page.get_by_role("button", name="Use camera").click()
    page.wait_for_selector("#rate:visible")
    page.wait_for_timeout(1000 * seconds)
    return page.locator("#rate").inner_text()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500, help="faces (%(default)s)")
    ways = ["bare", *WAYS]
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways[:3])
    options = parser.parse_args()
    predictor, data = Predictor.load(), load_fer2013()
    rows = np.flatnonzero(data.usage == "PrivateTest")
    count = min(options.count, len(rows))
    part = data.select(np.sort(np.random.default_rng(0).choice(rows, count, False)))
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "camera.mjpeg")
        film.write_bytes(PORTRAIT.read_bytes())
        site = try_page.build(Path(folder, "site"))
        with serving(site) as url, chromium(camera=film) as browser:
            page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("body:not(.busy)")
            print(f"{count} faces of PrivateTest, {predictor}")
            print(f"{'':16}   faces    names  ≤ 0.02  largest gap, px  ms here, there")
            for way in options.ways:
                print(*compare(page, predictor, part, way), flush=True)
            print(f"camera: {frames_per_second(page)}")


if __name__ == "__main__":
    main()
