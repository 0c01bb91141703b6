"""`fer train` and `fer evaluate`, from the command to the files and exit codes."""

import json
import subprocess
import sys

import pytest
import torch

from fer_utils import device, training
from fer_utils.apps import cli
from fer_utils.config import read_config
from fer_utils.data import load_fer2013
from fer_utils.errors import FerError

SMALL = ["--set", "epochs=1", "--set", "batch_size=16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of the quick profile, by the command as a user types it."""
    path = tmp_path_factory.mktemp("runs") / "run"
    command = [sys.executable, "-m", "fer_utils", "train", "compact-cnn"]
    command += ["--folder", str(path), "--data", "sample"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "val   accuracy 0.8" in done.stdout or "val   accuracy 0.9" in done.stdout
    assert "test  accuracy" in done.stdout and f"kept in {path}" in done.stdout
    assert "100%" in done.stderr, "no progress bar"
    return path


def test_the_record_is_complete(folder):
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["finished"] and record["profile"] == "quick"
    assert record["scores"]["val"]["accuracy"] >= 0.8
    assert record["scores"]["test"]["clean"]["count"] < 160
    assert record["data"]["source"] == "the embedded sample"
    assert not (folder / "last.pt").exists()


def test_evaluate_and_a_second_train(folder, fer, monkeypatch):
    code, out, _ = fer("evaluate", folder, "--views", 1, "--data", "sample")
    assert code == 0 and "surprise" in out and "recall" in out
    monkeypatch.setattr(training, "train_epoch", pytest.fail)
    code, out, _ = fer("train", "compact-cnn", "--folder", folder, "--data", "sample")
    assert code == 0 and "finished, " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "vgg"], "no recipe 'vgg'; recipes: compact-cnn"),
        (["train", "compact-cnn", "--set", "lr"], "--set 'lr': expected key=value"),
        (["train", "compact-cnn", "--set", "speed=9"], "no key 'speed'; keys: name"),
        (["train", "compact-cnn", "--set", "profile_name=full"], "no key 'profile_n"),
        (["train", "compact-cnn", "--set", "lr=fast"], "lr = 'fast'"),
        (["train", "compact-cnn", "--data", "nowhere"], "nowhere: "),
        (["evaluate", "nowhere"], "nowhere: no run there"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_on_stderr(arguments, message, fer):
    code, out, err = fer(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("fer: ") and message in err and err.count("\n") == 1


def test_a_folder_with_another_recipe(folder, fer):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    code, _, err = fer(
        "train", "compact-cnn", "--folder", folder, "--data", "sample", *SMALL
    )
    assert code == 1 and "not 1; " in err and "name another folder" in err
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("parts", [["Training"], ["Training", "PublicTest"]])
def test_the_only_protocol_that_fits(fer, tmp_path, parts):
    sample = load_fer2013("sample")
    for usage in parts:
        rows = sample.select(sample.usage == usage)
        lines = ["emotion,pixels"]
        for label, image in zip(rows.labels, rows.images, strict=True):
            lines.append(f"{label},{' '.join(map(str, image.ravel()))}")
        name = {"Training": "train", "PublicTest": "valid"}[usage]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), "utf-8")
    command = ["train", "compact-cnn", "--data", tmp_path, "--folder", tmp_path / "run"]
    code, out, err = fer(*command, *SMALL, "--set", "protocol=official")
    assert code == 1 and "try split('course')" in err
    code, out, _ = fer(*command, *SMALL)
    assert code == 0 and "using the protocol 'course': a fifth of Training" in out
    assert ("\ntest " in out) == (len(parts) > 1)
    assert ("tested on nothing" in out) == (len(parts) == 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_a_device_that_is_not_there(fer, monkeypatch, tmp_path):
    wrong = read_config({"FER_DEVICE": "cuda", "FER_PROFILE": "quick"})
    monkeypatch.setattr(device, "config", wrong)
    code, _, err = fer("train", "compact-cnn", "--data", "sample", "--folder", tmp_path)
    assert code == 1 and "FER_DEVICE='cuda' cannot be used here" in err
    assert err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_ctrl_c_says_how_to_go_on(fer, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    code, _, err = fer("train", "compact-cnn", "--data", "sample")
    assert code == 130 and "goes on from here" in err


def test_settings_are_read_as_in_toml():
    read = cli.parse_settings(["lr=1e-3", "epochs = 5", "augment=light", 'why="a=b"'])
    assert read == {"lr": 1e-3, "epochs": 5, "augment": "light", "why": "a=b"}
    assert cli.parse_settings(["classes=happy, sad"]) == {"classes": "happy, sad"}
    with pytest.raises(FerError, match="expected key=value"):
        cli.parse_settings(["lr:3"])
