"""`make suite`: every record again, in order, resumable; failures in one clear line."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.models import load_model
from fer_utils.training import Run, recipe, recipe_names
from fer_utils.training.record import Hardware, Record
from suite import Job, plan, run_suite

ROOT = Path(__file__).parents[1]
RUNS = Path("runs", "quick")
ONE_THREAD = {
    "device": "cpu",
    "cpu": "a CPU",
    "cores": 2,
    "threads": 1,
    "python": "3.11",
    "torch": "2.14",
    "fer_utils": "0.1",
}


def put_record(folder: Path, name: str, seed: int = 0, profile: str = "quick") -> None:
    """A record of an earlier time: half an hour on one thread."""
    record = Record(
        recipe=recipe(name, profile, seed=seed),
        profile=profile,
        started="",
        finished=None,
        hardware=ONE_THREAD,
        data={"source": "", "train": 0, "val": 0, "fingerprint": ""},
        seconds=1800.0,
        history=[],
        scores={},
    )
    Run(folder, record).save()


def names(jobs: list[Job]) -> list[tuple[str, int]]:
    return [(job.recipe.name, job.recipe.seed) for job in jobs]


def test_all_recipes_in_an_order_that_works(tmp_path):
    jobs = plan([], "cpu", tmp_path, RUNS)
    assert {name for name, _ in names(jobs)} == set(recipe_names())
    order = [name for name, _ in names(jobs)]
    assert order.index("a-head") < order.index("a-fine-tuned")
    assert len(set(names(jobs))) == len(jobs)


def test_a_recipe_comes_after_the_one_it_starts_from(tmp_path):
    jobs = plan(["a-fine-tuned", "a-head"], "quick", tmp_path, RUNS)
    assert names(jobs) == [("a-head", 0), ("a-fine-tuned", 0)]


def test_every_seed_on_record_and_its_folder(tmp_path):
    put_record(tmp_path / "compact-cnn", "compact-cnn", 2, "cpu")
    put_record(tmp_path / "compact-cnn-seed1", "compact-cnn", 1, "cpu")
    put_record(tmp_path / "compact-cnn-seed7-full", "compact-cnn", 7, "full")
    jobs = plan(["compact-cnn"], "cpu", tmp_path, RUNS)
    assert names(jobs) == [("compact-cnn", 1), ("compact-cnn", 2)]
    assert [job.kept.name for job in jobs] == ["compact-cnn-seed1", "compact-cnn"]
    (full,) = plan(["compact-cnn"], "full", tmp_path, RUNS)
    assert (full.recipe.seed, full.kept.name) == (7, "compact-cnn-seed7-full")


def test_a_new_record_leaves_others_alone(tmp_path):
    (job,) = plan(["resnet9"], "cpu", tmp_path, RUNS)
    assert job.kept == tmp_path / "resnet9"
    (job,) = plan(["resnet9"], "full", tmp_path, RUNS)
    assert job.kept == tmp_path / "resnet9-seed0-full"
    put_record(tmp_path / "resnet9", "resnet9", 0, "full")
    (job,) = plan(["resnet9"], "cpu", tmp_path, RUNS)
    assert job.kept == tmp_path / "resnet9-seed0"


def test_unknown_names(tmp_path):
    with pytest.raises(FerError, match="no recipe 'resnet'; recipes: "):
        plan(["resnet"], "cpu", tmp_path, RUNS)
    with pytest.raises(FerError, match="no profile 'gpu'; profiles: full"):
        plan([], "gpu", tmp_path, RUNS)


def test_teachers_come_first(tmp_path):
    names = [job.recipe.name for job in plan(["distilled"], "full", tmp_path, RUNS)]
    assert names == ["record-resnet18", "record-vgg", "distilled"]
    jobs = plan(["taught"], "cpu", tmp_path, RUNS)  # it names the seeds of its teachers
    assert [job.title for job in jobs] == [
        "wide-cnn",
        "deep-cnn",
        "compact-cnn, seed 2",
        "taught",
    ]


def test_hardware_in_words():
    cpu = Hardware(**ONE_THREAD)
    assert str(cpu) == "1 thread"
    assert str(cpu.model_copy(update={"device": "Tesla T4"})) == "Tesla T4"
    two = cpu.model_copy(update={"device": "mps", "threads": 2})
    assert str(two) == "Apple GPU, 2 threads"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Two trainings; the second starts from the first, which is on record."""
    put_record(tmp_path / "records" / "a-head", "a-head")
    found = plan(["a-fine-tuned"], "quick", tmp_path / "records", RUNS)
    return [job._replace(folder=tmp_path / "runs" / job.title) for job in found]


@pytest.fixture(scope="module")
def data():
    return load_fer2013("sample")


def pretend(job: Job, data) -> int:
    """Leave a finished and scored run behind, as `fer train` does."""
    parts = job.recipe.split(data)
    run = Run.open(job.folder, job.recipe, parts.train, parts.val)
    epoch = dict.fromkeys(("lr", "train_loss", "val_loss", "val_accuracy"), 0.5)
    run.history.append({"epoch": 1, "seconds": 1.0, **epoch})
    run.finish()
    run.model = load_model()
    for part in ("val", "test"):
        run.evaluate(data, part)
    return 0


