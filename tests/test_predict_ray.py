"""`fer predict --engine ray`: every photo once, whatever happens on the way."""

import os
import signal
import socket
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from fer_utils.apps import face_tables, predict_ray
from fer_utils.apps.predict_ray import predict_with_ray
from fer_utils.errors import FerError
from fer_utils.photos import PORTRAIT, Predictor, open_photo, to_frame

pytestmark = pytest.mark.timeout(300)
COUNT = 60


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Portraits in several sizes, one without a face, three that cannot be used."""
    folder = tmp_path_factory.mktemp("photos")
    portrait = open_photo(PORTRAIT)
    for number in range(COUNT):
        side = 240 + 4 * number
        portrait.resize((side, side)).save(folder / f"{number:02}.jpg")
    Image.new("RGB", (200, 200), "white").save(folder / "empty wall.png")
    (folder / "text.jpg").write_text("no photo", "utf-8")
    (folder / "nothing.jpg").touch()
    half = (folder / "00.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(half[: len(half) // 2])
    return folder


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One Ray for all tests: starting it takes seconds."""
    with predict_ray.running_ray():
        yield


@pytest.fixture(scope="module")
def answered(predictor, photos, tmp_path_factory):
    """The tables of a call that nothing disturbed."""
    out = tmp_path_factory.mktemp("out") / "tables"
    failed = predict_with_ray(predictor, [str(photos)], out)
    return out, failed


def frame(out) -> pd.DataFrame:
    """The tables, sorted, without the columns that only say where they are from."""
    found = pd.read_parquet(out).sort_values(["photo", "face"])
    return found.reset_index(drop=True)


def test_the_answers_are_those_of_the_plain_loop(answered, photos, predictor):
    found = frame(answered[0])
    good = found[found["face"] > 0].drop(columns="error").reset_index(drop=True)
    names = sorted(set(good["photo"]))
    expected = to_frame([predictor.predict(name) for name in names], names)
    assert len(names) == COUNT
    pd.testing.assert_frame_equal(good, expected, check_dtype=False, atol=1e-5)


def test_a_photo_without_an_answer_is_one_row(answered, photos):
    found, failed = frame(answered[0]), answered[1]
    rest = found[found["face"] == 0].set_index("photo")
    errors = {os.path.basename(name): error for name, error in rest["error"].items()}
    assert failed == 3 and len(rest) == 4
    assert pd.isna(errors["empty wall.png"])
    assert "accepted format" in errors["text.jpg"]
    assert errors["nothing.jpg"] == "the photo is empty"
    assert "damaged" in errors["half.jpg"]
    assert rest[["emotion", "confidence", "happy"]].isna().all(axis=None)


def test_a_second_call_has_nothing_to_do(answered, photos, predictor, monkeypatch):
    monkeypatch.setattr(predict_ray, "answers", None)
    assert predict_with_ray(predictor, [str(photos)], answered[0]) == 3


def test_a_stopped_call_keeps_its_answers_and_goes_on(
    answered, photos, predictor, tmp_path, monkeypatch
):
    whole = predict_ray.answers

    def stopped(*args, **options):
        for number, answer in enumerate(whole(*args, **options)):
            if number == 20:
                raise KeyboardInterrupt
            yield answer

    monkeypatch.setattr(predict_ray, "answers", stopped)
    monkeypatch.setattr(predict_ray, "PART", 8)
    with pytest.raises(KeyboardInterrupt):
        predict_with_ray(predictor, [str(photos)], tmp_path)
    assert len(set(frame(tmp_path)["photo"])) == 20
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(predict_ray, "answers", whole)
    assert predict_with_ray(predictor, [str(photos)], tmp_path) == 3
    pd.testing.assert_frame_equal(frame(tmp_path), frame(answered[0]), atol=1e-5)


def test_a_killed_worker_loses_nothing(
    answered, photos, predictor, tmp_path, monkeypatch
):
    killed = []

    def kill():
        while not killed:
            for process in psutil.process_iter(["name", "cmdline"]):
                title = " ".join(process.info["cmdline"] or [])
                if "ray::MapBatches(find)" in title:
                    process.send_signal(signal.SIGKILL)
                    killed.append(title)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    failed = predict_with_ray(predictor, [str(photos)], tmp_path)
    killed.append("the end")
    thread.join()
    assert "find" in killed[0], "no worker was at work"
    assert failed == 3
    pd.testing.assert_frame_equal(frame(tmp_path), frame(answered[0]), atol=1e-5)


def test_a_folder_of_other_answers_is_refused(answered, photos, predictor):
    with pytest.raises(FerError, match=r'abstain_below": 0.9.*name an empty'):
        predict_with_ray(predictor, [str(photos)], answered[0], abstain_below=0.9)


