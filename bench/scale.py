"""How many photos a second: the plain loop, and Ray on one core and on all.

    FER_DATA=... python bench/scale.py [--photos 5000]

The photos are PublicTest faces on grey canvases of 320x240 pixels. The last row loses
a worker half-way; every photo has to be answered exactly once all the same.
"""

import argparse
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from PIL import Image

from fer_utils.apps import predict_ray
from fer_utils.apps.predict_files import find_photos
from fer_utils.data import load_fer2013
from fer_utils.device import hardware
from fer_utils.photos import Predictor, open_photo


def make_photos(folder: Path, count: int) -> None:
    """Write JPEG files of a face each, at one of several places and sizes."""
    faces = load_fer2013().split().val.images
    rng = np.random.default_rng(0)
    for number in range(count):
        side = int(rng.integers(70, 160))
        face = Image.fromarray(faces[number % len(faces)]).resize((side, side))
        canvas = Image.new("L", (320, 240), 128)
        canvas.paste(face, tuple(rng.integers(0, (320 - side, 240 - side)).tolist()))
        canvas.save(folder / f"{number:06}.jpg", quality=90)


def plain_loop(predictor: Predictor, folder: Path, most: int) -> float:
    """Photos a second, one after the other in this process."""
    names = [name for name, _ in find_photos([str(folder)])][:most]
    start = time.perf_counter()
    for name in names:
        predictor.predict(open_photo(name))
    return len(names) / (time.perf_counter() - start)


def with_ray(predictor: Predictor, folder: Path, cores: int, kill: bool) -> tuple:
    """Photos a second, those answered, and how often a photo was answered at most."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "tables")
        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        if kill:
            threading.Thread(target=kill_a_worker, args=[out], daemon=True).start()
        start = time.perf_counter()
        predict_ray.predict_with_ray(predictor, [str(folder)], out)
        taken = time.perf_counter() - start
        ray.shutdown()
        tables = [pq.read_table(path) for path in sorted(out.iterdir())]
    first = [table.filter(pc.field("face") <= 1)["photo"] for table in tables]
    count = Counter(name for names in first for name in names.to_pylist())
    return len(count) / taken, len(count), max(count.values())


def kill_a_worker(out: Path) -> None:
    """Kill a process that finds faces, once the first half of the tables is there."""
    while not out.exists() or len(list(out.glob("*.parquet"))) < 2:
        time.sleep(0.1)
    for process in psutil.process_iter(["cmdline"]):
        if "ray::MapBatches(find)" in " ".join(process.info["cmdline"] or []):
            process.send_signal(signal.SIGKILL)
            print(f"killed worker {process.pid}")
            return


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=5000)
    count = parser.parse_args().photos
    predictor, cores = Predictor.load(), psutil.cpu_count()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_photos(folder, count)
        loop = plain_loop(predictor, folder, min(count, 1000))
        rows = {"plain loop": (loop, min(count, 1000), 1)}
        rows["Ray, 1 core"] = with_ray(predictor, folder, 1, False)
        rows[f"Ray, {cores} cores"] = with_ray(predictor, folder, cores, False)
        rows["the same, a worker killed"] = with_ray(predictor, folder, cores, True)
    print("\n{cpu}, {cores} cores, Python {python}\n".format(**hardware()))
    print("|                           | photos/s | to the loop | answered | times |")
    print("|---------------------------|---------:|------------:|---------:|------:|")
    for name, (rate, answered, most) in rows.items():
        ratio = f"{rate / loop:.2f}"
        print(f"| {name:25} | {rate:8.1f} | {ratio:>11} | {answered:8,} | {most:5} |")


if __name__ == "__main__":
    main()