def test_trains_keeps_and_then_skips(jobs, data, capsys):
    trained = []

    def train(job):
        trained.append(job.title)
        return pretend(job, data)

    assert run_suite(jobs, data, train) == []
    assert trained == ["a-head", "a-fine-tuned"]
    said = capsys.readouterr().out
    assert "[1/2] a-head: took 30 min (1 thread)" in said
    assert "[2/2] a-fine-tuned: not on record yet" in said
    for job in jobs:
        assert {p.name for p in job.kept.iterdir()} == {"run.json", "predictions.npz"}
        assert Run.load(job.kept).finished
    assert run_suite(jobs, data, pytest.fail) == []
    assert capsys.readouterr().out.count("done before, in ") == 2


def test_a_failure_stops_what_needs_it_and_nothing_else(jobs, data, tmp_path):
    other = plan(["augment-none"], "quick", tmp_path / "records", RUNS)
    other = [other[0]._replace(folder=tmp_path / "runs" / "other")]
    trained = []

    def train(job):
        trained.append(job.title)
        return 1 if job.title == "a-head" else pretend(job, data)

    failed = run_suite(jobs + other, data, train)
    assert trained == ["a-head", "augment-none"]
    assert failed == [
        "a-head: fer train ended with exit code 1",
        "a-fine-tuned: needs a-head, which failed",
    ]
    assert not jobs[1].kept.exists() and other[0].kept.exists()
    assert run_suite(jobs + other, data, lambda job: pretend(job, data)) == []


def test_a_folder_with_another_run_is_left_alone(jobs, data):
    changed = jobs[0]._replace(recipe=jobs[0].recipe.with_(lr=0.5))
    pretend(changed, data)
    failed = run_suite(jobs[:1], data, pytest.fail)
    assert len(failed) == 1 and "lr = 0.5, not 0.001" in failed[0]
    before = jobs[0].before.model_copy(update={"recipe": changed.recipe})
    other = jobs[0]._replace(before=before)
    assert other.on_record() == "took 30 min (1 thread), with other settings"


def test_ctrl_c_passes_and_keeps_what_is_done(jobs, data):
    def train(job):
        if job.title == "a-fine-tuned":
            raise KeyboardInterrupt
        return pretend(job, data)

    with pytest.raises(KeyboardInterrupt):
        run_suite(jobs, data, train)
    assert Run.load(jobs[0].kept).finished


# --- the command ---


def command(tmp_path: Path, *arguments: str) -> list[str]:
    folder = str(tmp_path / "records")
    start = [sys.executable, ROOT / "tools" / "suite.py", *arguments]
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
    runs = tmp_path / "runs" / "quick-sample"
    stopped = runs / "augment-none-seed0" / "last.pt"
    for _ in range(6000):
        if stopped.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # the terminal's Ctrl-C reaches both
    assert process.wait(timeout=300) == 130
    log.seek(0)
    text = log.read()
    assert text.rstrip().endswith("suite: stopped; the same command goes on from here")
    assert "Traceback" not in text, text
    begun = json.loads((stopped.parent / "run.json").read_text("utf-8"))

    done = subprocess.run(typed, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 records kept in" in done.stdout
    records = {p.name: Run.load(p) for p in (tmp_path / "records").iterdir()}
    assert records.keys() == {"augment-none-seed0-quick", "imbalance-none-seed0-quick"}
    for run in records.values():
        assert run.finished and {"val", "test"} <= run.record.scores.keys()
    kept = records["augment-none-seed0-quick"].history
    assert kept[: len(begun["history"])] == begun["history"], "started from scratch"


def test_stops_in_time_and_goes_on(tmp_path):
    """Stopped after some seconds, then not begun, then done."""
    env = environment(tmp_path) | {"OMP_WAIT_POLICY": "PASSIVE"}
    for minutes, codes in (("0.2", (0, 130)), ("0", (0, 130)), ("inf", (0,))):
        typed = ("laptop", "--profile", "quick", "--minutes", minutes)
        ended = subprocess.run(
            command(tmp_path, *typed), env=env, capture_output=True, encoding="utf-8"
        )
        assert ended.returncode in codes and "Traceback" not in ended.stderr
        if ended.returncode:  # a fast machine is done in time
            last = ended.stderr.rstrip().splitlines()[-1]
            assert last == "suite: stopped; the same command goes on from here"
    assert Run.load(tmp_path / "records" / "laptop-seed0-quick").finished


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "these are no scores to keep on record. Set FER_DATA"),
        (("resnet", "--records", "r"), "no recipe 'resnet'"),
        (("--records", "r", "--profile", "gpu"), "no profile 'gpu'"),
    ],
)
def test_the_real_records_are_safe_and_errors_are_one_line(
    arguments, message, tmp_path, monkeypatch
):
    typed = [sys.executable, ROOT / "tools" / "suite.py", *arguments]
    done = subprocess.run(
        [*typed, "--data", "sample"],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
    )
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.startswith("suite: ") and done.stderr.count("\n") == 1
