"""Files are written whole or not at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fer_utils.errors import FerError
from fer_utils.files import UNFINISHED, write_atomic


def test_written_whole(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomic(path, b"one")
    write_atomic(path, memoryview(b"two"))
    assert path.read_bytes() == b"two" and list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    for target in (path / "below", tmp_path):
        with pytest.raises(FerError, match=r"cannot be written \(\w+.* run the same"):
            write_atomic(target, b"two")
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]


def test_longest_name(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomic(path, b"one")
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_interrupted(tmp_path, monkeypatch, failure):
    path = tmp_path / "file"
    write_atomic(path, b"before")

    def stop(self, data):
        with self.open("wb") as file:
            file.write(data[:2])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises((FerError, KeyboardInterrupt)):
        write_atomic(path, b"after")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_several_writers_at_once(tmp_path):
    path = tmp_path / "new" / "file"
    bodies = [bytes([number]) * 1_000_000 for number in range(8)]
    seen = set()

    def write(body):
        for _ in range(10):
            write_atomic(path, body)
            seen.add(path.read_bytes())

    threads = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(bodies), "a reader saw a part, or a mixture"
    assert path.read_bytes() in bodies and list(path.parent.iterdir()) == [path]


WRITER = """
import sys, time
from pathlib import Path
from fer_utils.files import write_atomic

def half(path, data):
    with path.open("wb") as file:
        file.write(data[:2])
    print("writing", flush=True)
    time.sleep(60)

Path.write_bytes = half
write_atomic(Path(sys.argv[1]), b"after")
"""


def kill_while_writing(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)


def test_writer_that_was_killed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    kill_while_writing(path)
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.suffix == UNFINISHED and path.read_bytes() == b"before"
    write_atomic(path, b"now")
    assert left.exists(), "it might still be written"


def test_what_a_killed_writer_left_is_removed(tmp_path):
    path = tmp_path / "file"
    kill_while_writing(path)
    (left,) = tmp_path.iterdir()
    (unrelated := tmp_path / "film.part").write_bytes(b"half a download")
    for old in (left, unrelated):
        os.utime(old, (0, time.time() - 4000))
    write_atomic(tmp_path / "another file", b"now")
    assert not left.exists() and unrelated.exists()
