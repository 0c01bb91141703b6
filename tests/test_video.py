"""Videos: who shows what when; broken ones are named; copies are whole or not there."""

import random
import struct
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fer_utils.errors import FerError, PhotoError
from fer_utils.photos import PORTRAIT, Predictor, to_frame
from fer_utils.photos.video import is_video
from fer_utils.plots import timeline

av = pytest.importorskip("av", reason="needs the extra 'video'")


def write(path, images, rate=25, codec="mpeg4"):
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = images[0].size
        stream.pix_fmt = "yuv420p"
        for image in images:
            out.mux(stream.encode(av.VideoFrame.from_image(image)))
        out.mux(stream.encode())
    return path


def clip(seconds=1.0, size=(320, 240)):
    """The portrait moving over a grey wall, for so many seconds of 25 frames each."""
    head = (
        Image.open(PORTRAIT).convert("RGB").crop((130, 0, 330, 200)).resize((160, 160))
    )
    frames = []
    for step in range(round(25 * seconds)):
        wall = Image.new("RGB", size, "grey")
        wall.paste(head, (20 + 2 * step, 40))
        frames.append(wall)
    return frames


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write(tmp_path_factory.mktemp("video") / "clip.mp4", clip())


@pytest.fixture(scope="module")
def sightings(predictor, video):
    return predictor.predict_video(video, every=0.2)


def test_one_person_moves(sightings):
    assert [round(each.time, 1) for each in sightings] == [0, 0.2, 0.4, 0.6, 0.8]
    assert {each.person for each in sightings} == {1}
    assert sightings[0].box[0] < sightings[-1].box[0]
    assert sightings[-1].emotion == "happy"


def test_a_table_and_a_picture_of_it(sightings):
    table = to_frame(sightings)
    assert table.columns.tolist()[:2] == ["time", "person"] and len(table) == 5
    assert np.allclose(table[["happy", "sad"]].iloc[0], [
        sightings[0].probabilities[name] for name in ("happy", "sad")
    ])  # fmt: skip
    assert timeline(sightings) is not None
    with pytest.raises(FerError, match="nobody"):
        timeline([])


def test_every_frame_or_few(predictor, video):
    assert len(predictor.predict_video(video, every=0.04)) == 25
    assert len(predictor.predict_video(video, every=3600.0)) == 1


@pytest.mark.parametrize(
    "every", [0, -1, float("nan"), float("inf"), "often", None, 1e-9]
)
def test_bad_steps(predictor, video, every):
    with pytest.raises(FerError, match=r"every = .*give seconds"):
        predictor.predict_video(video, every=every)


def test_a_drawn_copy(predictor, video, tmp_path):
    out = tmp_path / "new" / "out.mp4"
    predictor.predict_video(video, annotate=out)
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    with av.open(str(out)) as made:
        frames = [frame.to_image() for frame in made.decode(video=0)]
    assert len(frames) == 25 and frames[0].size == (320, 240)
    assert np.abs(np.asarray(frames[3], int) - np.asarray(clip()[3], int)).max() > 90


def test_copies_that_cannot_be(predictor, video, tmp_path):
    before = video.read_bytes()
    for out in (video, tmp_path / "out.gif"):
        with pytest.raises(FerError, match=r"name another file|ends in \.mp4"):
            predictor.predict_video(video, annotate=out)
    assert video.read_bytes() == before and not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "photo", "cut", "sound"])
def test_files_that_are_no_video(predictor, video, tmp_path, kind):
    path = tmp_path / "clip.mp4"
    if kind == "sound":
        with av.open(str(path), "w") as out:
            stream = out.add_stream("aac", rate=44100)
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), "fltp", "mono"
            )
            sound.rate = 44100
            out.mux(stream.encode(sound))
            out.mux(stream.encode())
    elif kind != "missing":
        whole = video.read_bytes()
        made = {
            "empty": b"",
            "text": b"no video" * 99,
            "photo": b"\xff\xd8\xff",
            "cut": whole[:500],
        }
        path.write_bytes(made[kind])
    with pytest.raises(PhotoError) as caught:
        predictor.predict_video(path, annotate=tmp_path / "out.mp4")
    assert "clip.mp4" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


def test_mutated_videos_are_answered_or_named(predictor, video, tmp_path, monkeypatch):
    """Whatever the bytes, the answer is a list or one clear error."""
    monkeypatch.setattr(predictor, "predict", lambda image, **_: [])
    whole, path, rng = video.read_bytes(), tmp_path / "clip.mp4", random.Random(0)
    named = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 20, 2000))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randrange(1, len(damaged) + 1)])
        try:
            predictor.predict_video(path, progress=False)
        except PhotoError as error:
            named += 1
            assert "clip.mp4" in str(error) and len(str(error)) < 300
    assert 0 < named < 200


# As phones do: filmed lying down, with a note to turn it a quarter clockwise.
UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
TURNED = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)


def test_a_phone_s_video_is_turned_upright(predictor, tmp_path):
    lying = [frame.rotate(90, expand=True) for frame in clip(0.4)]
    path = write(tmp_path / "phone.mp4", lying)
    whole = path.read_bytes()
    place = whole.index(UPRIGHT, whole.index(b"tkhd"))
    path.write_bytes(whole[:place] + TURNED + whole[place + len(TURNED) :])
    out = tmp_path / "out.mp4"
    seen = predictor.predict_video(path, annotate=out)
    assert [each.emotion for each in seen] == ["happy"] * 2
    left, top, right, bottom = seen[0].box
    assert 20 < left < right < 180 and 40 < top < bottom < 200
    with av.open(str(out)) as made:
        assert next(made.decode(video=0)).to_image().size == (320, 240)


def test_a_copy_lasts_as_long_as_the_video(predictor, tmp_path):
    path = write(tmp_path / "fast.mp4", clip(2), rate=60)
    out = tmp_path / "out.mp4"
    predictor.predict_video(path, every=10, annotate=out)
    lengths = []
    for each in (path, out):
        with av.open(str(each)) as video:
            lengths.append([frame.time for frame in video.decode(video=0)][-1])
    assert lengths[1] == pytest.approx(lengths[0], abs=0.02)


@pytest.mark.parametrize("path", [None, 7, b"clip.mp4", "https://example.org/clip.mp4"])
def test_what_is_no_path_of_a_video(predictor, path):
    with pytest.raises(PhotoError, match=r"give a path|save it first"):
        predictor.predict_video(path)


def test_names_of_videos():
    assert is_video("a/b.MP4") and is_video("c.webm") and not is_video("d.jpg")


def test_the_command(predictor, video, tmp_path, monkeypatch, fer):
    monkeypatch.setattr(Predictor, "load", lambda weights=None: predictor)
    fer = partial(fer, "predict")
    out = tmp_path / "drawn.mp4"
    code, table, _ = fer(video, "--csv", "--every", 0.4, "--annotate", out)
    lines = table.splitlines()
    assert code == 0 and out.is_file() and len(lines) == 4
    assert lines[0].startswith("video,time,person,left,top,right,bottom,emotion,")
    code, text, _ = fer(video, "--every", 0.4)
    assert code == 0 and "person 1" in text and "happy" in text
    code, text, _ = fer(video, "--json", "--every", 0.4)
    assert code == 0 and len(text.splitlines()) == 1 and '"sightings"' in text
    code, _, error = fer(video, PORTRAIT, "--csv")
    assert code == 1 and "one kind at a time" in error
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    code, _, error = fer(tmp_path / "bad.mp4")
    assert code == 1 and error.count("\n") == 1
