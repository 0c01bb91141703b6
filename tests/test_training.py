"""Training: it learns, stops clearly, and a killed one ends as if never killed."""

import io
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny import tiny

from fer_utils import training
from fer_utils.config import FerError
from fer_utils.fit import best_precision
from fer_utils.models import Recognizer, freeze, load_model
from fer_utils.optim import make_optimizer, make_scheduler, orthogonalised
from fer_utils.recipes import Recipe, recipe
from fer_utils.training import Fit, train

SMALL = Recipe("small", epochs=3, batch_size=16, augment="none")
# All that draws random numbers or keeps state from step to step.
EVERYTHING = SMALL.with_(
    name="everything", augment="strong", mixup=0.2, cutmix=0.5, ema=0.9, grad_clip=1.0,
    class_weights="balanced",
)  # fmt: skip
FROZEN = SMALL.with_(name="frozen", unfreeze=0, views=2, augment="flip", epochs=10)


@pytest.fixture(scope="module")
def data():
    return tiny(56), tiny(28, seed=1)


def assert_same_weights(run, other) -> None:
    ours, theirs = run.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours | theirs)


# Learning -------------------------------------------------------------------------


def test_small_pictures_come_first(data, tmp_path, monkeypatch):
    sizes, original = [], training.train_epoch

    def spy(fit, epoch, bar):
        seen = fit.inputs(torch.arange(2)).shape[-1]
        sizes.append((seen, fit.recognizer.input_size, fit.kept.input_size))
        return original(fit, epoch, bar)

    monkeypatch.setattr(training, "train_epoch", spy)
    chosen = SMALL.with_(epochs=4, early_size=24, input_size=32, ema=0.9, keep="last")
    run = train(chosen, *data, tmp_path)
    assert sizes == [(24,) * 3] * 2 + [(32,) * 3] * 2 and run.model.input_size == 32


def test_alternating_flips_show_both_sides_of_each_image_in_two_epochs(data):
    part, rows = data[0], torch.arange(56)
    fit = Fit(SMALL.with_(flips="alternate"), part, part, Accelerator(cpu=True))
    seen = []
    for epoch in range(3):
        fit.start_epoch(epoch)
        seen.append(fit.inputs(rows))
    whole = torch.from_numpy(part.images)[:, None].float() / 255
    kept = (seen[0] == whole).flatten(1).all(1)
    assert torch.equal(seen[0], seen[1].flip(3)) and torch.equal(seen[0], seen[2])
    assert torch.equal(seen[0][~kept], whole[~kept].flip(3)) and 14 < kept.sum() < 42


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "schedule": "onecycle", "momentum": 0.0, "lr": 0.05},
        {"optimizer": "adam", "schedule": "cosine", "weight_decay": 0.0},
        {"optimizer": "muon", "early_size": 32},
        {"optimizer": "adamw", "schedule": "constant", "mixup": 1.0},
        {"optimizer": "sgd", "schedule": "plateau", "cutmix": 1.0, "lr": 0.05},
        {"class_weights": "balanced", "classes": "angry+disgust, happy, sad"},
        {"input_size": 32, "keep": "last", "label_smoothing": 0.0},
        {"early_size": 24, "ema": 0.9},
        {"flips": "alternate", "schedule": "triangle", "augment": "light"},
    ],
    ids=str,
)
def test_every_choice_trains(changes, tmp_path):
    chosen = SMALL.with_(epochs=2, **changes)
    parts = tiny(56), tiny(28, seed=1)
    if chosen.classes != "all":
        parts = [part.with_classes(chosen.classes) for part in parts]
    run = train(chosen, *parts, tmp_path)
    assert run.finished and len(run.history) == 2
    assert run.history[1]["train_loss"] < run.history[0]["train_loss"]
    assert run.model.classes == parts[0].classes


