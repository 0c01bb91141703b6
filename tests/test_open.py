"""Photos in every form that people have them in; what is none of these is named."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fer_utils.errors import FerError, PhotoError, shorten
from fer_utils.photos import PORTRAIT, Face, Predictor, open_photo, to_frame
from fer_utils.photos.arrays import eight_bits

BYTES = PORTRAIT.read_bytes()
PIXELS = np.asarray(Image.open(PORTRAIT))
GREY = PIXELS[..., 1]


def pixels(source) -> np.ndarray:
    return np.asarray(open_photo(source))


@pytest.mark.parametrize(
    "source",
    [
        lambda: BYTES,
        lambda: bytearray(BYTES),
        lambda: io.BytesIO(BYTES),
        lambda: PORTRAIT.open("rb"),
        lambda: "data:image/jpeg;base64," + base64.b64encode(BYTES).decode(),
        lambda: "DATA:;base64,\n" + base64.encodebytes(BYTES).decode(),
        lambda: PIXELS,
        lambda: PIXELS[::-1][::-1],  # not in one piece
        lambda: PIXELS.astype(np.int64),
        lambda: PIXELS.astype(np.float32),
        lambda: PIXELS / 255,
        lambda: (PIXELS / 255).astype(np.float16).astype(np.float32),
        lambda: np.dstack([PIXELS, np.full_like(GREY, 255)]),
    ],
)
def test_forms_of_one_photo(source):
    found = pixels(source())
    assert found.shape == PIXELS.shape
    assert np.abs(found.astype(int) - PIXELS).max() <= 1


@pytest.mark.parametrize(
    "source",
    [
        GREY,
        GREY[..., None],
        GREY.astype(np.uint16) * 257,
        GREY.astype(np.uint16) * 16,  # 12 bits
        Image.fromarray(GREY.astype(np.uint16) * 16),
        Image.fromarray(GREY.astype(np.int32) * 257),
        Image.fromarray(GREY.astype(np.float32)),
    ],
    ids=["HW", "HW1", "16 bits", "12 bits", "12 bits, PIL", "mode I", "mode F"],
)
def test_forms_of_one_grey_photo(source):
    found = pixels(source)
    assert found.shape == GREY.shape and np.abs(found.astype(int) - GREY).max() <= 1


def test_which_number_is_white():
    assert eight_bits(np.array([[True, False]])).tolist() == [[255, 0]]
    assert eight_bits(np.array([[0, 1023]])).tolist() == [[0, 255]]
    assert eight_bits(np.array([[0, 255]], np.int64)).tolist() == [[0, 255]]
    assert eight_bits(np.array([[0.0, 1.0]])).tolist() == [[0, 255]]
    assert eight_bits(np.array([[0.0, 200.0]])).tolist() == [[0, 200]]
    assert eight_bits(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.5, 1.5]]),
        np.array([[np.nan, 0.5]]),
        np.array([[np.inf, 0.5]]),
        np.array([[-0.1, 0.5]]),
        np.array([[0, 300.0]]),
        np.array([[-1, 5]]),
        np.array([[0, 2**20]]),
        np.array([[1j]]),
        np.array([["a"]]),
        np.array([[None]], object),
        np.zeros((3, 48, 48), np.uint8),
        np.zeros((48, 48, 2), np.uint8),
        np.zeros(48, np.uint8),
        np.zeros((2, 48, 48, 3), np.uint8),
        np.zeros((0, 48), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_that_are_refused(array):
    with pytest.raises(PhotoError, match=r"give|scale|empty"):
        open_photo(array)


def test_channels_first_are_named():
    with pytest.raises(PhotoError, match=r"channels last, with .transpose"):
        open_photo(np.zeros((3, 48, 48), np.uint8))


class Broken:
    def read(self, size):
        raise RuntimeError("the tape is torn")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("data:image/png,abc", "not in base64"),
        ("data:image/png;base64,a#b", "base64 is damaged"),
        ("data:image/png;base64,", "is empty"),
        ("data:image/png;base64,aGVsbG8gd29ybGQ=", "not in an accepted format"),
        (io.StringIO("text"), "gives str, not bytes"),
        (io.BytesIO(), "is empty"),
        (Broken(), "cannot be read .the tape is torn"),
        (object(), "cannot be of type object"),
        (None, "cannot be of type NoneType"),
        (7, "cannot be of type int"),
        (PORTRAIT.parent, "this is a folder; name a photo in it"),
        ("", "folder|no such file"),
    ],
)
def test_sources_that_are_refused(source, says):
    with pytest.raises(PhotoError, match=says):
        open_photo(source)


def test_too_much_is_not_read():
    class Endless:
        asked = 0

        def read(self, size):
            self.asked += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(PhotoError) as caught:
        open_photo(endless)
    assert caught.value.kind == "too_large" and endless.asked < 11 * 2**20
    with pytest.raises(PhotoError) as caught:
        open_photo("data:;base64," + "A" * (15 * 2**20))
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("letters", ["A", "/9j/4AAQ", "é", "a\n", "../"])
def test_long_texts_are_quoted_short(letters):
    with pytest.raises(PhotoError) as caught:
        open_photo(letters * (200_000 // len(letters)))
    text = str(caught.value)
    assert len(text) < 250 and "\n" not in text


def test_base64_without_its_start_gets_a_hint():
    with pytest.raises(PhotoError, match="put data:image/jpeg;base64, before it"):
        open_photo(base64.b64encode(BYTES).decode())


@pytest.mark.parametrize("text", ["", "short", "x" * 80, "x" * 81, "a b" * 10_000])
def test_shorten(text):
    short = shorten(text)
    assert len(short) <= 80 and (short == text or "…" in short)
    assert short[:5] == text[:5] and short[-5:] == text[-5:]


# Lists and tables

FACE = Face((1, 2, 3, 4), {"happy": 0.75, "sad": 0.25}, "happy", 0.75)


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


def test_the_place_of_a_bad_photo_is_named(predictor):
    photos = [PORTRAIT, "none.jpg", BYTES]
    with pytest.raises(PhotoError, match=r"^photo 2 of 3: none.jpg: there is no"):
        predictor.predict(photos)
    first, error, third = predictor.predict(photos, errors="return")
    assert first == third and first[0].emotion == "happy"
    assert isinstance(error, PhotoError) and error.kind == "missing"
    with pytest.raises(PhotoError, match=r"^none.jpg"):
        predictor.predict("none.jpg", errors="return")


def test_small_grey_squares_are_faces(predictor):
    face = np.asarray(Image.fromarray(GREY).resize((48, 48)))
    (answer,) = predictor.predict(face)
    assert answer.box == (0, 0, 48, 48)
    assert predictor.predict(face, assume_cropped=False) != [answer]


BAD_OPTIONS = [
    ("errors", "ignore"),
    ("assume_cropped", "yes"),
    ("abstain_below", "high"),
    ("abstain_below", float("nan")),
    ("abstain_below", 1.5),
    ("min_size", 0),
    ("min_size", "small"),
    ("search_size", 0),
    ("search_size", -5),
    ("search_size", float("inf")),
    ("search_size", None),
    ("views", 3),
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_options_that_do_not_exist(predictor, name, value):
    with pytest.raises(FerError, match=f"^{name} = "):
        predictor.predict(PORTRAIT, **{name: value})


@pytest.mark.parametrize(
    "crops",
    [np.zeros((2, 48, 48)), np.zeros((2, 40, 40), np.uint8), np.zeros(48, np.uint8)],
)
def test_crops_of_another_form(predictor, crops):
    with pytest.raises(FerError, match=r"pass uint8 \[N,48,48\]"):
        predictor.probabilities(crops)


def test_a_table_of_faces():
    error = PhotoError("no photo")
    table = to_frame([[FACE, FACE], [], error, [FACE]], names=["a", "b", "c", "d"])
    assert table["photo"].tolist() == ["a", "a", "d"]
    assert table["face"].tolist() == [1, 2, 1]
    assert table.columns.tolist()[-4:] == ["emotion", "confidence", "happy", "sad"]
    assert to_frame([FACE])["photo"].tolist() == [0]
    for empty in ([], [[], []], [error]):
        assert len(to_frame(empty)) == 0 and "emotion" in to_frame(empty)
    with pytest.raises(FerError, match="1 names for 2 photos"):
        to_frame([[FACE], []], names=["a"])
