"""Ours beside the usual way, both in one run: a table, kept in report/runs/bench.json.

    FER_DATA=path/of/fer2013 python bench/compare.py [--quick | --beside]

Sides take turns, and the ratio is taken turn by turn: on a machine that others use too,
a ratio holds where seconds do not. "The usual way" is that of the references: images
opened, resized and augmented one by one (PIL, DataLoader), all gradients computed for a
frozen network, EfficientNet-B0 at 224 pixels. `--quick` shows that everything runs;
`--beside` measures only what two programs at once cost each other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import head
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.benchmark import Timer
from torch.utils.data import DataLoader
from torchvision.transforms import v2
from tqdm import tqdm

import fer_utils as fer
from fer_utils.device import best_precision, device, hardware
from fer_utils.files import write_atomic
from fer_utils.formats import duration
from fer_utils.models import Recognizer, load_model
from fer_utils.models.depthwise import DepthwiseConv2d
from fer_utils.photos import PORTRAIT, Predictor
from fer_utils.training import POLICIES, augment

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "report" / "runs" / "bench.json"
BATCH = 128
MOVES = v2.Compose(
    [
        v2.RandomHorizontalFlip(),
        v2.RandomAffine(12, (0.12, 0.12), (0.88, 1.12)),
    ]
)
TENSOR = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call, after two to warm up; waits for a GPU, too."""
    threads = torch.get_num_threads()
    return Timer("work()", globals={"work": work}, num_threads=threads).timeit(1).mean


def row(what: str, usual: Callable, ours: Callable, turns: int) -> dict:
    """Time both sides in turn."""
    pairs = [(seconds(usual), seconds(ours)) for _ in tqdm(range(turns), what)]
    return entry(what, "s", pairs)


def entry(what: str, unit: str, pairs: list[tuple[float, float]]) -> dict:
    """A row of the table: medians of both sides, and of the ratio turn by turn."""
    usual, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return {
        "what": what,
        "unit": unit,
        "usual": round(usual, 5),
        "ours": round(ours, 5),
        "ratio": round(ratio, 2),
        "turns": len(pairs),
    }


def pipeline(images: np.ndarray, turns: int) -> list[dict]:
    """One batch augmented: file by file, torchvision on the batch, ours."""
    files = head.Files(Part(images), images.shape[-1])
    files.transform = v2.Compose([v2.Grayscale(), MOVES, TENSOR])
    batch = torch.from_numpy(images).unsqueeze(1).to(device()) / 255

    def one_by_one():
        return next(iter(DataLoader(files, len(images))))

    def ours():
        return augment(batch, POLICIES["standard"])

    name = f"augment {len(images)} images"
    return [
        row(f"{name}: DataLoader and PIL", one_by_one, ours, turns),
        row(f"{name}: torchvision, per batch", lambda: MOVES(batch), ours, turns),
    ]


class Part:
    """What head.Files wants of a data set."""

    def __init__(self, images: np.ndarray):
        self.images, self.labels = images, np.zeros(len(images), np.int64)


def training(name: str, size: int, images: np.ndarray, turns: int) -> dict:
    """One training step of a network on a batch, input pipeline included."""
    labels = torch.zeros(len(images), dtype=torch.long, device=device())
    files = head.Files(Part(images), images.shape[-1])
    files.transform = v2.Compose([v2.Grayscale(), MOVES, TENSOR])
    resident = torch.from_numpy(images).unsqueeze(1).to(device())

    def trainer(plain: bool) -> Callable:
        torch.manual_seed(0)
        layout = torch.contiguous_format if plain else torch.channels_last
        model = Recognizer(name, input_size=size).to(device(), memory_format=layout)
        if plain:  # torch's own depthwise convolutions
            for layer in model.modules():
                if isinstance(layer, DepthwiseConv2d):
                    layer.__class__ = torch.nn.Conv2d
        precision = torch.float32 if plain else best_precision(device(), model)
        optimizer = torch.optim.SGD(model.train().parameters(), 0.01, 0.9)

        def step(batch: torch.Tensor) -> None:
            optimizer.zero_grad()
            mixed = precision == torch.bfloat16
            with torch.autocast(device().type, precision, enabled=mixed):
                logits = model(batch)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

        return step

    slow, fast = trainer(plain=True), trainer(plain=False)
    return row(
        f"train {name} on {len(images)} images at {size} px",
        lambda: slow(next(iter(DataLoader(files, len(images))))[0].to(device())),
        lambda: fast(augment(resident.float() / 255, POLICIES["standard"])),
        turns,
    )


