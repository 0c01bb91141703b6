"""The stress card of networks, kept on record (`python tools/stress.py [NETWORK ...]`).

    FER_DATA=... FER_VOTES=... python tools/stress.py
    python tools/stress.py people runs/cpu/mine-seed0

A network is `people` or `fer2013-labels` (both, if none is named), an .onnx or
.safetensors file, or a run's folder. Cards of other networks stay. The same 1,000
faces of PublicTest are shown as they are and changed; what counts as right is FER2013's
label, and, where votes are at hand, what more than half of ten people said.
"""

import argparse
import json
import sys

import numpy as np
from tqdm.auto import tqdm

from fer_utils.data import FER2013, load_fer2013, majority
from fer_utils.errors import FerError
from fer_utils.evaluation import AXES, Stress, mean_of_axes, stress_card
from fer_utils.files import write_atomic
from fer_utils.photos import Predictor
from fer_utils.shipped import SHIPPED
from suite import ROOT

FACES, VIEWS = 1000, 2
RECORD = ROOT / "report" / "stress.json"


def yardsticks(data: FER2013) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what counts as right: name → which faces bool [N], answers int [N]."""
    found = {"labels": (np.ones(len(data), bool), data.labels)}
    try:
        said, clear = majority(data)
    except FerError as error:
        tqdm.write(f"Labels only: {error}")
        return found
    return found | {"people": (clear, said)}


def card(predictor: Predictor, data: FER2013) -> dict[str, list[Stress]]:
    """Return a network's card for each yardstick."""
    levels = sum(len(axis.levels) for axis in AXES) + 1
    found = {}
    for name, (faces, answers) in yardsticks(data).items():
        bar = tqdm(total=levels, desc=name, leave=False)

        def predict(images: np.ndarray, bar: tqdm = bar) -> np.ndarray:
            bar.update()
            return predictor.probabilities(images, VIEWS)

        with bar:
            found[name] = stress_card(predict, data.images[faces], answers[faces])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=SHIPPED, metavar="NETWORK")
    networks = parser.parse_args().networks
    val = load_fer2013().split().val
    drawn = np.random.default_rng(0).permutation(len(val))[:FACES]
    faces = val.select(np.sort(drawn))
    record = {"faces": f"{len(faces):,} of PublicTest", "views": VIEWS, "cards": {}}
    if RECORD.is_file():
        before = json.loads(RECORD.read_text("utf-8"))
        record = before if before["faces"] == record["faces"] else record
    for name in networks:
        predictor = Predictor.load(name)
        cards = card(predictor, faces)
        record["cards"][predictor.model_name] = {
            yardstick: [each._asdict() for each in lines]
            for yardstick, lines in cards.items()
        }
        for yardstick, lines in cards.items():
            means = f"{lines[0].accuracy:.3f} as they are, {mean_of_axes(lines):.3f}"
            print(f"{predictor.model_name}, {yardstick}: {means} on changed faces")
    write_atomic(RECORD, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    try:
        main()
    except FerError as error:
        sys.exit(f"stress: {error}")
