"""One predictor in several processes and threads: no hang, no setting left behind."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from fer_utils.models import load_model
from fer_utils.photos import PORTRAIT, Predictor

SECONDS = 100  # after which a worker counts as hanging

# The parent uses its threads, PyTorch's, before the workers begin: a
# forked worker must not wait for them, because they do not exist in it.
SCRIPT = """
import multiprocessing
import sys

import numpy as np

from fer_utils import Predictor

predictor = Predictor.load()


def answers(_=None):
    one, many = (np.zeros((count, 48, 48), np.uint8) for count in (1, 100))
    (face,) = predictor.predict(sys.argv[2])
    rows = [predictor.probabilities(crops, views=1)[0] for crops in (one, many)]
    return [[*face.probabilities.values()], *rows]


if __name__ == "__main__":
    expected = answers()
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        for found in pool.map_async(answers, range(4)).get(int(sys.argv[3])):
            assert np.allclose(found, expected, atol=1e-3)
    print("done")
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_worker_processes(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, "utf-8")
    done = subprocess.run(
        [sys.executable, script, method, PORTRAIT, str(SECONDS)],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        timeout=2 * SECONDS,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout == "done\n", done.stderr


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_keep_their_number(two_threads, monkeypatch):
    """PyTorch computes one face on one thread; no other thread is limited by that."""
    model = load_model()
    predictor, seen, forward = Predictor(model), set(), model.forward

    def watched(images):
        seen.add((len(images), torch.get_num_threads()))
        return forward(images)

    def predict(count):
        predictor.probabilities(np.zeros((count, 48, 48), np.uint8), views=1)

    monkeypatch.setattr(model, "forward", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(predict, [1, 100] * 8))
    assert {threads for count, threads in seen if count == 1} == {1}
    assert {threads for count, threads in seen if count > 1} == {2}
    found = [torch.get_num_threads()]
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [2, 2]