@torch.inference_mode()
def inference(turns: int, sizes=(1, 8, 64)) -> list[dict]:
    """A face's answer: EfficientNet-B0 at 224 (reference A) beside the shipped one."""
    predictor = Predictor.load()
    usual = Recognizer("efficientnet-b0", input_size=224).eval()
    rows = []
    for size in sizes:
        faces = torch.randint(0, 256, (size, 1, 48, 48), dtype=torch.uint8)
        crops = faces[:, 0].numpy()
        sides = (
            lambda f=faces: usual(f).softmax(1),
            lambda f=crops: predictor.probabilities(f, views=1),
        )
        name = f"recognise {size} face{'s' * (size > 1)} at once, one view"
        rows.append(row(name, *sides, turns))
    return rows


MEMORY = """
import resource, sys, torch
from fer_utils.models import Recognizer
name, size, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = Recognizer(name, input_size=size).to(memory_format=torch.channels_last).train()
optimizer = torch.optim.Adam(model.parameters())
for _ in range(2):
    optimizer.zero_grad()
    model(torch.rand(batch, 1, 48, 48)).logsumexp(1).sum().backward()
    optimizer.step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""


def peak_memory() -> dict:
    """Training all layers: reference A's network and batch, and the shipped one's."""
    sides = []
    for side in (("efficientnet-b0", "224", "64"), (load_model().name, "48", "128")):
        command = [sys.executable, "-c", MEMORY, *side]
        sides.append(float(subprocess.check_output(command, encoding="utf-8")))
    return entry("peak memory of a training, B0 / shipped", "MB", [tuple(sides)])


STEPS = """
import statistics, sys, time
import fer_utils as fer
import torch
from fer_utils.models import Recognizer

if sys.argv[1] == "photo":
    predictor, photo = fer.Predictor.load(), open(sys.argv[2], "rb").read()
    step = lambda: predictor.predict(photo)
else:
    model = Recognizer("compact-cnn").to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images = torch.rand(128, 1, 48, 48)
    def step():
        optimizer.zero_grad()
        model(images).logsumexp(1).sum().backward()
        optimizer.step()

taken = []
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    step()
    taken.append(time.perf_counter() - start)
print(statistics.median(taken[2:]))
"""


@contextmanager
def neighbour() -> Iterator[None]:
    """Another process that keeps one core busy all the time."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside_others(turns: int) -> list[dict]:
    """A photo and a training step beside a busy process: threads that spin, and ours.

    `alone`: ours on a quiet machine.
    """
    rows = []
    for kind, what in (("photo", "answer a photo"), ("step", "a training step")):

        def median(policy: str, busy: bool, kind=kind) -> float:
            command = [sys.executable, "-c", STEPS, kind, str(PORTRAIT), str(turns + 6)]
            env = os.environ | {"OMP_WAIT_POLICY": policy}
            env.pop("GOMP_SPINCOUNT", None)  # set by the import of fer_utils above
            with neighbour() if busy else nullcontext():
                return float(
                    subprocess.check_output(command, encoding="utf-8", env=env)
                )

        what = f"{what} beside a busy process"
        pairs = [(median("ACTIVE", True), median("PASSIVE", True)) for _ in range(3)]
        alone = statistics.median(median("PASSIVE", False) for _ in range(3))
        where = "{cores} cores of {cpu}, torch {torch}".format(**hardware())
        more = {"alone": round(alone, 5), "where": where}
        rows.append(entry(what, "s", pairs) | more)
    return rows


