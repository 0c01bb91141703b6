"""Every run on record, trained again: what the report is made of (`fer suite`)."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from shutil import copy
from typing import Any, NamedTuple

from .config import FerError, config, profile
from .data import FER2013
from .recipes import Recipe, recipe, recipe_names
from .run import Run, fingerprint
from .run import records as all_records

COURSE = Path(__file__).parents[1]
RECORDS = COURSE / "report" / "runs"  # in a clone of the course; not in a package


class Job(NamedTuple):
    """One training of the suite."""

    recipe: Recipe
    folder: Path  # where it is trained
    record: Path  # where its record is kept
    before: dict[str, Any] | None  # the record of an earlier time, if there is one

    @property
    def title(self) -> str:
        seed = f", seed {self.recipe.seed}" if self.recipe.seed else ""
        return f"{self.recipe.name}{seed}"


def plan(names: Iterable[str], chosen: str, records: Path) -> list[Job]:
    """Return the trainings of a profile in an order in which they can be done.

    `names`: recipes, all if empty. A recipe comes with every seed that is on record, in
    `records` or with the course, else with seed 0; and after the recipes that it starts
    from or learns from. `FerError` for unknown names and damaged records.
    """
    kept = [Run.load(path.parent) for path in sorted(records.glob("*/run.json"))]
    here, course = (
        {
            (run.recipe.name, run.recipe.seed): run
            for run in runs
            if run.record.get("profile") == chosen
        }
        for runs in (kept, all_records().values())
    )
    # Runs of another profile than this machine's own get a folder for themselves.
    home = config.runs if chosen == profile() else config.runs / chosen
    jobs: dict[tuple[str, int], Job] = {}

    def add(name: str, seed: int) -> None:
        one = recipe(name, chosen, seed=seed)
        for earlier in needs(one):
            add(*earlier)
        stored = here.get((name, seed))
        record = stored.folder if stored else free_folder(one, chosen, records)
        before = stored or course.get((name, seed))
        folder = home / f"{name}-seed{seed}"
        job = Job(one, folder, record, before and before.record)
        jobs.setdefault((name, seed), job)

    for name in names or recipe_names():
        seeds = ([s for n, s in known if n == name] for known in (here, course))
        for seed in sorted(next(filter(None, seeds), [0])):
            add(name, seed)
    return list(jobs.values())


def needs(one: Recipe) -> list[tuple[str, int]]:
    """Return recipe and seed of the runs this one starts from, or has as teachers."""
    named = [one.start, *(name.strip() for name in one.teacher.split(","))]
    matches = [re.fullmatch(r"(.+?)(?:-seed([0-9]+))?", name) for name in named]
    return [
        (match[1], int(match[2] or one.seed))
        for match in matches
        if match and match[1] in recipe_names()
    ]


def free_folder(chosen: Recipe, profile_name: str, records: Path) -> Path:
    """Return where a record that is not there yet belongs.

    The laptop's seed 0 stands under the bare name; `full` has its own beside it.
    """
    first = (profile_name, chosen.seed) == ("cpu", 0)
    if first and not (records / chosen.name).exists():
        return records / chosen.name
    suffix = "" if profile_name == "cpu" else f"-{profile_name}"
    return records / f"{chosen.name}-seed{chosen.seed}{suffix}"


def is_done(job: Job, data: FER2013) -> bool:
    """Whether the run of this recipe and data is there, finished and scored.

    `FerError` if the folder holds another run.
    """
    if not (job.folder / "run.json").exists():
        return False
    run = Run.load(job.folder)
    one = job.recipe
    run.check_same(
        one, {"fingerprint": _fingerprint(data, one.classes, one.protocol, one.seed)}
    )
    return run.finished and {"val", "test"} <= run.record["scores"].keys()


@cache
def _fingerprint(data: FER2013, classes: str, protocol: str, seed: int) -> str:
    selected = data if classes == "all" else data.with_classes(classes)
    parts = selected.split(protocol, seed)
    return fingerprint(parts.train, parts.val)


def keep(run: Run, folder: Path) -> None:
    """Copy a finished run's record, without its weights, to where the report reads."""
    if not run.finished or not {"val", "test"} <= run.record["scores"].keys():
        raise FerError(f"{run.folder}: not finished and scored; `fer train` it")
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("predictions.npz", "run.json"):
        copy(run.folder / file, folder)


def train_apart(job: Job, chosen: str, source: str | None) -> int:
    """Train and score in a process of its own (`fer train`); return its exit code.

    Memory comes back in full, and whatever happens there leaves this process alone.
    """
    command = [sys.executable, "-m", "fer_utils.cli", "train", job.recipe.name]
    command += ["--set", f"seed={job.recipe.seed}", "--folder", str(job.folder)]
    command += ["--data", source] if source else []
    env = os.environ | {"FER_PROFILE": chosen, "FER_RUNS": str(job.folder.parent)}
    process = subprocess.Popen(command, env=env)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal tells both: let it put its things in order
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        raise
    finally:
        if process.poll() is None:
            process.terminate()


def run_suite(
    jobs: list[Job],
    data: FER2013,
    train: Callable[[Job], int],
    say: Callable[[str], None] = print,
) -> list[str]:
    """Do all jobs that are not done, keep every record; return what failed, and why.

    A recipe that needs a failed one is left out. `KeyboardInterrupt` passes through:
    what was finished is kept, what was begun goes on at the next call.
    """
    failed: dict[tuple[str, int], str] = {}
    for number, job in enumerate(jobs, 1):
        key = job.recipe.name, job.recipe.seed
        say(f"\n[{number}/{len(jobs)}] {job.title}: {on_record(job)}")
        try:
            for earlier in needs(job.recipe):
                if earlier in failed:
                    raise FerError(f"needs {earlier[0]}, which failed")
            if is_done(job, data):
                say(f"done before, in {job.folder}")
            elif code := train(job):
                raise FerError(f"fer train ended with exit code {code}")
            keep(Run.load(job.folder), job.record)
        except FerError as error:
            failed[key] = f"{job.title}: {error}"
            say(failed[key])
    return list(failed.values())


def on_record(job: Job) -> str:
    """How long the training took that is on record, and on what."""
    if not job.before:
        return "not on record yet"
    changed = {**job.before["recipe"], "why": ""} != {**asdict(job.recipe), "why": ""}
    other = ", with other settings" if changed else ""
    return f"took {took(job.before)}{other}"


def took(record: dict[str, Any]) -> str:
    """Seconds and hardware of a record, as people say them."""
    where = record["hardware"]
    threads = where.get("threads", where["cores"])
    device = where["device"]
    if device == "cpu":
        device = f"CPU, {threads} thread{'s' * (threads > 1)}"
    return f"{duration(record['seconds'])} ({device})"


def duration(seconds: float) -> str:
    """Seconds as people say them: 3.4 ms, 2.5 s, 84 s, 34 min, 2.3 h."""
    if 0 < seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
