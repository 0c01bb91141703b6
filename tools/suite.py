"""Train every recipe on record again and draw the report from it (`make suite`).

    python tools/suite.py [RECIPE ...] [--profile cpu|full] [--minutes M]

What is finished is skipped, what was stopped goes on, what fails is named at the end.
Where a machine can be had for minutes only, `--minutes` stops in time; the same command
goes on from the last whole epoch. On a GPU, records first and then the references:

    python tools/suite.py --profile full --minutes 9 record-resnet18 record-vgg sprint
    python tools/suite.py --profile full --minutes 9 a-longer c-augmented d-avg d-max
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from shutil import copy
from typing import NamedTuple

from fer_utils.data import FER2013, load_fer2013
from fer_utils.device import profile
from fer_utils.errors import FerError
from fer_utils.formats import duration
from fer_utils.training import Recipe, Run, recipe, recipe_names
from fer_utils.training.folders import home
from fer_utils.training.record import Record
from fer_utils.training.runs import fingerprint

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "report" / "runs"


class Job(NamedTuple):
    recipe: Recipe
    folder: Path  # where it is trained
    kept: Path  # where its record is kept
    before: Record | None  # the record of an earlier time, if there is one

    @property
    def title(self) -> str:
        seed = f", seed {self.recipe.seed}" if self.recipe.seed else ""
        return f"{self.recipe.name}{seed}"

    def on_record(self) -> str:
        """How long the training took that is on record, and on what."""
        if not self.before:
            return "not on record yet"
        changed = self.before.recipe.with_(why="") != self.recipe.with_(why="")
        return f"took {self.before.took}" + ", with other settings" * changed


def plan(names: Iterable[str], chosen: str, records: Path, runs: Path) -> list[Job]:
    """Return the trainings of a profile in an order in which they can be done.

    A recipe (all, without `names`) comes with every seed that is on record, else with
    seed 0, and after the recipes that it starts from or learns from.
    """
    kept = [Run.load(path.parent) for path in sorted(records.glob("*/run.json"))]
    kept = [run for run in kept if run.record.profile == chosen]
    known = {(run.recipe.name, run.recipe.seed): run for run in kept}
    jobs: dict[tuple[str, int], Job] = {}

    def add(name: str, seed: int) -> None:
        one = recipe(name, chosen, seed=seed)
        for earlier in needs(one):
            add(*earlier)
        before = known.get((name, seed))
        place = before.folder if before else free_folder(one, chosen, records)
        record = before and before.record
        jobs[name, seed] = Job(one, runs / f"{name}-seed{seed}", place, record)

    for name in names or recipe_names():
        for seed in sorted(s for n, s in known if n == name) or [0]:
            add(name, seed)
    return list(jobs.values())


def needs(one: Recipe) -> list[tuple[str, int]]:
    """Return recipe and seed of the runs this one starts from, or has as teachers."""
    named = [one.start, *(name.strip() for name in one.teacher.split(","))]
    parts = [re.fullmatch(r"(.*?)(?:-seed([0-9]+))?", name).groups() for name in named]
    known = recipe_names()
    return [(name, int(seed or one.seed)) for name, seed in parts if name in known]


def free_folder(chosen: Recipe, profile_name: str, records: Path) -> Path:
    """Return where a new record belongs: the laptop's seed 0 has the bare name."""
    bare = records / chosen.name
    if (profile_name, chosen.seed) == ("cpu", 0) and not bare.exists():
        return bare
    suffix = "" if profile_name == "cpu" else f"-{profile_name}"
    return records / f"{chosen.name}-seed{chosen.seed}{suffix}"


def is_scored(run: Run) -> bool:
    return run.finished and {"val", "test"} <= run.record.scores.keys()


def is_done(job: Job, data: FER2013) -> bool:
    """Whether its run is finished and scored; `FerError` if another is in its place."""
    if not (job.folder / "run.json").exists():
        return False
    run, parts = Run.load(job.folder), job.recipe.split(data)
    run.check_same(job.recipe, fingerprint(parts.train, parts.val))
    return is_scored(run)