@pytest.mark.parametrize(
    "name", ["record-resnet18", "record-vgg", "sprint", "distilled", "laptop"]
)
def test_the_stages_for_a_gpu_run_through(name, tmp_path):
    """The full settings, but for epochs and pixels: a GPU's time is dear."""
    small = {"epochs": 2, "batch_size": 28, "input_size": 24, "early_size": 0}
    full = recipe(name, "full", **small)
    if full.teacher:
        full = full.with_(teacher="shipped")
    run = train(full, tiny(56), tiny(28, seed=1), tmp_path)
    assert run.finished and len(run.history) == 2


def test_a_finished_run_is_loaded_and_again_starts_anew(data, tmp_path, monkeypatch):
    chosen = SMALL.with_(epochs=1)
    first = train(chosen, *data, tmp_path)
    monkeypatch.setattr(training, "train_epoch", pytest.fail)
    assert train(chosen, *data, tmp_path).record == first.record
    monkeypatch.undo()
    with pytest.raises(FerError, match=r"lr = 0.004, not 0.1.*start anew"):
        train(chosen.with_(lr=0.1), *data, tmp_path)
    (tmp_path / "thesis.txt").write_text("not ours to delete")
    assert train(chosen.with_(lr=0.1), *data, tmp_path, again=True).recipe.lr == 0.1
    assert (tmp_path / "thesis.txt").exists()


def test_pictures_too_small_for_the_network(data, tmp_path):
    small = SMALL.with_(model="vgg16", input_size=48, early_size=24)
    with pytest.raises(FerError, match="early_size = 24 is too small for vgg16"):
        train(small, *data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_ema_keeps_an_average(data, tmp_path):
    run = train(SMALL.with_(ema=0.5, epochs=2, keep="last"), *data, tmp_path / "a")
    plain = train(SMALL.with_(epochs=2, keep="last"), *data, tmp_path / "b")
    averaged, last = run.model.state_dict(), plain.model.state_dict()
    key = "net.stem.0.weight"
    assert not torch.equal(averaged[key], last[key])
    assert (averaged[key] - last[key]).abs().mean() < 0.1 * last[key].abs().mean()


def test_class_weights_balance():
    classes = ("happy", "sad", "neutral")
    part = tiny(40, classes=classes)
    part.labels[:] = np.repeat([0, 1], [30, 10])  # none is neutral
    chosen = SMALL.with_(class_weights="balanced", classes="happy, sad, neutral")
    fit = Fit(chosen, part, part, Accelerator(cpu=True))
    assert fit.weights.tolist() == pytest.approx([40 / 90, 40 / 30, 0])


# Optimiser and schedule -----------------------------------------------------------


def rates(chosen: Recipe, steps: int) -> list[float]:
    optimizer = make_optimizer(chosen, Recognizer("compact-cnn"))
    scheduler = make_scheduler(chosen, optimizer, steps)
    out = []
    for _ in range(steps * chosen.epochs):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*[1.0] * (chosen.schedule == "plateau"))
    return [*out, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("schedule", "first", "peak", "last"),
    [
        ("constant", 1, 1, 1),
        ("cosine", 1, 1, 0),
        ("onecycle", 1 / 25, 1, 4e-6),
        ("triangle", 1 / 25, 1, 4e-6),
        ("plateau", 1, 1, 0.5**3),
    ],
)
def test_schedule(schedule, first, peak, last):
    got = rates(SMALL.with_(schedule=schedule, lr=1, epochs=3), 5)
    assert (got[0], max(got)) == pytest.approx((first, peak), rel=1e-2)
    assert got[-1] == pytest.approx(last, abs=1e-8)


@pytest.mark.parametrize("warmup", [0, 0.5, 0.95])
@pytest.mark.parametrize("epochs", [2, 20])
def test_onecycle_always_peaks_and_ends(warmup, epochs):
    got = rates(SMALL.with_(warmup=warmup, lr=1, epochs=epochs), 1)
    assert np.isfinite(got).all() and got[-1] == pytest.approx(4e-6, abs=1e-8)
    if epochs == 20:
        assert abs(np.argmax(got) - 20 * warmup) <= 1


def test_triangle_is_made_of_straight_lines():
    got = rates(SMALL.with_(schedule="triangle", warmup=0.25, lr=1, epochs=20), 1)
    assert np.argmax(got) == 5 and np.allclose(np.diff(got, 2)[6:], 0, atol=1e-6)


