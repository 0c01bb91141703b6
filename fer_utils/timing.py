"""How long something takes: wall clock, in turn, the best of several."""

import sys
import time
from collections.abc import Callable


def fastest(
    calls: dict[str, Callable[[], object]], rounds: int = 7
) -> dict[str, float]:
    """Return the least wall-clock seconds that each call took.

    Each is called once to warm up, then all of them in turn, `rounds` times: whatever
    else the machine does disturbs all alike, and the least time is the least disturbed
    one. (Times of the process alone would miss the work of other threads.)
    """
    best = dict.fromkeys(calls, float("inf"))
    for number in range(rounds + 1):
        for name, call in calls.items():
            wait_for_gpu()
            start = time.perf_counter()
            call()
            wait_for_gpu()
            if number:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def wait_for_gpu() -> None:
    """Wait until a GPU has done what it was given; it only queues the work."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch and torch.backends.mps.is_available():
        torch.mps.synchronize()
