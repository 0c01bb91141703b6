"""Are faces found wherever they are, and is the answer still right? Needs FER2013.

Faces of FER2013 are put into photos in several ways: into canvases of 640×480 and
1280×960 (60 to 200 pixels a side), upright and turned; so that one fills the picture
(200 to 400 pixels); 60 pixels small in 3000×2000. Behind them: plain grey, a gradient,
noise, or the astronaut's photo without her face. Prints how many are found, and the
accuracy on those beside that on the same images bare, 48×48; how often something else
is taken for a face; and the time of each step on the astronaut's portrait.

    FER_DATA=path/of/fer2013 python bench/faces.py [--count 200] [--part PublicTest]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fer_utils import Predictor, load_fer2013
from fer_utils.data import FER2013
from fer_utils.photos import PORTRAIT, crop_faces, find_faces, open_photo

CANVASES = [(640, 480), (1280, 960)]
BACKGROUNDS = ("plain", "gradient", "noise", "astronaut")
# Name → sides of the face in pixels, sizes of the canvas (None: the face fills it), and
# the angle in degrees.
WAYS = {
    "in a canvas": ((60, 200), CANVASES, 0),
    "turned by 15°": ((60, 200), CANVASES, 15),
    "turned by 30°": ((60, 200), CANVASES, 30),
    "turned by 45°": ((60, 200), CANVASES, 45),
    "fills the photo": ((200, 400), None, 0),
    "60 in 3000×2000": ((60, 60), [(3000, 2000)], 0),
}


def background(kind: str, size: tuple[int, int], rng: np.random.Generator):
    """Return a canvas without a face."""
    if kind == "plain":
        return Image.new("RGB", size, (int(rng.integers(256)),) * 3)
    if kind == "gradient":
        stripe = Image.linear_gradient("L").rotate(rng.choice([0, 90, 180, 270]))
        return stripe.resize(size).convert("RGB")
    if kind == "noise":
        shape = (size[1], size[0], 3)
        return Image.fromarray(rng.integers(0, 256, shape, np.uint8))
    portrait = open_photo(PORTRAIT)
    portrait.paste(portrait.crop((312, 0, 512, 230)), (125, 0))  # over her head
    return portrait.resize(size, Image.Resampling.BICUBIC)


def paste(face: np.ndarray, way: str, kind: str, rng: np.random.Generator):
    """Return a photo with a face in it, and where (left, top, side)."""
    sides, sizes, angle = WAYS[way]
    side = int(rng.integers(sides[0], sides[1] + 1))
    image = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    if sizes is None:
        return image.convert("RGB"), (0, 0, side)
    canvas = background(kind, sizes[rng.integers(len(sizes))], rng)
    room = int(np.ceil(side * (1 if angle == 0 else 1.42)))
    left, top = (int(rng.integers(0, length - room)) for length in canvas.size)
    angle *= int(rng.choice([-1, 1]))
    turned = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", image.size, 255).rotate(angle, expand=True)
    canvas.paste(turned.convert("RGB"), (left, top), mask)
    return canvas, (left, top, turned.width)


def covers(box: tuple[int, int, int, int], place: tuple[int, int, int]) -> bool:
    """Say whether a box is the pasted face: much the same place, not tiny, not huge.

    Overlap over union would mislead, in both directions. Some FER2013 images show a
    small face. Others show less than a face: they are cut between brow and chin, and
    the box of the whole face is about twice as large as the square.
    """
    left, top, side = place
    width = min(box[2], left + side) - max(box[0], left)
    height = min(box[3], top + side) - max(box[1], top)
    shared = max(0, width) * max(0, height)
    area, square = (box[2] - box[0]) * (box[3] - box[1]), side * side
    return shared > 0.6 * min(area, square) and 0.1 < area / square < 2.5


def find_all(predictor: Predictor, part: FER2013, way: str) -> list[str]:
    """Return a row: share found, accuracy on those, the same bare, false, time."""
    rng = np.random.default_rng(0)
    crops, found, false, seconds = [], [], 0, []
    for i, image in enumerate(tqdm(part.images, way, leave=False, disable=None)):
        photo, place = paste(image, way, BACKGROUNDS[i % 4], rng)
        start = time.perf_counter()
        faces = find_faces(photo)
        seconds.append(time.perf_counter() - start)
        hits = [face for face in faces if covers(face.box, place)]
        false += len(faces) - len(hits)
        if hits:
            found.append(i)
            crops.append(crop_faces(photo, hits[:1])[0])
    labels = part.labels[found]
    right = [
        (predictor.probabilities(images).argmax(1) == labels).mean() if found else 0
        for images in (np.array(crops), part.images[found])
    ]
    share, (pasted, bare) = len(found) / len(part), right
    numbers = (share, pasted, bare, pasted - bare)
    row = [f"{number:7.3f}" for number in numbers]
    return [f"{way:16}", *row, f"{false:6}", f"{1000 * np.median(seconds):7.0f} ms"]


def milliseconds(step: Callable[[], object], times: int) -> str:
    for _ in range(5):
        step()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - start))
    return (
        f"{np.median(taken):6.1f} ms (90th percentile {np.percentile(taken, 90):.1f})"
    )


def time_portrait(predictor: Predictor, times: int) -> None:
    data = PORTRAIT.read_bytes()
    photo = open_photo(data)
    faces = find_faces(photo)
    crops = crop_faces(photo, faces)
    print(f"\n{PORTRAIT.name}, 512×512 pixels, one face, {times} calls each")
    for name, step in (
        ("open (JPEG)", lambda: open_photo(data)),
        ("find the face", lambda: find_faces(photo)),
        ("cut it out", lambda: crop_faces(photo, faces)),
        ("name the expression", lambda: predictor.probabilities(crops)),
        ("all: bytes to answer", lambda: predictor.predict(data)),
    ):
        print(f"  {name:22} {milliseconds(step, times)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="faces (%(default)s)")
    parser.add_argument(
        "--part", default="PublicTest", help="%(default)s, to choose on, or PrivateTest"
    )
    parser.add_argument("--times", type=int, default=200, help="calls (%(default)s)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--weights", help="of a network; default: what ships")
    options = parser.parse_args()
    predictor, data = Predictor.load(options.weights), load_fer2013()
    rows = np.flatnonzero(data.usage == options.part)
    count = min(options.count, len(rows))
    part = data.select(np.sort(np.random.default_rng(0).choice(rows, count, False)))
    print(f"{count} faces of {options.part}, {predictor}")
    print(f"{'':16}   found  pasted    bare    diff  false   median time")
    for way in options.ways:
        print(*find_all(predictor, part, way), flush=True)
    if options.times:
        time_portrait(predictor, options.times)


if __name__ == "__main__":
    main()
