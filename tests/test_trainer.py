"""Training: it learns, stops clearly, and a killed one ends as if never killed."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny import tiny

from fer_utils.device import best_precision
from fer_utils.errors import FerError
from fer_utils.models import Recognizer, load_model
from fer_utils.training import Recipe, Trainer, recipe, train
from fer_utils.training import trainer as module

SMALL = Recipe("small", epochs=3, batch_size=16, augment="none")
# All that draws random numbers or keeps state from step to step.
EVERYTHING = SMALL.with_(
    name="everything", augment="strong", mixup=0.2, cutmix=0.5, ema=0.9, grad_clip=1.0,
    class_weights="balanced", optimizer="muon", flips="alternate",
)  # fmt: skip
FROZEN = SMALL.with_(
    name="frozen", unfreeze=0, cached_views=2, augment="flip", epochs=10
)


@pytest.fixture(scope="module")
def data():
    return tiny(56), tiny(28, seed=1)


def assert_same_weights(run, other) -> None:
    ours, theirs = run.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours | theirs)


# Learning -------------------------------------------------------------------------


def test_small_images_come_first(data, tmp_path, monkeypatch):
    sizes, original = [], module.train_epoch

    def spy(trainer, epoch, bar):
        seen = trainer.loader.inputs(torch.arange(2)).shape[-1]
        sizes.append(
            (seen, trainer.recognizer.input_size, trainer.saved_model.input_size)
        )
        return original(trainer, epoch, bar)

    monkeypatch.setattr(module, "train_epoch", spy)
    chosen = SMALL.with_(epochs=4, early_size=24, input_size=32, ema=0.9, keep="last")
    run = train(chosen, *data, tmp_path)
    assert sizes == [(24,) * 3] * 2 + [(32,) * 3] * 2 and run.model.input_size == 32


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
    """The full settings, except for epochs and pixels, which would take a GPU."""
    small = {"epochs": 2, "batch_size": 28, "input_size": 24, "early_size": 0}
    full = recipe(name, "full", **small)
    if full.teacher:
        full = full.with_(teacher="fer2013-labels")
    run = train(full, tiny(56), tiny(28, seed=1), tmp_path)
    assert run.finished and len(run.history) == 2


def test_a_finished_run_is_loaded_and_again_starts_over(data, tmp_path, monkeypatch):
    chosen = SMALL.with_(epochs=1)
    first = train(chosen, *data, tmp_path)
    monkeypatch.setattr(module, "train_epoch", pytest.fail)
    assert train(chosen, *data, tmp_path).record == first.record
    monkeypatch.undo()
    with pytest.raises(FerError, match=r"lr = 0.004, not 0.1.*start over"):
        train(chosen.with_(lr=0.1), *data, tmp_path)
    (tmp_path / "thesis.txt").write_text("not ours to delete", "utf-8")
    assert train(chosen.with_(lr=0.1), *data, tmp_path, again=True).recipe.lr == 0.1
    assert (tmp_path / "thesis.txt").exists()


def test_images_too_small_for_the_network(data, tmp_path):
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


def test_cached_features_train_the_head_alone(data, tmp_path):
    before = Trainer(FROZEN, *data, Accelerator(cpu=True)).recognizer
    run = train(FROZEN, *data, tmp_path)
    old, new = before.state_dict(), run.model.state_dict()
    old = {k: v.half().float() if v.ndim > 1 else v for k, v in old.items()}  # as kept
    moved = {key.split(".")[1] for key in old if not torch.equal(old[key], new[key])}
    assert moved == {"head"}
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]


def test_dropout_of_the_head(data):
    def shares(recipe):
        head = Trainer(recipe, *data, Accelerator(cpu=True)).recognizer.net.head
        return [x.p for x in head.modules() if isinstance(x, torch.nn.Dropout)]

    own = shares(SMALL)
    assert own and shares(SMALL.with_(dropout=0.4)) == [0.4] * len(own) != own
    assert shares(SMALL.with_(dropout=0.0)) == [0.0] * len(own)


def test_start_from_an_earlier_run(data, tmp_path):
    run = train(SMALL.with_(epochs=1), *data, tmp_path / "first")
    chosen = SMALL.with_(start=str(tmp_path / "first"), epochs=1)
    trainer = Trainer(chosen, *data, Accelerator(cpu=True))
    state = run.model.state_dict()
    assert all(
        torch.equal(v, state[k]) for k, v in trainer.saved_model.state_dict().items()
    )
    other = r"model = resnet9, but the run to start from \(.*\) is a compact-cnn"
    with pytest.raises(FerError, match=other):
        train(chosen.with_(model="resnet9"), *data, tmp_path / "second")
    with pytest.raises(FerError, match="no run there"):
        train(chosen.with_(start="nowhere"), *data, tmp_path / "third")


# Killed, stopped, broken ----------------------------------------------------------

CHILD = """
import os, signal, sys
from fer_utils.training import Trainer, train
from test_trainer import EVERYTHING
from tiny import tiny