def test_weight_decay_spares_biases_and_norms():
    for name in ("adamw", "adam", "sgd", "muon"):
        chosen = SMALL.with_(optimizer=name, weight_decay=0.5)
        groups = make_optimizer(chosen, Recognizer("compact-cnn")).param_groups
        for group in groups:
            assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
        assert {group["weight_decay"] for group in groups} == {0.5, 0}


@pytest.mark.parametrize("shape", [(16, 9), (64, 576), (128, 64), (1, 9)])
def test_orthogonalised_evens_out_the_directions(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(0, -2, shape[1]))
    found = orthogonalised(matrix, steps=5)
    before, after = map(torch.linalg.svdvals, (matrix, found))
    assert found.shape == shape and 0.5 < after.max() < 1.3
    if min(shape) > 1:
        assert after[0] / after[-1] < before[0] / before[-1]
    assert torch.equal(orthogonalised(torch.zeros(shape)), torch.zeros(shape))


def test_muon_goes_on_where_it_stopped():
    images, labels = torch.rand(8, 1, 24, 24), torch.arange(8) % 7

    def step(model, optimizer):
        torch.manual_seed(0)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    chosen = SMALL.with_(optimizer="muon")
    one, other = (Recognizer("compact-cnn", input_size=24) for _ in range(2))
    first, second = (make_optimizer(chosen, model) for model in (one, other))
    step(one, first)
    other.load_state_dict(one.state_dict())
    # Through a file, as a stopped training does it: in memory the buffers are shared.
    stored = io.BytesIO()
    torch.save(first.state_dict(), stored)
    stored.seek(0)
    second.load_state_dict(torch.load(stored))
    step(one, first)
    step(other, second)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_part_has_its_own_rate():
    model = Recognizer("compact-cnn")
    freeze(model, 2)
    chosen = SMALL.with_(lr=1e-2, lr_body=1e-3, schedule="onecycle")
    optimizer = make_optimizer(chosen, model)
    got = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert got[model.net.head[1].weight] == 1e-2
    assert got[model.net.body[-1][0].weight] == 1e-3
    assert model.net.stem[0].weight not in got and len(model.net.body) == 5
    scheduler = make_scheduler(chosen, optimizer, 5)
    assert scheduler.state_dict()["total_steps"] == 5 * chosen.epochs + 1
    assert optimizer.param_groups[0]["lr"] > optimizer.param_groups[-1]["lr"]


def test_cached_features_train_the_head_alone(data, tmp_path):
    before = training.Fit(FROZEN, *data, Accelerator(cpu=True)).recognizer
    run = train(FROZEN, *data, tmp_path)
    old, new = before.state_dict(), run.model.state_dict()
    old = {k: v.half().float() if v.ndim > 1 else v for k, v in old.items()}  # as kept
    moved = {key.split(".")[1] for key in old if not torch.equal(old[key], new[key])}
    assert moved == {"head"}
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]


def test_start_from_an_earlier_run(data, tmp_path):
    run = train(SMALL.with_(epochs=1), *data, tmp_path / "first")
    chosen = SMALL.with_(start=str(tmp_path / "first"), epochs=1)
    fit = training.Fit(chosen, *data, Accelerator(cpu=True))
    state = run.model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in fit.kept.state_dict().items())
    with pytest.raises(FerError, match="wants a resnet9"):
        train(chosen.with_(model="resnet9"), *data, tmp_path / "second")
    with pytest.raises(FerError, match="no run there"):
        train(chosen.with_(start="nowhere"), *data, tmp_path / "third")


def test_balanced_draws_every_class_alike():
    part = tiny(700)
    part.labels[:] = np.repeat(np.arange(7), [400, 150, 50, 40, 30, 20, 10])
    fit = Fit(SMALL.with_(balanced=True), part, part, Accelerator(cpu=True))
    drawn = torch.cat(list(fit.batches(0)))
    counts = torch.bincount(fit.labels[drawn], minlength=7)
    assert counts.min() > 0.5 * counts.float().mean()


