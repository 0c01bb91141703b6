"""A photo to an answer: ours beside the package `fer` of PyPI (Justin Shenk).

    python bench/pypi_fer.py --python /path/of/venv/bin/python [--turns N] [--count N]

`fer` needs an environment of its own. Left alone, pip looks for versions for minutes;
these work with Python 3.11 (7 GB, most of it torch's CUDA, which stays unused here):

    python3.11 -m venv /path/of/venv
    /path/of/venv/bin/pip install "setuptools<80" "numpy<2" tensorflow-cpu==2.15.1 \\
        "opencv-python-headless<4.12" requests pillow pandas tqdm \\
        torch==2.14.1 torchvision==0.29.2
    /path/of/venv/bin/pip install --no-deps fer==25.10.3 facenet-pytorch==2.6.0

Both read the same PNG files, each in a process of its own, and take turns photo by
photo; the ratios are taken turn by turn. The seconds count from the file to the answer.
"CPU" is what all threads of a side compute meanwhile. With FER2013 (FER_DATA), faces
are pasted into canvases as bench/faces.py does: "found" is the share of them, and what
is right is the share of those found: by FER2013's label, and by the majority of FER+
(FER_VOTES) where there is one. "false": boxes elsewhere. Whether `fer` was trained on
the same images is not known.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from faces import BACKGROUNDS, covers, paste
from tqdm.auto import tqdm

from fer_utils.config import config
from fer_utils.data import FER2013, load_fer2013, majority
from fer_utils.device import hardware
from fer_utils.photos import PORTRAIT, open_photo

WAY, WARM_UP = "in a canvas", 5
WORKER = """
import json, os, sys, time
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print must not come between the answers

def say(what):
    print(json.dumps(what), file=answers, flush=True)