steps, step = [], Trainer.step
def dying_step(trainer, loss):
    steps.append(step(trainer, loss))
    if len(steps) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Trainer.step = dying_step
train(EVERYTHING, tiny(56), tiny(28, seed=1), sys.argv[1])
"""


def test_a_killed_training_ends_as_if_never_killed(data, tmp_path):
    """SIGKILL in the middle of the second epoch of three."""
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "killed")]
    child = subprocess.run(command, cwd=here, capture_output=True, encoding="utf-8")
    assert child.returncode == -signal.SIGKILL, child.stderr
    record = json.loads((tmp_path / "killed" / "run.json").read_text("utf-8"))
    assert len(record["history"]) == 1 and record["finished"] is None
    resumed = train(EVERYTHING, *data, tmp_path / "killed")
    unkilled = train(EVERYTHING, *data, tmp_path / "unkilled")
    assert_same_weights(resumed, unkilled)
    strip = {"seconds": 0}
    assert [e | strip for e in resumed.history] == [e | strip for e in unkilled.history]


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        ("sgd", "onecycle"),
        ("adam", "cosine"),
        ("sgd", "plateau"),
        ("adamw", "constant"),
    ],
)
def test_ctrl_c_loses_nothing(optimizer, schedule, data, tmp_path, monkeypatch):
    chosen = SMALL.with_(optimizer=optimizer, schedule=schedule, augment="light")
    epochs, train_epoch = [], module.train_epoch

    def interrupted(trainer, epoch, bar):
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return train_epoch(trainer, epoch, bar)

    monkeypatch.setattr(module, "train_epoch", interrupted)
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
    monkeypatch.setattr(module, "train_epoch", fails_from(1))
    with pytest.raises(FerError, match="in epoch 2 the loss is no longer a number"):
        train(chosen, *data, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert len(record["history"]) == 1
    monkeypatch.undo()
    assert train(chosen, *data, tmp_path).finished


def fails_from(last: int):
    """train_epoch, with weights that are no numbers from epoch `last` on."""
    train_epoch = module.train_epoch

    def failing(trainer, epoch, bar):
        if epoch >= last:
            for parameter in trainer.train_model.parameters():
                parameter.data.fill_(torch.nan)
        return train_epoch(trainer, epoch, bar)

    return failing


def test_weights_lost_in_the_last_step_are_noticed(data, tmp_path, monkeypatch):
    train_epoch = module.train_epoch

    def lost(trainer, epoch, bar):
        loss = train_epoch(trainer, epoch, bar)
        trainer.saved_model.net.head[-1].bias.data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(module, "train_epoch", lost)
    with pytest.raises(FerError, match="no longer a number"):
        train(SMALL, *data, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_checkpoint_that_does_not_fit(data, tmp_path):
    run = train(SMALL.with_(epochs=1), *data, tmp_path)
    run.record.finished = None
    run.save()
    state = {"record": run.record.model_dump_json(), "parts": []}
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(FerError, match=r"last\.pt: damaged checkpoint"):
        train(SMALL.with_(epochs=1), *data, tmp_path)


def test_data_that_cannot_be_used(data, tmp_path):
    empty = data[0].select(np.zeros(56, bool))
    three = data[1].with_classes("happy, sad, neutral")
    for parts, message in (
        ((empty, data[1]), "train is empty: pass at least one image"),
        ((data[0], empty), "val is empty"),
        ((data[0], three), "val has the classes happy, sad, neutral, the recipe has"),
        ((three, three), "train has the classes happy"),
    ):
        with pytest.raises(FerError, match=message):
            train(SMALL, *parts, tmp_path)
    assert not list(tmp_path.iterdir())


# Several processes ----------------------------------------------------------------

RANK = """
import json, os, sys
from pathlib import Path
from fer_utils.training import Loader, Trainer, train
from test_trainer import EVERYTHING
from tiny import tiny

seen, inputs = [], Loader.inputs
def watched(loader, rows):
    seen.extend(rows.tolist())
    return inputs(loader, rows)

trainers, start_epoch = [], Trainer.start_epoch
def started(trainer, epoch):
    trainers.append(trainer)
    start_epoch(trainer, epoch)