def test_sgd_keeps_its_momentum_under_onecycle():
    optimizer = make_optimizer(SMALL.with_(optimizer="sgd"), Recognizer("compact-cnn"))
    make_scheduler(SMALL.with_(optimizer="sgd"), optimizer, 5)
    assert optimizer.param_groups[0]["momentum"] == 0.9


# Killed, stopped, broken ----------------------------------------------------------

CHILD = """
import os, signal, sys
from fer_utils.training import Fit, train
from test_training import EVERYTHING
from tiny import tiny

steps, step = [], Fit.step
def dying_step(fit, loss):
    steps.append(step(fit, loss))
    if len(steps) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Fit.step = dying_step
train(EVERYTHING, tiny(56), tiny(28, seed=1), sys.argv[1])
"""


def test_a_killed_training_ends_as_if_never_killed(data, tmp_path):
    """SIGKILL in the middle of the second epoch of three."""
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "killed")]
    child = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert len(record["history"]) == 1 and record["finished"] is None
    resumed = train(EVERYTHING, *data, tmp_path / "killed")
    unkilled = train(EVERYTHING, *data, tmp_path / "unkilled")
    assert_same_weights(resumed, unkilled)
    strip = {"seconds": 0}
    assert [e | strip for e in resumed.history] == [e | strip for e in unkilled.history]


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("sgd", "onecycle"), ("adam", "cosine"), ("sgd", "plateau"), ("adam", "constant")],
)
def test_ctrl_c_loses_nothing(optimizer, schedule, data, tmp_path, monkeypatch):
    chosen = SMALL.with_(optimizer=optimizer, schedule=schedule, augment="light")
    epochs, train_epoch = [], training.train_epoch

    def interrupted(fit, epoch, bar):
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return train_epoch(fit, epoch, bar)

    monkeypatch.setattr(training, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, *data, tmp_path / "a")
    resumed = train(chosen, *data, tmp_path / "a")
    assert epochs == [0, 1, 1, 2]
    assert_same_weights(resumed, train(chosen, *data, tmp_path / "b"))