def test_a_folder_of_other_files_is_refused(photos, predictor):
    before = sorted(photos.iterdir())
    with pytest.raises(FerError, match="holds other files"):
        predict_with_ray(predictor, [str(photos)], photos)
    assert sorted(photos.iterdir()) == before


@pytest.mark.parametrize(
    "options", [{"views": 5}, {"abstain_below": 2}, {"min_size": 0}]
)
def test_wrong_options_are_named_before_anything_starts(
    photos, predictor, tmp_path, options, monkeypatch
):
    monkeypatch.setattr(predict_ray, "running_ray", None)
    with pytest.raises(FerError, match=str(next(iter(options.values())))):
        predict_with_ray(predictor, [str(photos)], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_is_named_at_once():
    with socket.socket() as held:  # bound, but nobody listens
        held.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(FerError, match=rf"{address}: nobody answers.*unset it"):
            predict_ray.check_address(address)
    with pytest.raises(FerError, match="nobody answers"):
        predict_ray.check_address("localhost:99999999")
    for kind in ("", "auto", "local"):
        predict_ray.check_address(kind)


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    tries = []

    def init(**_):
        tries.append("try")
        raise Exception("The current node timed out during startup. This could …")

    monkeypatch.setattr(predict_ray.ray, "init", init)
    monkeypatch.setattr(predict_ray.ray, "shutdown", lambda: None)
    with pytest.raises(FerError, match=r"does not start \(The current node timed out"):
        predict_ray.start_ray()
    assert len(tries) == 2


def test_a_file_is_no_folder(photos, predictor, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(FerError, match="this is a file"):
        predict_with_ray(predictor, [str(photos)], tmp_path / "out")


def test_a_damaged_table_is_named(photos, predictor, tmp_path):
    (tmp_path / "part-000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(FerError, match=r"part-000000.parquet: cannot be read.*delete"):
        predict_with_ray(predictor, [str(photos)], tmp_path)


def test_tables_of_another_program_are_left_alone(photos, predictor, tmp_path):
    table = tmp_path / "part-000000.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(table)
    with pytest.raises(FerError, match=r"of another program.*name an empty"):
        predict_with_ray(predictor, [str(photos)], tmp_path)
    table.rename(tmp_path / "part-abc.parquet")
    with pytest.raises(FerError, match="holds other files"):
        predict_with_ray(predictor, [str(photos)], tmp_path)


def test_a_second_network_cannot_join(answered, photos):
    other = Predictor.load("fer2013-labels")
    with pytest.raises(FerError, match=r"made with.*name an empty"):
        predict_with_ray(other, [str(photos)], answered[0])
    again = Predictor.load()  # the same name, another training
    again.network.metadata = again.network.metadata | {"scores": {}}
    with pytest.raises(FerError, match=r"made with.*name an empty"):
        predict_with_ray(again, [str(photos)], answered[0])


def test_a_full_disk_is_one_line(photos, predictor, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(face_tables.pq, "write_table", full)
    with pytest.raises(FerError, match="No space left on device"):
        predict_with_ray(predictor, [str(photos / "00.jpg")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_unsure_and_cropped_reach_the_workers(photos, predictor, tmp_path):
    options = {"abstain_below": 1.0, "assume_cropped": True, "views": 1}
    predict_with_ray(predictor, [str(photos / "07.jpg")], tmp_path, **options)
    row = frame(tmp_path).iloc[0]
    assert (row["emotion"], row["right"], row["face"]) == ("unsure", 268, 1)


@pytest.mark.skipif(os.name == "nt", reason="all names are text there")
def test_a_name_that_is_not_text(photos, predictor, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = os.fsencode(folder) + b"/\xff.jpg"
    with open(odd, "wb") as file:
        file.write((photos / "01.jpg").read_bytes())
    assert predict_with_ray(predictor, [str(folder)], tmp_path / "out") == 0
    assert frame(tmp_path / "out")["photo"][0].endswith(r"\xff.jpg")


def test_the_command(fer, photos, tmp_path):
    out = tmp_path / "tables"
    code, said, err = fer("predict", "--engine", "ray", photos / "03.jpg", out)
    assert (code, len(frame(out))) == (0, 1), err
    assert "pandas.read_parquet" in said
    code, _, err = fer("predict", "--engine", "ray", photos / "03.jpg")
    assert code == 1 and "a folder for the tables" in err
    code, _, err = fer("predict", "--engine", "ray", "--csv", photos / "03.jpg", out)
    assert code == 1 and "leave --json, --csv" in err
    code, _, err = fer("predict", "--engine", "ray", tmp_path / "none.jpg", out)
    assert code == 1 and "photos with an error: 1" in err


def test_probabilities_are_whole(answered):
    good = frame(answered[0]).query("face > 0")
    names = list(good.columns[-8:-1])
    np.testing.assert_allclose(good[names].sum(axis=1), 1, atol=1e-5)
