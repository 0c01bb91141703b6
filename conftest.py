"""Tests run in the quick profile, on the embedded sample, in folders of their own.

A notebook's kernel inherits this environment; each notebook gets an empty runs folder,
so that a green test proves it runs alone. Real data: FER_REAL, read by the tests.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

SCRATCH = Path(tempfile.mkdtemp(prefix="fer-test-"))

os.environ |= {
    "FER_PROFILE": "quick",
    "FER_DATA": "sample",
    "FER_VOTES": "",
    "FER_CACHE": str(SCRATCH / "cache"),
    "FER_RUNS": str(SCRATCH / "runs"),
}
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before a test imports torch
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes: one core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":
        folder = "-".join(item.path.with_suffix("").parts[-2:])
        os.environ["FER_RUNS"] = str(SCRATCH / folder)


def pytest_unconfigure():
    shutil.rmtree(SCRATCH, ignore_errors=True)