Loader.inputs, Trainer.start_epoch = watched, started
folder = Path(sys.argv[1])
run = train(EVERYTHING.with_(epochs=1), tiny(56), tiny(28, seed=1), folder / "run")
net = trainers[0].recognizer.net
report = {
    "seen": seen,
    "head": net.head[-1].weight.tolist(),
    "stem": net.stem[0].weight.tolist(),
    "finished": run.finished,
}
(folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(report))
"""


def test_two_processes(tmp_path):
    (tmp_path / "rank.py").write_text(RANK, "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(tmp_path / "rank.py"), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.path.dirname(__file__), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-3000:]
    a, b = (json.loads((tmp_path / f"rank{r}.json").read_text("utf-8")) for r in (0, 1))
    assert len(a["seen"]) == len(b["seen"]) == 24
    assert not set(a["seen"]) & set(b["seen"])
    for part in ("head", "stem"):  # one is AdamW's, the other Muon's
        assert a[part] == b[part], "gradients were not shared"
    assert a["finished"] and b["finished"]


def test_start_from_the_shipped_network_with_other_classes():
    two = [tiny(28, seed, ("happy", "sad")) for seed in (0, 1)]
    chosen = SMALL.with_(
        model="wide-cnn-max", start="fer2013-labels", classes="happy, sad"
    )
    trainer = Trainer(chosen, *two, Accelerator(cpu=True))
    shipped, new = (
        load_model("fer2013-labels").state_dict(),
        trainer.saved_model.state_dict(),
    )
    same = {
        k
        for k, v in new.items()
        if v.shape == shipped[k].shape and torch.equal(v, shipped[k])
    }
    assert new.keys() - same == {"net.head.1.weight", "net.head.1.bias"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("compact-cnn", torch.bfloat16),
        ("efficientnet-lite0", torch.bfloat16),
        ("efficientnet-b0-512", torch.float32),
    ],
)
def test_only_torchs_own_grouped_convolutions_need_float32(
    name, precision, monkeypatch
):
    """Their gradients in bfloat16 take up to a hundred times as long: see depthwise."""
    native = "_is_avx512_bf16_supported"
    monkeypatch.setattr(torch.cpu, native, lambda: True, raising=False)
    assert best_precision(torch.device("cpu"), Recognizer(name)) == precision


def in_precision(name: str, monkeypatch) -> None:
    monkeypatch.setattr(module, "best_precision", lambda *_: getattr(torch, name))


def stop_after_an_epoch(recipe, data, folder, monkeypatch) -> None:
    """Train, but stop as by Ctrl-C in the second epoch."""
    train_epoch = module.train_epoch

    def interrupted(trainer, epoch, bar):
        if epoch:
            raise KeyboardInterrupt
        return train_epoch(trainer, epoch, bar)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, *data, folder)


# Without hardware for it, a convolution in float16 learns two hundred times slower.
HALF = SMALL.with_(input_size=24, batch_size=8, epochs=2)
FEW = tiny(16), tiny(16, seed=1)


def test_a_training_in_half_precision_with_its_scaler(tmp_path, monkeypatch):
    """What a T4 does, on the CPU: it learns, stops, goes on, and ends the same."""
    in_precision("float16", monkeypatch)
    chosen = HALF.with_(optimizer="muon", grad_clip=1.0)
    whole = train(chosen, *FEW, tmp_path / "whole")
    assert whole.history[1]["train_loss"] < whole.history[0]["train_loss"]
    stop_after_an_epoch(chosen, FEW, tmp_path / "stopped", monkeypatch)
    assert_same_weights(train(chosen, *FEW, tmp_path / "stopped"), whole)


@pytest.mark.parametrize("formats", [("float32", "float16"), ("float16", "float32")])
def test_going_on_where_numbers_have_another_format(formats, tmp_path, monkeypatch):
    """As on a laptop and then on a T4, or the other way round."""
    in_precision(formats[0], monkeypatch)
    stop_after_an_epoch(HALF, FEW, tmp_path, monkeypatch)
    in_precision(formats[1], monkeypatch)
    assert train(HALF, *FEW, tmp_path).finished


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_an_overflow_in_half_precision_skips_the_step(clip, monkeypatch):
    """Of the two optimisers that Muon brings, one alone may have such gradients."""
    in_precision("float16", monkeypatch)
    chosen = HALF.with_(optimizer="muon", grad_clip=clip, schedule="plateau")
    trainer = Trainer(chosen, *FEW, Accelerator(cpu=True))
    stem = trainer.model.net.stem[0].weight
    overflow = stem.register_hook(lambda gradient: gradient * torch.nan)
    images, targets = next(trainer.loader.batches(0))
    before, scale = stem.clone(), trainer.scaler.get_scale()
    for _ in range(2):  # one step that overflows, and one that does not
        with trainer.autocast():
            logits = trainer.train_model(images)
        trainer.step(trainer.loss(logits.float(), targets))
        assert all(weight.isfinite().all() for weight in trainer.model.parameters())
        if overflow:
            assert torch.equal(stem, before) and trainer.scaler.get_scale() < scale
            overflow = overflow.remove()
    assert not torch.equal(stem, before)
