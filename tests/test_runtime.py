"""ONNX Runtime, wrapped: damaged files, threads, forked and pickled sessions."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fer_utils.errors import FerError
from fer_utils.photos.network import INPUT
from fer_utils.runtime import Session
from fer_utils.shipped import weights_path

FACES = np.linspace(0, 1, 2 * 48 * 48, dtype=np.float32).reshape(2, 1, 48, 48)
SHIPPED = weights_path(None, ".onnx")
SESSION = Session(SHIPPED.read_bytes())
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked")


def answers(session: Session) -> list:
    return session.run(**{INPUT: FACES})[0].tolist()


@pytest.mark.parametrize("cut", [0, 10, 100_000])
def test_damaged_files_are_named(cut):
    with pytest.raises(FerError, match=r"not a network in ONNX format .*export it"):
        Session(SHIPPED.read_bytes()[:cut])


def test_several_threads_use_one_session():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(answers, [SESSION] * 16))
    assert all(np.allclose(one, found[0], atol=1e-6) for one in found)


@FORKS
def test_a_forked_process_gets_the_same_answers():
    expected = answers(SESSION)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(answers_here, range(4)).get(60)
    assert np.allclose(found, [expected] * 4, atol=1e-6)


def answers_here(_) -> list:
    return answers(SESSION)


@FORKS
def test_a_forked_process_ends():
    """A thread of ONNX Runtime's own would be missing in it, and be waited for."""
    code = f"""if True:
        import os, sys
        from fer_utils.photos.network import OnnxNetwork
        network = OnnxNetwork({str(SHIPPED)!r})
        if os.fork():
            sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        sys.exit(7)
    """
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 7


def test_a_session_survives_pickling():
    again = pickle.loads(pickle.dumps(SESSION))
    assert np.allclose(answers(again), answers(SESSION), atol=1e-6)
