"""How fast `fer serve` answers one client, and many clients at once.

    python bench/serve.py [--requests 200] [--clients 16] [--seconds 60]

One client first: /predict on the 512x512 portrait, request after request. Then many at
once; a client that is told to try again (503) waits a tenth of a second.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import numpy as np
import psutil

from fer_utils.device import hardware
from fer_utils.photos import PORTRAIT

SERVE = [sys.executable, "-m", "fer_utils", "serve", "--port", "0"]
WARM_UP = 20
TARGETS = {"p50": 25, "p99": 80, "net": 4, "rss": 400}


def ask(client: httpx.Client, photo: bytes) -> tuple[int, float]:
    """Return the status (0: no answer) and the milliseconds of one request."""
    start = time.perf_counter()
    try:
        status = client.post("/predict", files={"file": photo}).status_code
    except httpx.HTTPError:
        status = 0
    return status, (time.perf_counter() - start) * 1000


def ask_at_once(url: str, photo: bytes, clients: int, seconds: float) -> list[tuple]:
    """Ask from `clients` threads for `seconds`; return every status and its time."""
    answers, deadline = [], time.monotonic() + seconds

    def one() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while time.monotonic() < deadline:
                answer = ask(client, photo)
                answers.append(answer)
                if answer[0] == 503:
                    time.sleep(0.1)

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def net_milliseconds() -> float:
    """The network alone on one crop: median of 100."""
    from fer_utils.photos import Predictor

    predictor = Predictor.load()
    crop = np.random.default_rng(0).integers(0, 256, (1, 48, 48), np.uint8)
    taken = []
    for _ in range(110):
        start = time.perf_counter()
        predictor.probabilities(crop, views=1)
        taken.append((time.perf_counter() - start) * 1000)
    return float(np.median(taken[10:]))


def row(name: str, value: str, target: str = "") -> None:
    """Print a line of the table."""
    print(f"| {name:44} | {value:>22} | {target:>9} |")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    photo = PORTRAIT.read_bytes()

    with subprocess.Popen(SERVE, encoding="utf-8", stdout=subprocess.PIPE) as server:
        try:
            line = server.stdout.readline()
            url = line.partition(" at ")[2].split()[0]
            memory = psutil.Process(server.pid).memory_info
            with httpx.Client(base_url=url, timeout=60) as client:
                answers = [
                    ask(client, photo) for _ in range(WARM_UP + options.requests)
                ]
            assert {status for status, _ in answers} == {200}, "not every answer is 200"
            p50, p99 = np.percentile([ms for _, ms in answers[WARM_UP:]], [50, 99])
            # Every slot at work once, then the count begins.
            ask_at_once(url, photo, options.clients, min(5, options.seconds))
            before = memory().rss / 1e6
            many = ask_at_once(url, photo, options.clients, options.seconds)
            after = memory().rss / 1e6
        finally:
            server.terminate()

    print("\n{cpu}, {cores} cores, Python {python}\n".format(**hardware()))
    row("/predict, one 512x512 photo, one face", "measured", "target")
    print(f"|{'-' * 46}|{'-' * 23}:|{'-' * 10}:|")
    row(f"p50 of {options.requests}", f"{p50:.1f} ms", f"{TARGETS['p50']} ms")
    row(f"p99 of {options.requests}", f"{p99:.1f} ms", f"{TARGETS['p99']} ms")
    row("the network alone", f"{net_milliseconds():.2f} ms", f"{TARGETS['net']} ms")
    counts = Counter(status for status, _ in many)
    crowd = np.percentile([ms for status, ms in many if status == 200], [50, 99])
    busy, good, total = counts.pop(503, 0), counts.pop(200, 0), sum(counts.values())
    load = f"{options.clients} clients, {options.seconds:g} s"
    row(f"{load}: answers a second", f"{good / options.seconds:.1f}")
    row(f"{load}: p50 of these", f"{crowd[0]:.1f} ms")
    row(f"{load}: p99 of these", f"{crowd[1]:.1f} ms")
    row(f"{load}: told to try again (503)", f"{busy}")
    row(f"{load}: any other error", f"{total} {dict(counts) or ''}".strip(), "0")
    memories = f"{before:.0f} -> {after:.0f} MB"
    row("memory (RSS) before -> after", memories, f"{TARGETS['rss']} MB")


if __name__ == "__main__":
    main()
