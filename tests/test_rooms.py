"""Rooms import downwards, as pyproject.toml says, and a breach is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess:
    """Check the contracts of pyproject.toml on the package in `folder`."""
    code = "from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", code, "--no-cache"]
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8"
    )


@pytest.fixture
def house(tmp_path):
    shutil.copytree(ROOT / "fer_utils", tmp_path / "fer_utils")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_keeps_its_order(house):
    done = lint(house)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("data/votes.py", "from ..training import train", "Rooms import downwards"),
        ("evaluation/tta.py", "from ..photos import Face", "Rooms import downwards"),
        (
            "photos/detect.py",
            "from .predictor import Predictor",
            "No circles inside a room",
        ),
    ],
)
def test_a_breach_is_found(house, file, line, broken):
    with (house / "fer_utils" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    done = lint(house)
    assert done.returncode == 1 and f"{broken} BROKEN" in done.stdout
