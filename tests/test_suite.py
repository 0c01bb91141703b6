"""`fer suite`: every record again, in order, resumable; failures in one clear line."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fer_utils import suite
from fer_utils.config import FerError
from fer_utils.data import load_fer2013
from fer_utils.recipes import recipe_names
from fer_utils.run import Run
from fer_utils.suite import Job, duration, plan, run_suite, took

BEFORE = {
    "hardware": {"device": "cpu", "cores": 2, "threads": 1},
    "history": [],
    "scores": {},
    "data": {},
}


def put_record(folder: Path, name: str, seed: int = 0, profile: str = "quick") -> None:
    """A record of an earlier time: half an hour on one thread."""
    recipe = suite.recipe(name, profile, seed=seed)
    record = BEFORE | {"recipe": suite.asdict(recipe), "profile": profile}
    record |= {"finished": None, "seconds": 1800.0}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record))


def names(jobs: list[Job]) -> list[tuple[str, int]]:
    return [(job.recipe.name, job.recipe.seed) for job in jobs]


def test_all_recipes_in_an_order_that_works(tmp_path):
    jobs = plan([], "cpu", tmp_path)
    assert {name for name, _ in names(jobs)} == set(recipe_names())
    order = [name for name, _ in names(jobs)]
    assert order.index("a-head") < order.index("a-fine-tuned")
    assert len(set(names(jobs))) == len(jobs)


def test_a_recipe_comes_after_the_one_it_starts_from(tmp_path):
    jobs = plan(["a-fine-tuned", "a-head"], "quick", tmp_path)
    assert names(jobs) == [("a-head", 0), ("a-fine-tuned", 0)]


def test_every_seed_on_record_and_its_folder(tmp_path):
    put_record(tmp_path / "compact-cnn", "compact-cnn", 2, "cpu")
    put_record(tmp_path / "compact-cnn-seed1", "compact-cnn", 1, "cpu")
    put_record(tmp_path / "compact-cnn-seed7-full", "compact-cnn", 7, "full")
    jobs = plan(["compact-cnn"], "cpu", tmp_path)
    assert names(jobs) == [("compact-cnn", 1), ("compact-cnn", 2)]
    assert [job.record.name for job in jobs] == ["compact-cnn-seed1", "compact-cnn"]
    (full,) = plan(["compact-cnn"], "full", tmp_path)
    assert (full.recipe.seed, full.record.name) == (7, "compact-cnn-seed7-full")


def test_a_new_record_leaves_others_alone(tmp_path):
    (job,) = plan(["resnet9"], "cpu", tmp_path)
    assert job.record == tmp_path / "resnet9"
    (job,) = plan(["resnet9"], "full", tmp_path)
    assert job.record == tmp_path / "resnet9-seed0-full"
    put_record(tmp_path / "resnet9", "resnet9", 0, "full")
    (job,) = plan(["resnet9"], "cpu", tmp_path)
    assert job.record == tmp_path / "resnet9-seed0"


def test_profiles_do_not_share_runs(tmp_path, monkeypatch):
    (quick,) = plan(["resnet9"], "quick", tmp_path)
    (cpu,) = plan(["resnet9"], "cpu", tmp_path)
    assert cpu.folder.parent == quick.folder.parent / "cpu"
    assert cpu.folder.name == quick.folder.name == "resnet9-seed0"


def test_seeds_and_times_of_the_course_where_no_record_is_yet(tmp_path):
    """As in an installed package, whose new records lie elsewhere."""
    jobs = plan(["compact-cnn"], "cpu", tmp_path / "new")
    assert [job.recipe.seed for job in jobs] == [0, 1, 2]
    assert all("min (CPU, " in suite.on_record(job) for job in jobs)
    assert {job.record.parent for job in jobs} == {tmp_path / "new"}
    assert len({job.record for job in jobs}) == 3


def test_unknown_names(tmp_path):
    with pytest.raises(FerError, match="no recipe 'resnet'; recipes: "):
        plan(["resnet"], "cpu", tmp_path)
    with pytest.raises(FerError, match="no profile 'gpu'; profiles: full"):
        plan([], "gpu", tmp_path)


def test_teachers_come_first(tmp_path):
    names = [job.recipe.name for job in plan(["distilled"], "full", tmp_path)]
    assert names == ["record-resnet18", "record-vgg", "distilled"]
    jobs = plan(["taught"], "cpu", tmp_path)  # it names the seeds of its teachers
    assert [job.title for job in jobs] == [
        "wide-cnn",
        "deep-cnn",
        "compact-cnn, seed 2",
        "taught",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0034, "3.4 ms"),
        (0, "0 s"),
        (2.49, "2.5 s"),
        (83.6, "84 s"),
        (99.6, "2 min"),
        (2040, "34 min"),
        (8280, "2.3 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_hardware_in_words():
    gpu = {"seconds": 60, "hardware": {"device": "Tesla T4", "cores": 2}}
    assert took(gpu) == "60 s (Tesla T4)"
    assert took(BEFORE | {"seconds": 1800}) == "30 min (CPU, 1 thread)"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Two trainings; the second starts from the first, which is on record."""
    put_record(tmp_path / "records" / "a-head", "a-head")
    found = plan(["a-fine-tuned"], "quick", tmp_path / "records")
    return [job._replace(folder=tmp_path / "runs" / job.title) for job in found]


