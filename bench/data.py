"""How long FER2013 takes to load, and how much memory: fresh, and from the cache.

    python bench/data.py [SOURCE]        without SOURCE: FER_DATA

Each row is a process of its own. "wall" is what a user waits from the call to the
arrays; "CPU" is what the same work costs when other programs want the cores too.
"""

import json
import os
import subprocess
import sys
import tempfile

from fer_utils.config import config
from fer_utils.device import hardware

TARGETS = {"fresh": "≤ 20 s, ≤ 700 MB", "cached": "≤ 0.5 s"}
LOAD = """
import json, resource, sys, time
from fer_utils.data import load_fer2013

wall, cpu = time.perf_counter(), time.process_time()
data = load_fer2013(sys.argv[1])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak /= 2**20 if sys.platform == "darwin" else 2**10
print(json.dumps({"data": repr(data), "wall": wall, "cpu": cpu, "peak": peak}))
"""


def load(source: str, cache: str) -> dict:
    """Load in a new process; progress goes to the terminal, the figures come back."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, source],
        env=os.environ | {"FER_CACHE": cache},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else config.data
    if not source:
        print("bench/data.py: nothing to measure; name FER2013 in FER_DATA")
        return
    with tempfile.TemporaryDirectory() as cache:
        rows = {"fresh": load(source, cache), "cached": load(source, cache)}
    here = hardware()
    print(rows["fresh"]["data"])
    print(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}\n")
    print(f"{'load':8}{'wall':>9}{'CPU':>9}{'peak RSS':>11}   target")
    for name, row in rows.items():
        print(
            f"{name:8}{row['wall']:7.2f} s{row['cpu']:7.2f} s{row['peak']:8.0f} MB   "
            f"{TARGETS[name]}"
        )


if __name__ == "__main__":
    main()
