"""Settings from the environment."""

import os
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from fer_utils.config import Config, read_config

ROOT = Path(__file__).parents[1]


def test_nothing_set(monkeypatch):
    monkeypatch.setenv("HOME", "/home/learner")
    found = read_config({})
    assert found.cache == Path("/home/learner/.cache/fer_utils")
    assert found.data == found.votes == found.profile == found.device == ""


def test_everything_set(monkeypatch):
    monkeypatch.setenv("HOME", "/home/learner")
    values = {
        "FER_DATA": " ../fer2013.zip ",
        "FER_VOTES": "votes.csv",
        "FER_CACHE": "~/faces",
        "FER_RUNS": ".",
        "FER_PROFILE": "quick",
        "FER_DEVICE": "cuda:1",
    }
    found = read_config(values)
    assert found.data == "../fer2013.zip" and found.votes == "votes.csv"
    assert found.cache == Path("/home/learner/faces") and found.runs == Path(".")
    assert found.profile == "quick" and found.device == "cuda:1"


def test_empty_means_not_set():
    empty = {f"FER_{field.name.upper()}": "" for field in fields(Config)}
    assert read_config(empty) == read_config({})


def test_cache_follows_the_desktop_standard():
    found = read_config({"XDG_CACHE_HOME": "/caches"})
    assert found.cache == Path("/caches/fer_utils")
    found = read_config({"XDG_CACHE_HOME": "/caches", "FER_CACHE": "/mine"})
    assert found.cache == Path("/mine")


def test_user_without_a_home(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it then does
    assert read_config({}).cache == Path(tempfile.gettempdir(), ".cache", "fer_utils")


def test_runs_belong_to_the_course(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT / "notebooks" / "solutions")
    assert read_config({}).runs == ROOT / "runs"
    monkeypatch.chdir(tmp_path)
    assert read_config({}).runs == tmp_path / "runs"


def test_folder_that_was_deleted(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert read_config({}).runs == Path("runs")
    monkeypatch.chdir(tmp_path)


def test_settings_module_alone_needs_no_torch():
    code = "import sys, fer_utils.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
