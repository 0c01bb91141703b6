"""What the Lambda function costs: size, cold start, memory, time for each call.

    python bench/aws.py [--calls 50]

Makes a fresh virtual environment, installs the package of this checkout and AWS's
runtime client, as deploy/lambda/Containerfile does, and serves the handler through that
client against a small stand-in of Lambda's runtime API on this machine.
"""

import argparse
import base64
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from install import megabytes

ROOT = Path(__file__).resolve().parents[1]
PORTRAIT = ROOT / "fer_utils" / "photos" / "astronaut.jpg"
HANDLER = "fer_utils.apps.aws.lambda_handler"
TARGETS = {"MB": 250, "cold start": 2.0, "memory": 300}


class Runtime(ThreadingHTTPServer):
    """Lambda's runtime API, as far as a client needs it: next event, its response."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Calls)
        self.events, self.answers = queue.Queue(), queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Say nothing of clients that were stopped."""

    @property
    def address(self) -> str:
        return "{}:{}".format(*self.server_address)

    def ask(self, event, timeout: float = 60) -> dict:
        """Return what the function answers to an event."""
        self.events.put(json.dumps(event).encode())
        return json.loads(self.answers.get(timeout=timeout))


class Calls(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # .../runtime/invocation/next
        event = self.server.events.get()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": "1",
            "Lambda-Runtime-Deadline-Ms": str(int(1000 * (time.time() + 30))),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:1:function:fer",
            "Content-Type": "application/json",
            "Content-Length": str(len(event)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):  # .../response, or .../error
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.put(body)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def install(folder: Path) -> Path:
    """Install what the container holds into a folder; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run([*pip, ROOT, "awslambdaric"], check=True)
    return python


def start(python: Path, runtime: Runtime) -> subprocess.Popen:
    """Start AWS's runtime client with our handler."""
    named = {"AWS_LAMBDA_RUNTIME_API": runtime.address, "_HANDLER": HANDLER}
    command = [python, "-m", "awslambdaric", HANDLER]
    return subprocess.Popen(command, cwd=python.parent, env=os.environ | named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=50)
    options = parser.parse_args()
    photo = base64.b64encode(PORTRAIT.read_bytes()).decode()
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare")
        venv.create(bare, with_pip=True)
        python = install(Path(folder, "venv"))
        size = megabytes(Path(folder, "venv")) - megabytes(bare)
        colds = []
        for _ in range(4):  # the first one compiles
            runtime, begun = Runtime(), time.perf_counter()
            process = start(python, runtime)
            try:
                answer = runtime.ask({"image": photo})
                colds.append(time.perf_counter() - begun)
                times = []
                for _ in range(options.calls):
                    begun = time.perf_counter()
                    runtime.ask({"image": photo})
                    times.append(1000 * (time.perf_counter() - begun))
                memory = psutil.Process(process.pid).memory_info().rss / 1e6
            finally:
                process.kill()
                process.wait()
    print(f"answer      {answer['predicted_class']}, model {answer['model']}")
    print(f"installed   {size:6.0f} MB   (Lambda's limit for a zip: {TARGETS['MB']})")
    print(f"cold start  {min(colds[1:]):6.2f} s    (at most {TARGETS['cold start']})")
    print(f"memory      {memory:6.0f} MB   (at most {TARGETS['memory']})")
    print(f"a call      {statistics.median(times):6.1f} ms   (median)")


if __name__ == "__main__":
    main()