@pytest.fixture(scope="module")
def data():
    return load_fer2013("sample")


def pretend(job: Job, data) -> int:
    """Leave a finished run behind, as `fer train` does."""
    one = job.recipe
    parts = data.split(one.protocol, one.seed)
    run = Run.open(job.folder, one, parts.train, parts.val)
    run.history.append({"epoch": 1, "val_accuracy": 0.5, "seconds": 1.0})
    run.finish()
    for part in ("val", "test"):
        run.add_scores(part, {"accuracy": 0.5}, probabilities=np.ones((2, 7)) / 7)
    return 0


def test_trains_keeps_and_then_skips(jobs, data):
    said, trained = [], []

    def train(job):
        trained.append(job.title)
        return pretend(job, data)

    assert run_suite(jobs, data, train, said.append) == []
    assert trained == ["a-head", "a-fine-tuned"]
    assert "[1/2] a-head: took 30 min (CPU, 1 thread)" in said[0]
    assert "[2/2] a-fine-tuned: not on record yet" in said[1]
    for job in jobs:
        assert {p.name for p in job.record.iterdir()} == {"run.json", "predictions.npz"}
        assert Run.load(job.record).finished
    assert run_suite(jobs, data, pytest.fail, said.append) == []
    assert "done before, in " in said[-1]


def test_a_failure_stops_what_needs_it_and_nothing_else(jobs, data, tmp_path):
    other = plan(["augment-none"], "quick", tmp_path / "records")
    other = [other[0]._replace(folder=tmp_path / "runs" / "other")]
    trained = []

    def train(job):
        trained.append(job.title)
        return 1 if job.title == "a-head" else pretend(job, data)

    failed = run_suite(jobs + other, data, train, lambda _: None)
    assert trained == ["a-head", "augment-none"]
    assert failed == [
        "a-head: fer train ended with exit code 1",
        "a-fine-tuned: needs a-head, which failed",
    ]
    assert not jobs[1].record.exists() and other[0].record.exists()
    assert run_suite(jobs + other, data, lambda job: pretend(job, data)) == []


def test_a_folder_with_another_run_is_left_alone(jobs, data):
    changed = jobs[0]._replace(recipe=jobs[0].recipe.with_(lr=0.5))
    pretend(changed, data)
    failed = run_suite(jobs[:1], data, pytest.fail, lambda _: None)
    assert len(failed) == 1 and "lr = 0.5, not 0.001" in failed[0]
    assert "took 30 min (CPU, 1 thread), with other settings" in suite.on_record(
        jobs[0]._replace(before=changed.before | {"recipe": {"lr": 0.5}})
    )


def test_ctrl_c_passes_and_keeps_what_is_done(jobs, data):
    def train(job):
        if job.title == "a-fine-tuned":
            raise KeyboardInterrupt
        return pretend(job, data)

    with pytest.raises(KeyboardInterrupt):
        run_suite(jobs, data, train, lambda _: None)
    assert Run.load(jobs[0].record).finished


# --- the command ---


def command(tmp_path: Path, *arguments: str) -> list[str]:
    folder = str(tmp_path / "records")
    start = [sys.executable, "-m", "fer_utils.cli", "suite", *arguments]
    return [*start, "--data", "sample", "--records", folder]


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"FER_RUNS": str(tmp_path / "runs")}


@pytest.mark.timeout(1800)  # six processes, on a machine that may be busy
def test_two_recipes_stopped_and_taken_up_again(tmp_path):
    """By the command: Ctrl-C in the first training, then the same command again."""
    typed = command(tmp_path, "augment-none", "imbalance-none", "--profile", "quick")
    env = environment(tmp_path)
    log = (tmp_path / "log").open("w+")
    # Started from a background job, the tests inherit that SIGINT is ignored.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        typed,
        env=env,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=listen,
    )
    stopped = tmp_path / "runs" / "augment-none-seed0" / "last.pt"
    for _ in range(6000):
        if stopped.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # the terminal's Ctrl-C reaches both
    assert process.wait(timeout=300) == 130
    log.seek(0)
    text = log.read()
    assert text.rstrip().endswith("fer: stopped; the same command goes on from here")
    assert "Traceback" not in text, text
    begun = json.loads((stopped.parent / "run.json").read_text())

    done = subprocess.run(typed, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 records kept in" in done.stdout
    records = {p.name: Run.load(p) for p in (tmp_path / "records").iterdir()}
    assert records.keys() == {"augment-none-seed0-quick", "imbalance-none-seed0-quick"}
    for run in records.values():
        assert run.finished and {"val", "test"} <= run.record["scores"].keys()
    kept = records["augment-none-seed0-quick"].history
    assert kept[: len(begun["history"])] == begun["history"], "started from scratch"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no scores to keep on record. Set FER_DATA"),
        (("--records", "r", "resnet"), "no recipe 'resnet'"),
        (("--records", "r", "--profile", "gpu"), "no profile 'gpu'"),
    ],
)
def test_the_real_records_are_safe_and_errors_are_one_line(
    arguments, message, tmp_path, monkeypatch
):
    typed = [sys.executable, "-m", "fer_utils.cli", "suite", *arguments]
    done = subprocess.run(
        [*typed, "--data", "sample"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.startswith("fer: ") and done.stderr.count("\n") == 1
