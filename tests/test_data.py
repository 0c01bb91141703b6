"""One load: where the data comes from, its cache; splits, classes, duplicates."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import PIXELS, kaggle, pack

from fer_utils import files
from fer_utils.config import config
from fer_utils.data import FER2013, PROTOCOLS, load, load_fer2013
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """An empty cache folder of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(load, "config", replace(config, cache=folder))
    return folder


@pytest.fixture
def source(tmp_path):
    return pack(kaggle(tmp_path / "fer2013"), "zip")


@pytest.fixture
def undecodable(monkeypatch):
    """From here on, only the cache can give data."""

    def fail(path):
        raise AssertionError(f"{path} is decoded again")

    return lambda: monkeypatch.setattr(load, "read_source", fail)


def same(one: FER2013, other: FER2013) -> bool:
    fields = ("images", "labels", "usage", "names")
    return all(np.array_equal(getattr(one, f), getattr(other, f)) for f in fields)


def refusal(*source) -> str:
    with pytest.raises(FerError) as caught:
        load_fer2013(*source)
    text = str(caught.value)
    assert "\n" not in text and "; " in text
    return text


# --- The source ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample():
    return load_fer2013()  # FER_DATA=sample, see conftest.py


def test_sample_is_always_there(sample):
    assert repr(sample) == (
        "FER2013 from the embedded sample: 1,120 images "
        "(800 Training · 160 PublicTest · 160 PrivateTest)"
    )


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_path(empty):
    assert refusal(empty).startswith("the path is empty; use a folder")


@pytest.mark.parametrize("path", ["gone.zip", "~nobody-here/x", "a" * 5000, "a\0b"])
def test_missing_path(path):
    assert refusal(path).startswith(f"{path}: ")


def test_environment_names_a_missing_path(monkeypatch):
    monkeypatch.setattr(load, "config", replace(config, data="gone.zip"))
    assert refusal() == "gone.zip: nothing there; check the path or FER_DATA"


def test_source_is_named(source, monkeypatch):
    assert load_fer2013(source).source == "fer2013.zip"
    monkeypatch.chdir(source.parent)
    assert load_fer2013("fer2013").source == "fer2013"
    assert same(load_fer2013("./fer2013"), load_fer2013(source))


@contextmanager
def as_nobody():
    """Without the rights of root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("closed", ["train", "train/fear/Training_8.jpg"])
def test_unreadable(closed):
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        folder = kaggle(Path(top) / "fer2013")
        os.chmod(folder / closed, 0)
        with as_nobody():
            text = refusal(folder)
        os.chmod(folder / closed, 0o700)
    assert text.startswith(f"{folder / closed}: Permission denied; check")


# --- Kaggle -------------------------------------------------------------------------


@pytest.fixture
def kaggle_cache(tmp_path, monkeypatch):
    """An empty cache of kagglehub; nothing chosen, so that Kaggle is tried."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setattr(load, "config", replace(config, data=""))
    return tmp_path / "kagglehub"


@pytest.fixture
def reachable(monkeypatch):
    """The calls that ask whether Kaggle answers; here it does."""
    calls = []

    def head(url, timeout):
        calls.append((url, timeout))

    monkeypatch.setattr("httpx.head", head)
    return calls


