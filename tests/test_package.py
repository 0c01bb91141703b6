"""`import fer_utils`: light, and what it offers is there when it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import fer_utils

ROOT = Path(__file__).parents[1]


def test_import_brings_no_torch():
    code = "import sys, fer_utils; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", fer_utils.__all__)
def test_every_name_is_there(name):
    assert getattr(fer_utils, name) is not None
    assert name in dir(fer_utils)


def test_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'fer_utils' has no attribute 'bored'"):
        _ = fer_utils.bored