def test_a_learning_rate_far_too_high(data, tmp_path):
    with pytest.raises(FerError, match=r"in epoch 1 the loss .* lower lr \(100\)"):
        train(SMALL.with_(optimizer="sgd", lr=100), *data, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_loss_that_explodes_later_keeps_what_was_whole(data, tmp_path, monkeypatch):
    chosen = SMALL.with_(optimizer="sgd", schedule="constant", lr=1e-3)
    monkeypatch.setattr(training, "train_epoch", fails_from(1))
    with pytest.raises(FerError, match="in epoch 2 the loss is no longer a number"):
        train(chosen, *data, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert len(record["history"]) == 1
    monkeypatch.undo()
    assert train(chosen, *data, tmp_path).finished


def fails_from(last: int):
    """train_epoch, with weights that are no numbers from epoch `last` on."""
    train_epoch = training.train_epoch

    def failing(fit, epoch, bar):
        if epoch >= last:
            for parameter in fit.model.parameters():
                parameter.data.fill_(torch.nan)
        return train_epoch(fit, epoch, bar)

    return failing


def test_weights_lost_in_the_last_step_are_noticed(data, tmp_path, monkeypatch):
    train_epoch = training.train_epoch

    def lost(fit, epoch, bar):
        loss = train_epoch(fit, epoch, bar)
        fit.kept.net.head[-1].bias.data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(training, "train_epoch", lost)
    with pytest.raises(FerError, match="no longer a number"):
        train(SMALL, *data, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_checkpoint_that_does_not_fit(data, tmp_path):
    run = train(SMALL.with_(epochs=1), *data, tmp_path)
    run.record["finished"] = None
    run.save()
    torch.save({"record": json.dumps(run.record), "model": {}}, tmp_path / "last.pt")
    with pytest.raises(FerError, match=r"last\.pt: damaged checkpoint"):
        train(SMALL.with_(epochs=1), *data, tmp_path)


def test_data_that_cannot_be_used(data, tmp_path):
    empty = data[0].select(np.zeros(56, bool))
    three = data[1].with_classes("happy, sad, neutral")
    for parts, message in (
        ((empty, data[1]), "train: no images"),
        ((data[0], empty), "val: no images"),
        (
            (data[0], three),
            r"val has the classes happy, sad, neutral, the recipe angry",
        ),
        ((three, three), "train has the classes happy"),
    ):
        with pytest.raises(FerError, match=message):
            train(SMALL, *parts, tmp_path)
    assert not list(tmp_path.iterdir())


# Several processes ----------------------------------------------------------------


def batches(rank: int, world: int, epoch: int = 0) -> list[torch.Tensor]:
    part = SimpleNamespace(process_index=rank, num_processes=world)
    fit = SimpleNamespace(
        recipe=SMALL, accelerator=part, labels=range(56), steps=3, device="cpu"
    )
    return list(Fit.batches(fit, epoch))


def test_batches_show_every_image_once_and_differ_by_epoch():
    rows = torch.cat(batches(0, 1))
    assert len(rows) == len(rows.unique()) == 48
    assert torch.equal(rows, torch.cat(batches(0, 1)))
    assert not torch.equal(rows, torch.cat(batches(0, 1, epoch=1)))


def test_processes_share_each_batch():
    for whole, a, b in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        assert len(a) == len(b) and not set(a.tolist()) & set(b.tolist())
        assert set(torch.cat([a, b]).tolist()) == set(whole.tolist())


RANK = """
import hashlib, json, os, sys
from pathlib import Path
from fer_utils.training import Fit, train
from test_training import EVERYTHING
from tiny import tiny

seen, batches, fits = [], Fit.batches, []
def watched(fit, epoch):
    fits.append(fit)
    for rows in batches(fit, epoch):
        seen.extend(rows.tolist())
        yield rows

Fit.batches = watched
folder = Path(sys.argv[1])
recipe = EVERYTHING.with_(epochs=1)
run = train(recipe, tiny(56), tiny(28, seed=1), folder / "run")
weight = fits[0].kept.net.head[-1].weight.tolist()
report = {"seen": seen, "weight": weight, "finished": run.finished}
(folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(report))
"""


def test_two_processes(tmp_path):
    (tmp_path / "rank.py").write_text(RANK)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(tmp_path / "rank.py"), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.path.dirname(__file__), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    a, b = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert len(a["seen"]) == len(b["seen"]) == 24
    assert not set(a["seen"]) & set(b["seen"])
    assert a["weight"] == b["weight"], "gradients were not shared"
    assert a["finished"] and b["finished"]


def test_more_processes_than_images_in_a_batch(data):
    many = SimpleNamespace(device=torch.device("cpu"), num_processes=17)
    with pytest.raises(FerError, match=r"cannot feed 17 processes: raise batch_size"):
        Fit(SMALL, *data, many)


def test_start_from_the_shipped_network_with_other_classes():
    two = [tiny(28, seed, ("happy", "sad")) for seed in (0, 1)]
    chosen = SMALL.with_(model="wide-cnn-max", start="shipped", classes="happy, sad")
    fit = Fit(chosen, *two, Accelerator(cpu=True))
    shipped, new = load_model().state_dict(), fit.kept.state_dict()
    same = {
        k
        for k, v in new.items()
        if v.shape == shipped[k].shape and torch.equal(v, shipped[k])
    }
    assert new.keys() - same == {"net.head.1.weight", "net.head.1.bias"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [("compact-cnn", torch.bfloat16), ("efficientnet-lite0", torch.float32)],
)
def test_depthwise_convolutions_stay_in_float32_on_a_cpu(name, precision, monkeypatch):
    """In bfloat16, six epochs of a-fine-tuned took 747 s, in float32 400 s."""
    native = "_is_avx512_bf16_supported"
    monkeypatch.setattr(torch.cpu, native, lambda: True, raising=False)
    assert best_precision(torch.device("cpu"), Recognizer(name)) == precision