def keep(run: Run, folder: Path) -> None:
    """Copy a finished run's record, without its weights, to where the report reads."""
    if not is_scored(run):
        raise FerError(f"{run.folder}: not finished and scored; `fer train` it")
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("predictions.npz", "run.json"):
        copy(run.folder / file, folder)


class OutOfTime(Exception):
    """The minutes that were asked for are over."""


def train_apart(job: Job, chosen: str, source: str | None, end: float) -> int:
    """Return the exit code of `fer train`: its own process gives all memory back.

    At `end`, in seconds of `time.monotonic`, it is stopped, and `OutOfTime` raised.
    """
    if end <= time.monotonic():
        raise OutOfTime
    command = [sys.executable, "-m", "fer_utils", "train", job.recipe.name]
    command += ["--set", f"seed={job.recipe.seed}", "--folder", str(job.folder)]
    command += ["--data", source] if source else []
    env = os.environ | {"FER_PROFILE": chosen}
    process = subprocess.Popen(command, env=env)
    try:
        return process.wait(end - time.monotonic() if end < inf else None)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        raise OutOfTime from None
    except KeyboardInterrupt:  # the terminal tells both: let it put its things in order
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        raise
    finally:
        process.terminate()  # does nothing where it has ended


def run_suite(jobs: list[Job], data: FER2013, train: Callable[[Job], int]) -> list[str]:
    """Do what is not done, but nothing that needs a failed one; return what failed."""
    failed: dict[tuple[str, int], str] = {}
    for number, job in enumerate(jobs, 1):
        print(f"\n[{number}/{len(jobs)}] {job.title}: {job.on_record()}", flush=True)
        try:
            if missing := [name for name in needs(job.recipe) if name in failed]:
                raise FerError(f"needs {missing[0][0]}, which failed")
            if is_done(job, data):
                print(f"done before, in {job.folder}")
            elif code := train(job):
                raise FerError(f"fer train ended with exit code {code}")
            keep(Run.load(job.folder), job.kept)
        except FerError as error:
            failed[job.recipe.name, job.recipe.seed] = f"{job.title}: {error}"
            print(f"{job.title}: {error}")
    return list(failed.values())


def suite(
    names: list[str], chosen: str, source: str | None, records: Path, end: float = inf
) -> int:
    """Train, keep, draw the report; return the exit code."""
    data = load_fer2013(source)
    if (chosen == "quick" or data.drawn) and records == RECORDS:
        why = "these are no scores to keep on record. Set FER_DATA and --profile cpu or"
        why += " full, or name a folder with --records"
        raise FerError(f"profile {chosen}, {data.source}: {why}")
    jobs = plan(names, chosen, records, home(data, chosen))
    known = [job.before.seconds for job in jobs if job.before]
    print(f"{data}\nprofile {chosen}: {len(jobs)} trainings, records in {records}")
    print(f"{len(known)} of them are on record; they took {duration(sum(known))}")
    failed = run_suite(jobs, data, lambda job: train_apart(job, chosen, source, end))
    print(f"\n{len(jobs) - len(failed)} of {len(jobs)} records kept in {records}")
    draw = [sys.executable, "-m", "report.build"]
    if records == RECORDS and subprocess.call(draw, cwd=ROOT):
        failed.append("the report")
    if failed:
        text = "\n  ".join(["the same command tries again what failed:", *failed])
        print(f"suite: {text}", file=sys.stderr)
    return int(bool(failed))


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # a Windows terminal may lack →
        stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser("suite", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="RECIPE", help="these only")
    parser.add_argument("--profile", help="full or cpu; without it, by hardware")
    parser.add_argument("--data", help="as for `fer data`; without it FER_DATA")
    parser.add_argument("--minutes", type=float, default=inf, help="then stop")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where to keep")
    given = parser.parse_args()
    try:
        chosen = given.profile or profile()
        end = time.monotonic() + 60 * given.minutes
        return suite(given.names, chosen, given.data, given.records.resolve(), end)
    except (KeyboardInterrupt, OutOfTime):
        print("\nsuite: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except FerError as error:
        print(f"suite: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
