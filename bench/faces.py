"""Does accuracy suffer between the photo and the answer? Needs FER2013.

200 PrivateTest images, enlarged two to four times, are pasted into 512×512 canvases of
noise, gradient or blur. Prints how many are found, and the accuracy on those beside
that on the bare 48×48 images; before that, the time of each step on the portrait of the
astronaut, and the memory of the process.

    FER_DATA=path/of/fer2013 python bench/faces.py [--count 200] [--weights RUN]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import psutil
from PIL import Image
from tqdm.auto import tqdm

from fer_utils import Predictor, load_fer2013
from fer_utils.data import FER2013
from fer_utils.device import hardware
from fer_utils.photos import PORTRAIT, crop_faces, find_faces, open_photo

SIDE = 512


def background(kind: str, rng: np.random.Generator) -> Image.Image:
    """Return a grey canvas without a face."""
    if kind == "gradient":
        stripe = Image.linear_gradient("L").rotate(rng.choice([0, 90, 180, 270]))
        return stripe.resize((SIDE, SIDE))
    cells = SIDE if kind == "noise" else 8  # few, enlarged: soft blobs
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells), np.uint8))
    return noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def paste(face: np.ndarray, kind: str, rng: np.random.Generator):
    """Return a canvas with a face in it, and where (left, top, side)."""
    side = int(len(face) * rng.uniform(2, 4))
    left, top = (int(x) for x in rng.integers(0, SIDE - side, 2))
    canvas = background(kind, rng)
    enlarged = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(enlarged, (left, top))
    return canvas.convert("RGB"), (left, top, side)


def covers(box: tuple[int, int, int, int], place: tuple[int, int, int]) -> bool:
    """Say whether a box is the pasted face: most of it in the pasted square, not tiny.

    Overlap over union would mislead: some FER2013 images show a small face.
    """
    left, top, side = place
    width = min(box[2], left + side) - max(box[0], left)
    height = min(box[3], top + side) - max(box[1], top)
    shared = max(0, width) * max(0, height)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return shared > 0.6 * area and area > 0.1 * side * side


def milliseconds(step: Callable[[], object], times: int = 100) -> str:
    for _ in range(5):
        step()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - start))
    return (
        f"{np.median(taken):6.1f} ms (99th percentile {np.percentile(taken, 99):.1f})"
    )


def time_portrait(predictor: Predictor) -> None:
    data_bytes = PORTRAIT.read_bytes()
    photo = open_photo(data_bytes)
    faces = find_faces(photo)
    crops = crop_faces(photo, faces)
    print(f"\n{PORTRAIT.name}, 512×512 pixels, one face")
    for name, step in (
        ("open (JPEG)", lambda: open_photo(data_bytes)),
        ("find the face", lambda: find_faces(photo)),
        ("cut it out", lambda: crop_faces(photo, faces)),
        ("network, 1 view", lambda: predictor.probabilities(crops, 1)),
        ("network, 2 views", lambda: predictor.probabilities(crops, 2)),
        ("network, 6 views", lambda: predictor.probabilities(crops, 6)),
        ("all: bytes to answer", lambda: predictor.predict(data_bytes)),
    ):
        print(f"  {name:22} {milliseconds(step)}")
    print(f"  memory of the process  {psutil.Process().memory_info().rss / 1e6:.0f} MB")


def paste_all(predictor: Predictor, data: FER2013, usage: str, count: int) -> None:
    rows = np.flatnonzero(data.usage == usage)
    rng = np.random.default_rng(0)
    part = data.select(np.sort(rng.choice(rows, min(count, len(rows)), replace=False)))
    found, right, false = [], [], 0
    kinds = ("noise", "gradient", "blur")
    for i, image in enumerate(tqdm(part.images, leave=False, disable=None)):
        photo, where = paste(image, kinds[i % 3], rng)
        faces = predictor.predict(photo)
        hits = [face for face in faces if covers(face.box, where)]
        false += len(faces) - len(hits)
        if hits:
            found.append(i)
            right.append(hits[0].emotion == data.classes[part.labels[i]])
    if not found:
        print(f"\nno face found in {len(part)} images from {data.source}")
        return
    bare = predictor.probabilities(part.images).argmax(1) == part.labels
    print(f"\n{data}\n{len(part)} {usage} images in canvases of {SIDE}×{SIDE} pixels")
    print(f"  found                         {len(found) / len(part):.3f}")
    print(f"  other things taken for faces  {false}")
    print(f"  accuracy on the found ones    {np.mean(right):.3f}")
    print(f"  the same ones, bare 48×48     {bare[found].mean():.3f}")
    print(f"  all of them, bare 48×48       {bare.mean():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument(
        "--part", default="PrivateTest", help="PublicTest, to choose on"
    )
    parser.add_argument("--weights")
    options = parser.parse_args()
    predictor, place = Predictor.load(options.weights), hardware()
    print(f"{predictor}, {place['cpu']}, {place['cores']} cores")
    time_portrait(predictor)
    paste_all(predictor, load_fer2013(), options.part, options.count)


if __name__ == "__main__":
    main()
