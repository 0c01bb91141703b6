"""What the Lambda function costs: megabytes, a cold start, memory, a warm answer.

    python bench/aws.py [--calls 50] [--keep FOLDER]

Follows deploy/lambda/Containerfile without a container: copies and installs what it
says, then serves the handler by AWS's own client, for a runtime interface of our own.
Lambda counts from the start of the process; so do the seconds here. On a machine that
is busy, seconds of CPU time are the ones to compare.
"""

import argparse
import base64
import json
import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
from install import megabytes

ROOT = Path(__file__).resolve().parents[1]
CONTAINERFILE = ROOT / "deploy" / "lambda" / "Containerfile"
PORTRAIT = ROOT / "fer_utils" / "photos" / "astronaut.jpg"
# Of an event; where one of them is missing, AWS's client may crash.
HEADERS = {
    "Content-Type": "application/json",
    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:local:0:function:fer",
    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
}
TARGETS = {"megabytes": 250, "seconds": 2, "memory": 300}


class Runtime(ThreadingHTTPServer):
    """AWS's runtime interface: hands out events, takes answers.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Requests)
        self.events, self.answers = queue.Queue(), queue.Queue()

    def ask(self, event: object, seconds: float = 60) -> object:
        """Return the function's answer to an event; `queue.Empty` if none comes."""
        self.events.put(event)
        return self.answers.get(timeout=seconds)

    def handle_error(self, *_):
        """Say nothing of a function that was stopped while it waited."""


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # .../runtime/invocation/next
        event = json.dumps(self.server.events.get()).encode()
        deadline = str(int(time.time() * 1000) + 30_000)
        self.answer(200, event, HEADERS | {"Lambda-Runtime-Deadline-Ms": deadline})

    def do_POST(self):  # .../response or .../error
        length = int(self.headers["Content-Length"])
        self.server.answers.put(json.loads(self.rfile.read(length)))
        self.answer(202, b"{}")

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def build(folder: Path, containerfile: Path = CONTAINERFILE) -> tuple[Path, Path]:
    """Copy and install in `folder` as a Containerfile says.

    Returns a Python that has nothing else, and the folder of packages.
    """
    text = containerfile.read_text("utf-8").partition("\nFROM ")[2]
    steps = text.partition("\nFROM ")[0].replace("\\\n", " ")
    sources, packages = folder / "src", folder / "packages"
    sources.mkdir(parents=True)
    for line in re.findall(r"^COPY (.+)$", steps, re.MULTILINE):
        *names, target = shlex.split(line)
        for path in (ROOT / name for name in names):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, sources / target)
    venv.create(folder / "python", with_pip=True)
    python = folder / "python" / "bin" / "python"
    (command,) = re.findall(r"^RUN python (.+)$", steps, re.MULTILINE)
    arguments = shlex.split(command.replace("/opt/fer", str(packages)))
    arguments.append("--disable-pip-version-check")
    subprocess.run(
        [python, *arguments], cwd=sources, check=True, capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    return python, packages


@contextmanager
def serving(python: Path, packages: Path):
    """Start the function in a process of its own; yield it, and its runtime."""
    (command,) = re.findall(r'^CMD \["(.+)"\]$', CONTAINERFILE.read_text("utf-8"), re.M)
    with Runtime() as runtime:
        threading.Thread(target=runtime.serve_forever, daemon=True).start()
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(packages),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime.server_port}",
        }
        process = subprocess.Popen(
            [python, "-m", "awslambdaric", command], env=environment, cwd=packages
        )
        try:
            yield process, runtime
        finally:
            process.kill()
            process.wait()
            runtime.shutdown()


def measure(python: Path, packages: Path, calls: int = 50) -> dict:
    """Start the function, ask it for the portrait, and return what that took.

    Seconds to the first answer (by the clock, and of CPU time), milliseconds of the
    median of `calls` further ones, peak memory and size in MB; and the last answer.
    """
    photo = base64.b64encode(PORTRAIT.read_bytes()).decode()
    event = {"requestContext": {}, "body": photo, "isBase64Encoded": True}
    start = time.perf_counter()
    with serving(python, packages) as (process, runtime):
        answer = runtime.ask(event)
        cold = time.perf_counter() - start
        watched = psutil.Process(process.pid)
        cold_cpu = sum(watched.cpu_times()[:2])
        taken = []
        for _ in range(calls):
            start = time.perf_counter()
            answer = runtime.ask(event)
            taken.append((time.perf_counter() - start) * 1000)
        warm_cpu = (sum(watched.cpu_times()[:2]) - cold_cpu) / calls * 1000
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6
    return {
        "cold": cold,
        "cold_cpu": cold_cpu,
        "warm": float(np.median(taken)),
        "warm_cpu": warm_cpu,
        "memory": peak,
        "megabytes": megabytes(packages),
        "answer": answer,
    }


def table(found: dict) -> str:
    """Return what was measured, beside the targets, a line each."""
    return (
        f"unzipped size       {found['megabytes']:6.0f} MB   "
        f"(at most {TARGETS['megabytes']})\n"
        f"cold start          {found['cold']:6.2f} s    "
        f"(at most {TARGETS['seconds']}; CPU time {found['cold_cpu']:.2f} s)\n"
        f"peak memory         {found['memory']:6.0f} MB   "
        f"(at most {TARGETS['memory']})\n"
        f"a warm answer, p50  {found['warm']:6.1f} ms   "
        f"(CPU time {found['warm_cpu']:.1f} ms)"
    )


def main() -> None:
    """Build, measure three starts and print the quickest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=50, help="warm ones")
    parser.add_argument("--keep", type=Path, help="build there, and leave it")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("AWS's client runs on Linux only")
    with tempfile.TemporaryDirectory() as scratch:
        built = build((options.keep or Path(scratch) / "fer").resolve())
        starts = [measure(*built, options.calls) for _ in range(3)]
    print(table(min(starts, key=lambda found: found["cold"])))


if __name__ == "__main__":
    main()
