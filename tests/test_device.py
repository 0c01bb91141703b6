"""The hardware: device, profile, threads that wait politely, what goes on record."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fer_utils import device
from fer_utils.config import PROFILES, read_config
from fer_utils.errors import FerError

ROOT = Path(__file__).parents[1]


def test_wrong_settings_wait_until_they_are_used(monkeypatch):
    # At import they could only be a stack trace.
    wrong = read_config({"FER_PROFILE": "fast", "FER_DEVICE": "warp"})
    monkeypatch.setattr(device, "config", wrong)
    with pytest.raises(FerError, match="FER_PROFILE='fast': use one of full, cpu"):
        device.profile()
    with pytest.raises(FerError, match=r"FER_DEVICE='warp' cannot be used .*=cpu"):
        device.device()


@pytest.mark.parametrize("name", PROFILES)
def test_profile(monkeypatch, name, capsys):
    chosen = read_config({"FER_PROFILE": name, "FER_DEVICE": "cpu"})
    monkeypatch.setattr(device, "config", chosen)
    assert device.profile() == name
    device.setup()
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Profile '{name}': {PROFILES[name]}."
    assert second.startswith("Device cpu, ") and " threads, torch " in second


@pytest.mark.parametrize("own", ["0.10.0", "0.9.1", "0.9.0", ""])
def test_a_copy_that_is_new_enough(own, monkeypatch, capsys):
    monkeypatch.setattr(device, "own_version", lambda: own)
    device.setup("0.9.0")
    assert "Profile" in capsys.readouterr().out


@pytest.mark.parametrize("own", ["0.8.9", "0.1.0"])
def test_a_copy_that_is_too_old(own, monkeypatch):
    monkeypatch.setattr(device, "own_version", lambda: own)
    wanted = rf"needs fer_utils 0\.9\.0, and {own} is installed.*git pull.*restart"
    with pytest.raises(FerError, match=wanted):
        device.setup("0.9.0")


def test_profile_by_hardware(monkeypatch):
    monkeypatch.setattr(device, "config", read_config({"FER_DEVICE": "cpu"}))
    assert device.profile() == "cpu"


def test_hardware_on_record(monkeypatch):
    monkeypatch.setattr(device, "config", read_config({"FER_DEVICE": "cpu"}))
    found = device.hardware()
    assert found["device"] == "cpu" and found["cpu"]
    assert found["cores"] == os.cpu_count()
    assert found["threads"] == torch.get_num_threads()
    assert torch.__version__.startswith(found["torch"]) and "+" not in found["torch"]


def test_package_that_is_not_installed(monkeypatch):
    def missing(name):
        raise device.PackageNotFoundError(name)

    monkeypatch.setattr(device, "version", missing)
    assert device.hardware()["fer_utils"] == "source"


def test_one_thread_and_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(KeyError), device.one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# --- Threads that sleep while they wait ---------------------------------------------

SHOW = "import os; print(os.environ['OMP_WAIT_POLICY'])"


def python(code: str, **env: str) -> subprocess.CompletedProcess:
    """Run code in a new process whose environment names no wait policy but this."""
    waiting = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    unset = {k: v for k, v in os.environ.items() if k not in waiting}
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        cwd=ROOT,
        env=unset | env,
        capture_output=True,
        encoding="utf-8",
    )


def test_waiting_is_passive():
    for code in ("import fer_utils", "import fer_utils, torch"):
        done = python(f"{code}\n{SHOW}")
        assert done.returncode == 0 and done.stdout == "PASSIVE\n"
        assert "torch was imported" not in done.stderr


def test_torch_before_the_package_is_said_once():
    code = "import torch\nimport fer_utils\nimport fer_utils.config, fer_utils.data\n"
    done = python(code + SHOW)
    assert done.stdout == "PASSIVE\n", "for processes that this one starts"
    assert done.stderr.count("torch was imported before fer_utils") == 1
    assert done.stderr.startswith("<string>:2: UserWarning: "), "the learner's own line"


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "1000"),
        ({"OMP_WAIT_POLICY": "passive"}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_threads_spin_for_a_moment_before_they_sleep(given, spins):
    code = "import os, fer_utils; print(os.environ.get('GOMP_SPINCOUNT'))"
    assert python(code, **given).stdout == f"{spins}\n"


@pytest.mark.parametrize("policy", ["ACTIVE", ""])
def test_a_policy_that_is_set_is_kept(policy):
    done = python(f"import torch, fer_utils\n{SHOW}", OMP_WAIT_POLICY=policy)
    assert done.stdout == f"{policy}\n" and "torch was imported" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_computes_on_one_thread():
    # With the parent's threads it would wait for ever for threads that it lacks.
    code = """
import os, fer_utils, torch
torch.set_num_threads(2)
big = torch.ones(600, 600)
big @ big
if child := os.fork():
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
big @ big
os._exit(torch.get_num_threads())
"""
    done = python(code, OMP_NUM_THREADS="2")
    assert done.returncode == 1, done.stderr


# --- Apple's GPU ----------------------------------------------------------------------


def test_channels_last_everywhere_but_on_apples_gpu():
    formats = {"cpu": torch.channels_last, "cuda": torch.channels_last}
    formats |= {"mps": torch.contiguous_format}
    for name, wanted in formats.items():
        assert device.memory_format(torch.device(name)) == wanted


def test_what_apples_gpu_lacks_falls_back():
    show = "import os, fer_utils; print(os.environ['PYTORCH_ENABLE_MPS_FALLBACK'])"
    for own, wanted in (({}, "1"), ({"PYTORCH_ENABLE_MPS_FALLBACK": "0"}, "0")):
        command = [sys.executable, "-c", show]
        done = subprocess.run(command, env=os.environ | own, capture_output=True)
        assert done.stdout.decode().strip() == wanted