try:
    exec(sys.argv[1])
    say({"about": about, "sides": list(sides)})
    for line in sys.stdin:
        name, path = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        faces = sides[name](path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        say({"wall": wall, "cpu": cpu, "faces": faces})
except Exception as error:
    say({"error": f"{type(error).__name__}: {error}".splitlines()[0]})
"""
# Each sets `sides`, name → function from a path to [[left, top, right, bottom],
# emotion] of each face, and `about`: versions and threads.
THEIRS = """
from importlib.metadata import version
import cv2, tensorflow
from fer.fer import FER

def side(**options):
    detector = FER(**options)
    def answer(path):
        found = []
        for face in detector.detect_emotions(path):
            (x, y, w, h), chances = map(int, face["box"]), face["emotions"]
            found.append([[x, y, x + w, y + h], max(chances, key=chances.get)])
        return found
    return answer

sides = {"fer, Haar": side(), "fer, MTCNN": side(mtcnn=True)}
import torch
about = (
    f"fer {version('fer')}, TensorFlow {tensorflow.__version__}, "
    f"OpenCV {cv2.__version__} ({cv2.getNumThreads()} threads), "
    f"torch {torch.__version__} ({torch.get_num_threads()} threads)"
)
"""
OURS = """
import numpy, onnxruntime
from fer_utils.device import own_version
from fer_utils.photos import Predictor

predictor = Predictor.load()
def side(views=None):
    return lambda path: [
        [face.box, face.emotion] for face in predictor.predict(path, views=views)
    ]

sides = {f"ours, {predictor.views} views": side(), "ours, 2 views": side(2)}
about = (
    f"fer_utils {own_version() or 'source'}, "
    f"ONNX Runtime {onnxruntime.__version__} (1 thread), NumPy {numpy.__version__}"
)
"""


class Answer(NamedTuple):
    wall: float  # seconds
    cpu: float
    faces: list  # of [box, emotion]


class Worker:
    """A process that answers one photo at a time; ends the program if it cannot."""

    def __init__(self, process: subprocess.Popen, python: str, log):
        self.process, self.python, self.log = process, python, log
        hello = self._read()
        self.about, self.sides = hello["about"], hello["sides"]

    def ask(self, side: str, photo: Path) -> Answer:
        self.process.stdin.write(json.dumps([side, str(photo)]) + "\n")
        self.process.stdin.flush()
        return Answer(**self._read())

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:  # it crashed
            self.log.seek(0)
            error = (self.log.read().split("\n")[-2:] or [""])[0]
            sys.exit(f"{self.python} stopped: {error or 'it says no reason'}")
        answer = json.loads(line)
        if why := answer.get("error"):
            hint = "the commands at the top of bench/pypi_fer.py install what it needs"
            sys.exit(f"{self.python}: {why}; {hint}")
        return answer


@contextmanager
def worker(python: str, make: str, folder: Path) -> Iterator[Worker]:
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("OMP_NUM_THREADS", None)
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            [python, "-c", WORKER, make],
            stdin=pipe, stdout=pipe, stderr=log, cwd=folder, env=env, encoding="utf-8",
        ) as process,
    ):  # fmt: skip
        yield Worker(process, python, log)


def take_turns(
    workers: list[Worker], photos: Iterable[Path], what: str
) -> dict[str, list[Answer]]:
    """Return each side's answer to each photo."""
    sides = {side: worker for worker in workers for side in worker.sides}
    answers = {side: [] for side in sides}
    for photo in tqdm(photos, what, leave=False, disable=None):
        for side, asked in sides.items():
            answers[side].append(asked.ask(side, photo))
    return answers


def time_portrait(workers: list[Worker], folder: Path, turns: int) -> dict:
    """Return the columns of time for each side."""
    path = folder / "portrait.png"
    open_photo(PORTRAIT).save(path)
    take_turns(workers, [path] * WARM_UP, "warm up")
    answers = take_turns(workers, [path] * turns, "portrait")
    wall = {side: np.array([x.wall for x in given]) for side, given in answers.items()}
    usual, fewer = workers[-1].sides
    columns = {}
    for side, given in answers.items():
        cpu = [answer.cpu for answer in given]
        p50, p90 = np.percentile(wall[side], (50, 90))
        columns[side] = {
            "p50": f"{1e3 * p50:.1f}",
            "p90": f"{1e3 * p90:.1f}",
            "CPU": f"{1e3 * np.median(cpu):.1f}",
            "/ ours": f"{np.median(wall[side] / wall[usual]):.2f}",
            "/ 2 views": f"{np.median(wall[side] / wall[fewer]):.2f}",
            "faces": f"{np.median([len(x.faces) for x in given]):.0f}",
        }
    return columns


def score(workers: list[Worker], folder: Path, part: FER2013) -> dict:
    """Return the columns of faces found and of what is right, for each side."""
    rng, photos, places = np.random.default_rng(0), [], []
    for i, image in enumerate(part.images):
        photo, place = paste(image, WAY, BACKGROUNDS[i % 4], rng)
        photos.append(folder / f"{i}.png")
        photo.save(photos[-1])
        places.append(place)
    names = np.array(part.classes)
    people, clear = majority(part) if config.votes else (part.labels, [])
    columns = {}
    for side, answers in take_turns(workers, photos, WAY).items():
        rows, said, false = [], [], 0
        for i, (answer, place) in enumerate(zip(answers, places, strict=True)):
            hits = [emotion for box, emotion in answer.faces if covers(box, place)]
            false += len(answer.faces) - len(hits)
            if hits:
                rows.append(i)
                said.append(hits[0])
        said = np.array(said, names.dtype)
        by_label = said == names[part.labels[rows]]
        columns[side] = {
            "found": f"{len(rows) / len(part):.3f}",
            "FER2013": f"{by_label.mean():.3f}" if rows else "–",
        }
        if len(clear):
            by_people = (said == names[people[rows]])[clear[rows]]
            share = f"{by_people.mean():.3f}" if len(by_people) else "–"
            columns[side]["FER+"] = share
        columns[side]["false"] = str(false)
    return columns


def show(columns: dict[str, dict[str, str]]) -> str:
    (names, *_) = columns.values()
    lines = [f"{'':16}" + "".join(f"{name:>10}" for name in names)]
    for side, row in columns.items():
        lines.append(f"{side:16}" + "".join(f"{value:>10}" for value in row.values()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True, help="where `fer` is installed")
    parser.add_argument("--turns", type=int, default=100, help="calls (%(default)s)")
    parser.add_argument("--count", type=int, default=200, help="faces (%(default)s)")
    options = parser.parse_args()
    python = shutil.which(options.python)
    if not python:
        sys.exit(f"{options.python}: no interpreter there; check --python")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            worker(os.path.abspath(python), THEIRS, folder) as theirs,
            worker(sys.executable, OURS, folder) as ours,
        ):
            workers = [theirs, ours]
            print("{cpu}, {cores} cores, Python {python}".format(**hardware()))
            print(f"{theirs.about}\n{ours.about}")
            load = os.getloadavg()[0]
            print(f"load {load:.1f} before; OMP_WAIT_POLICY=PASSIVE for both\n")
            columns = time_portrait(workers, folder, options.turns)
            print(f"portrait, 512×512, PNG; ms; {options.turns} calls each, in turns")
            print(show(columns), flush=True)
            if not config.data:
                print("\nnothing to recognise; name FER2013 in FER_DATA")
                return
            data = load_fer2013()
            rows = np.flatnonzero(data.usage == "PrivateTest")
            count = min(options.count, len(rows))
            rows = np.random.default_rng(0).choice(rows, count, False)
            part = data.select(np.sort(rows))
            print(f"\n{count} faces of PrivateTest {WAY}; shares")
            print(show(score(workers, folder, part)))


if __name__ == "__main__":
    main()