@pytest.fixture
def offline(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


def test_no_network(kaggle_cache, offline, capsys):
    text = refusal("kaggle")
    assert text.startswith("FER2013 could not be downloaded from Kaggle (no conn")
    assert "set FER_DATA" in text
    capsys.readouterr()
    assert load_fer2013().source == "the embedded sample"
    said = capsys.readouterr().out
    assert "no connection" in said and "Using the embedded sample" in said


def test_kaggle_is_asked_whether_it_answers(
    kaggle_cache, reachable, monkeypatch, tmp_path
):
    def download(handle):
        assert reachable, "kagglehub alone would wait for ever"
        return str(kaggle(tmp_path / handle))

    monkeypatch.setattr("kagglehub.dataset_download", download)
    assert load_fer2013().source == "Kaggle"
    assert reachable == [(load.KAGGLE_URL, load.PATIENCE)]
    assert 5 <= load.PATIENCE <= 20, "seconds"


def test_network_that_never_answers(kaggle_cache, monkeypatch, capsys):
    def hang(handle):
        raise AssertionError("kagglehub would wait for ever")

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and says nothing
        where = (socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [where])
        monkeypatch.setattr("kagglehub.dataset_download", hang)
        monkeypatch.setattr(load, "PATIENCE", 0.1)
        start = time.monotonic()
        assert "(no connection)" in refusal("kaggle")
        assert load_fer2013().source == "the embedded sample"
        assert time.monotonic() - start < 10
    assert "no connection" in capsys.readouterr().out


def test_kagglehub_that_fails(kaggle_cache, reachable, monkeypatch):
    def fail(handle):
        raise RuntimeError("403 Forbidden.\nMore lines.")

    monkeypatch.setattr("kagglehub.dataset_download", fail)
    assert "from Kaggle (403 Forbidden.); check the network" in refusal("kaggle")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert "pip install 'fer-utils[course]'" in refusal("kaggle")


def test_earlier_download_is_used_offline(kaggle_cache, offline, reachable):
    folder = kaggle(load.kaggle_cache())
    assert folder.is_relative_to(kaggle_cache)
    (folder.parents[1] / "1.complete").touch()
    for chosen in ("kaggle", None):
        loaded = load_fer2013(chosen)
        assert loaded.source == "Kaggle" and len(loaded) == 28
    assert not reachable, "nothing to ask Kaggle for"


def test_the_second_load_does_not_look_at_35903_files(
    kaggle_cache, offline, reachable, monkeypatch
):
    folder = kaggle(load.kaggle_cache())
    (folder.parents[1] / "1.complete").touch()
    first = load_fer2013()
    for name in ("list_files", "read_source"):
        monkeypatch.setattr(load, name, pytest.fail)
    assert same(load_fer2013(), first)


def test_a_kaggle_notebook_without_internet(kaggle_cache, offline, monkeypatch):
    """There the data are attached by hand, and kagglehub only says where."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    attached = kaggle(kaggle_cache / "input" / "fer2013")
    monkeypatch.setattr("kagglehub.dataset_download", lambda handle: str(attached))
    assert load_fer2013().source == "Kaggle"


def test_drawn_faces_are_announced_in_large_letters(monkeypatch):
    shown = []
    monkeypatch.setattr(load, "banner", lambda *texts: shown.append(texts))
    load_fer2013("sample")
    assert not shown, "asked for by name"
    monkeypatch.setattr(load, "config", replace(load.config, data="sample"))
    load_fer2013()
    ((title, text),) = shown
    assert "<b>drawn faces</b>, not FER2013" in title and "FER_DATA" in text


def test_kaggles_own_folder(monkeypatch):
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/learner")
    home = Path("/home/learner/.cache/kagglehub/datasets/msambare/fer2013/versions/1")
    assert load.kaggle_cache() == home


# --- The cache ----------------------------------------------------------------------


def test_decoded_once(source, kept, undecodable):
    first = load_fer2013(source)
    (file,) = kept.iterdir()
    undecodable()
    assert same(load_fer2013(source), first)
    os.utime(source)
    with pytest.raises(AssertionError, match="decoded again"):
        load_fer2013(source)
    assert list(kept.iterdir()) == [file]


def test_changed_folder_is_decoded_again(tmp_path):
    folder = kaggle(tmp_path / "fer2013")
    assert len(load_fer2013(folder)) == 28
    (folder / "train" / "fear" / "Training_8.jpg").unlink()
    assert len(load_fer2013(folder)) == 27


def test_names_that_are_not_unicode(tmp_path):
    folder = kaggle(tmp_path / os.fsdecode(b"T\xe9l\xe9chargements"))
    face = folder / "test" / "sad"
    next(face.glob("*")).rename(face / os.fsdecode(b"PublicTest_\xff.jpg"))
    assert same(load_fer2013(folder), load_fer2013(folder))


def test_bad_source_leaves_no_cache(source, kept):
    source.write_bytes(source.read_bytes()[:-900])
    refusal(source)
    assert not kept.exists() or not list(kept.iterdir())


def damage(kind: str, whole: bytes) -> bytes:
    if kind == "empty":
        return b""
    if kind == "cut":
        return whole[: len(whole) // 2]
    if kind == "text":
        return b"not a cache\n"
    if kind == "array":
        return b"\x93NUMPY" + whole[:200]
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.mark.parametrize("kind", ["empty", "cut", "text", "array", "bit"])
def test_damaged_cache(source, kept, kind, capsys, undecodable):
    first = load_fer2013(source)
    (file,) = kept.iterdir()
    file.write_bytes(damage(kind, file.read_bytes()))
    capsys.readouterr()
    assert same(load_fer2013(source), first)
    said = capsys.readouterr().out
    assert said.startswith(f"{file}: not usable (") and said.count("\n") == 1
    undecodable()
    assert same(load_fer2013(source), first), "the cache is whole again"


def test_foreign_file_in_the_cache(source, kept, capsys):
    first = load_fer2013(source)
    (file,) = kept.iterdir()
    with file.open("wb") as stream:
        np.savez(stream, weights=np.zeros(3))
    assert same(load_fer2013(source), first)
    assert "not usable" in capsys.readouterr().out


@contextmanager
def disk_of(size: int):
    """No file may grow beyond `size` bytes: a full disk, without filling one."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_full_disk(source, kept, capfd):
    with disk_of(30_000):
        loaded = load_fer2013(source)
    assert len(loaded) == 28, "the data is there all the same"
    said = capfd.readouterr().out
    assert "could not be cached" in said and "(File too large)" in said
    assert "set FER_CACHE to another folder" in said
    assert not list(kept.iterdir())
    assert same(load_fer2013(source), loaded)
    assert len(list(kept.iterdir())) == 1


def test_cache_folder_that_cannot_be(source, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    impossible = replace(config, cache=tmp_path / "file" / "cache")
    monkeypatch.setattr(load, "config", impossible)
    assert len(load_fer2013(source)) == 28
    assert "set FER_CACHE to another folder" in capsys.readouterr().out


def test_interrupted_writing(source, kept, monkeypatch):
    def stop(path, data):
        with path.open("wb") as file:
            file.write(data[:1000])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", stop)
        with pytest.raises(KeyboardInterrupt):
            load_fer2013(source)
    assert not list(kept.iterdir())


WRITER = """
import sys, time
from pathlib import Path
from fer_utils.data import load_fer2013

def half(path, data):
    with path.open("wb") as file:
        file.write(data[:10_000])
    print("writing", flush=True)
    time.sleep(60)

Path.write_bytes = half
load_fer2013(sys.argv[1])
"""


def test_killed_while_writing(source, kept, undecodable):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, source],
        env=os.environ | {"FER_CACHE": str(kept)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert writer.stdout.readline() == b"writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    (left,) = kept.iterdir()
    loaded = load_fer2013(source)
    assert len(loaded) == 28 and left.exists(), "it might still be written"
    os.utime(left, (0, time.time() - 4000))
    (unrelated := kept / "film.part").write_bytes(b"half a download")
    os.utime(unrelated, (0, 0))
    os.utime(source)
    files._remove_abandoned.cache_clear()  # as in another process
    load_fer2013(source)
    assert not left.exists() and unrelated.exists()
    undecodable()
    assert same(load_fer2013(source), loaded)


def test_loads_at_the_same_time(source, kept):
    loaded = []
    threads = [
        threading.Thread(target=lambda: loaded.append(load_fer2013(source)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4 and all(same(loaded[0], other) for other in loaded)
    assert [file.suffix for file in kept.iterdir()] == [".npz"]


# --- Splits, classes, duplicates ----------------------------------------------------


def made(usage: list[str], labels=None, images=None) -> FER2013:
    """FER2013 of distinct images, unless given."""
    count = len(usage)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)
    labels = np.arange(count) % 7 if labels is None else np.array(labels)
    names = np.array([f"row {i}" for i in range(count)])
    return FER2013(images, labels, np.array(usage), names, "made up")


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [
        ("official", (800, 160, 160)),
        ("course", (640, 160, 320)),
        ("csv", (768, 192, 160)),
    ],
)
def test_split(sample, protocol, sizes):
    assert protocol in sample.protocols
    parts = sample.split(protocol)
    assert tuple(map(len, parts)) == sizes
    names = np.concatenate([part.names for part in parts])
    assert len(set(names)) == len(names) == len(sample), "disjoint, and all of it"
    assert parts.train.clean.all()
    for part in parts[1:]:
        seen = {image.tobytes() for image in parts.train.images}
        clean = [image.tobytes() not in seen for image in part.images]
        assert np.array_equal(part.clean, clean) and not all(clean)


@pytest.mark.parametrize("protocol", ["course", "csv"])
def test_held_out_parts(sample, protocol):
    train, val, test = sample.split(protocol)
    shares = [part.counts() / len(part) for part in (train, val)]
    assert np.abs(shares[0] - shares[1]).max() < 0.01, "stratified"
    again, other = sample.split(protocol, seed=0), sample.split(protocol, seed=1)
    assert same(again.val, val) and same(again.test, test)
    assert not np.array_equal(other.val.names, val.names)
    assert same(other.test, test), "the test part depends on no seed"


@pytest.mark.parametrize("protocol", ["random", "", "Official"])
def test_unknown_protocol(sample, protocol):
    with pytest.raises(FerError, match=", ".join(PROTOCOLS)):
        sample.split(protocol)


def test_split_of_what_is_not_there():
    no_private = made(["Training"] * 70 + ["PublicTest"] * 14)
    for protocol in ("official", "csv"):
        with pytest.raises(FerError, match=r"no images for .*; try split\('course'\)"):
            no_private.split(protocol)
    assert len(no_private.split("course").test) == 14
    assert no_private.protocols == ("course",)
    only_training = made(["Training"] * 70)
    assert only_training.protocols == ("course",)
    assert list(map(len, only_training.split("course"))) == [56, 14, 0]
    assert made(["PublicTest"] * 70).protocols == ()
    with pytest.raises(FerError, match=r"no images for .*; use fer2013\.csv"):
        made(["PublicTest"] * 70).split()
    for rare in (made(["Training"] * 8), made(["PrivateTest"] * 8)):
        with pytest.raises(FerError, match="made up: too few images to hold out"):
            rare.split("course")


def test_classes(sample):
    three = sample.with_classes("happy, sad, neutral")
    assert three.classes == ("happy", "sad", "neutral")
    of_sample = dict(zip(EMOTIONS, sample.counts(), strict=True))
    assert list(three.counts()) == [of_sample[name] for name in three.classes]
    assert sample.with_classes("all") is sample
    assert three.with_classes("happy,sad,neutral") is three
    merged = sample.with_classes("angry+disgust, happy")
    assert merged.counts()[0] == of_sample["angry"] + of_sample["disgust"]
    with pytest.raises(FerError, match="already chosen; use the data with all seven"):
        three.with_classes("happy, sad")


def test_select_keeps_things_together(sample):
    _, val, _ = sample.split()
    part = val.select(val.labels == 3)
    assert set(part.labels) == {3} and len(part.clean) == len(part)
    assert part.names[0] in val.names and part.source == val.source


def test_audit():
    a, b, c, d, blank = [*PIXELS[:4], np.full((48, 48), 9, np.uint8)]
    found = made(
        ["Training"] * 5 + ["PublicTest"] * 3 + ["PrivateTest"] * 2,
        labels=[0, 0, 1, 2, 6, 0, 5, 3, 3, 4],
        images=np.stack([a, a, b, c, blank, a, b, d, d, blank]),
    ).audit()
    assert found.redundant == 5  # a twice, b, d, blank
    assert found.conflicting == 2  # b: 1 and 5; blank: 6 and 4
    assert found.copies == {"PublicTest": 2, "PrivateTest": 1}  # d is in no Training
    assert found.blank == 2
