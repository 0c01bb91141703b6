"""The command line: `fer data`, `fer recipes`, and how every command fails."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import encode, face_expression, kaggle, pack, table

from fer_utils.config import config
from fer_utils.data import load
from fer_utils.training import recipe_names

FER = Path(sys.executable).with_name("fer")


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "config", replace(config, cache=tmp_path / "cache"))


@pytest.fixture
def fer(fer):
    """As everywhere, but stderr as lines, without those of progress bars."""

    def run(*arguments):
        code, out, err = fer(*arguments)
        return code, out, [line for line in err.split("\n") if "\r" not in line]

    return run


def test_data(fer, tmp_path):
    source = pack(kaggle(tmp_path / "fer2013"), "xztar")
    code, out, _ = fer("data", "--data", source)
    assert code == 0
    assert out.splitlines() == [
        "FER2013 from fer2013.tar.xz: 28 images "
        "(14 Training · 7 PublicTest · 7 PrivateTest)",
        "",
        "                 angry   disgust      fear     happy       sad"
        "  surprise   neutral",
        "Training             2         2         2         2         2"
        "         2         2",
        "PublicTest           1         1         1         1         1"
        "         1         1",
        "PrivateTest          1         1         1         1         1"
        "         1         1",
        "",
        "redundant copies: 0",
        "also in Training: 0 in PublicTest, 0 in PrivateTest",
        "identical images with different labels: 0 groups",
        "images of a single grey value: 0",
    ]


def test_data_of_one_split_only(fer, tmp_path):
    train = table(tmp_path / "train.csv", "emotion,pixels")
    code, out, _ = fer("data", "--data", train)
    assert code == 0 and "28 images (28 Training)" in out
    assert re.search(r"PrivateTest( +0){7}\n", out)
    code, out, _ = fer("data", "--data", face_expression(tmp_path / "faces"))
    assert code == 0 and "(14 Training · 14 PublicTest)" in out


def test_data_from_the_environment(fer, monkeypatch, tmp_path):
    source = kaggle(tmp_path / "mine")
    monkeypatch.setattr(load, "config", replace(config, data=str(source)))
    assert "FER2013 from mine: 28 images" in fer("data")[1]


def test_recipes(fer):
    code, out, _ = fer("recipes")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == recipe_names()
    assert all(len(line.split()) > 3 for line in out.splitlines()), "one line of why"


def test_help(fer):
    code, out, _ = fer("--help")
    assert code == 0 and "data" in out and "train" in out
    code, out, _ = fer("data", "--help")
    assert code == 0 and "--data" in out


@pytest.mark.parametrize("arguments", [["dtaa"], ["data", "--dat"], ["data", "more"]])
def test_wrong_usage(fer, arguments):
    code, out, err = fer(*arguments)
    assert code == 2 and not out and "Traceback" not in "".join(err)
    assert any("fer data --help" in line or "fer --help" in line for line in err)


def bad_sources(folder: Path):
    """Name and path of one source for every way to fail."""
    yield "", ""
    yield "gone", folder / "gone.zip"
    yield "empty folder", folder
    (folder / "empty.csv").touch()
    yield "empty file", folder / "empty.csv"
    (folder / "noise.zip").write_bytes(bytes(range(256)) * 9)
    yield "no archive", folder / "noise.zip"
    yield "bad row", table(folder / "bad.csv", usage="Sometimes")
    tree = kaggle(folder / "tree")
    (tree / "train" / "fear" / "Training_8.jpg").write_bytes(b"")
    yield "broken image", tree
    whole = pack(tree, "tar")
    whole.write_bytes(whole.read_bytes()[:20_000])
    yield "cut archive", whole
    (tree / "train" / "bored").mkdir()
    (tree / "train" / "bored" / "1.jpg").touch()
    yield "unknown class", tree
    yield "device", os.devnull


def test_every_failure_is_one_line(fer, tmp_path):
    for name, source in bad_sources(tmp_path):
        code, out, err = fer("data", "--data", source)
        assert code == 1 and not out, name
        (said, last) = err[-2:]
        assert not last and said.startswith(f"fer: {source or 'the path is empty'}"), (
            err
        )
        assert sum(line.startswith(("fer:", "Traceback")) for line in err) == 1, err
    assert not (tmp_path / "cache").exists()


def test_failure_while_a_bar_is_shown(fer, tmp_path, capsys):
    # The bar ends its line first, so that the error has a line of its own.
    tree = kaggle(tmp_path / "tree")
    (tree / "train" / "neutral" / "Training_24.jpg").write_bytes(
        encode(np.zeros((48, 47), np.uint8))
    )
    code, _, err = fer("data", "--data", tree)
    assert code == 1
    assert [line[:5] for line in err if line] == ["fer: "]


def test_a_terminal_without_unicode_and_a_file():
    """The terminal gets ? for what it lacks, a file gets everything in UTF-8."""
    pty = pytest.importorskip("pty", reason="not on Windows")
    env = os.environ | {"PYTHONIOENCODING": "ascii", "FER_PROFILE": "fast"}
    ours, theirs = pty.openpty()
    with open(ours, "rb") as terminal, open(theirs, "wb") as screen:
        done = subprocess.run([FER, "data"], env=env, stdout=screen)
        assert done.returncode == 0
        seen = terminal.readline().decode("ascii")
    assert "1,120 images (800 Training ? 160 PublicTest ? 160 Priv" in seen
    done = subprocess.run([FER, "data"], env=env, capture_output=True)
    assert done.returncode == 0 and not done.stderr
    assert "(800 Training · 160 PublicTest · 160" in done.stdout.decode("utf-8")


def test_command_as_installed(tmp_path):
    done = subprocess.run(
        [FER, "data", "--data", "gone.zip"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "fer: gone.zip: nothing there; check the path or FER_DATA\n"