def head_training(data: fer.FER2013, count: int) -> dict:
    """20 epochs of a head on a frozen Lite0 at 112 pixels: see bench/head.py."""
    train, val, _ = data.split()
    rng = np.random.default_rng(0)
    train = train.select(rng.permutation(len(train))[:count])
    val = val.select(rng.permutation(len(val))[: count // 2])
    ours, accuracy = head.ours(train, val, 112)
    usual, other = head.theirs(train, val, 112)
    found = entry(f"20 epochs of a head, {count} images", "s", [(usual, ours)])
    return found | {
        "val_accuracy": {"usual": round(other, 4), "ours": round(accuracy, 4)}
    }


def time_to(levels=(0.60, 0.659)) -> list[dict]:
    """The training from scratch that first reached each accuracy on PublicTest."""
    found = []
    for level in levels:
        times = [
            (passed, run)
            for run in fer.records().values()
            if (run.recipe.protocol, run.recipe.classes) == ("official", "all")
            and not (run.recipe.start or run.recipe.teacher or run.recipe.pretrained)
            and (passed := seconds_to(run, level))
        ]
        if times:
            passed, run = min(times, key=lambda pair: pair[0])
            found.append(
                {
                    "what": f"from scratch to {level:g} on PublicTest",
                    "run": run.recipe.name,
                    "seconds": round(passed),
                    "cpu": run.record.hardware.cpu,
                    "threads": run.record.hardware.threads,
                }
            )
    return found


def seconds_to(run: fer.Run, level: float) -> float | None:
    """Seconds until the end of the first epoch that reached the level; None: never."""
    passed = 0.0
    for epoch_ in run.history:
        passed += epoch_["seconds"]
        if epoch_["val_accuracy"] >= level:
            return passed
    return None


def show(rows: list[dict], reached: list[dict]) -> str:
    lines = [f"{'':48}{'usual':>10}{'ours':>10}{'ratio':>9}"]
    for r in rows:
        usual, ours = (
            duration(r[side]) if r["unit"] == "s" else f"{r[side]:,.0f} MB"
            for side in ("usual", "ours")
        )
        alone = f"  alone {duration(r['alone'])}" if "alone" in r else ""
        lines.append(f"{r['what']:48}{usual:>10}{ours:>10}{r['ratio']:8.1f}×{alone}")
    for r in reached:
        where = f"{r['run']}, {r['threads']} thread(s) of {r['cpu']}"
        lines.append(f"{r['what']:48}{'–':>10}{duration(r['seconds']):>10}  {where}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds; no record")
    parser.add_argument("--beside", action="store_true", help="only these two rows")
    options = parser.parse_args()
    quick = options.quick
    if options.beside:
        record = json.loads(RECORD.read_text("utf-8"))
        kept = [r for r in record["rows"] if "alone" not in r]
        record["rows"] = kept + (new := beside_others(9))
        print(show(new, []))
        keep(record)
        return
    data = fer.load_fer2013()
    images = data.split().train.images[: 32 if quick else BATCH]
    turns = 1 if quick else 9
    rows = pipeline(images, turns)
    rows.append(training("resnet18-48", 48, images, turns))
    rows.append(training("efficientnet-lite0", 96, images[: BATCH // 2], turns))
    rows += inference(turns)
    rows += beside_others(turns)
    rows.append(peak_memory())
    rows.append(head_training(data, 64 if quick else 512))
    reached = time_to()
    print(f"\n{hardware()}\n{show(rows, reached)}")
    if quick:
        return
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": hardware(),
        "data": data.source,
        "rows": rows,
        "time_to": reached,
    }
    keep(record)


def keep(record: dict) -> None:
    write_atomic(RECORD, (json.dumps(record, indent=1) + "\n").encode())
    print(f"kept in {RECORD.name}")


if __name__ == "__main__":
    main()
