"""Slices: faces in their bands, counted right; and what is measured of a face."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny

import slices
from fer_utils.errors import FerError
from fer_utils.evaluation import interval, level_of_each, sliced, thirds
from fer_utils.evaluation.stress import AXES, changed
from fer_utils.photos import PORTRAIT, crop_faces, find_faces, open_photo
from fer_utils.shipped import SHIPPED


def test_faces_in_their_bands():
    values = np.array([1, 2, 5, 5, 9, np.nan])
    right = np.array([1, 0, 1, 1, 0, 1], bool)
    found = sliced(values, right, (5, 9))
    assert [line.band for line in found] == [0, 1, 2, 3], "an edge lies above itself"
    assert [line.faces for line in found] == [2, 2, 1, 1]
    assert [line.accuracy for line in found] == [0.5, 1, 0, 1]
    assert [line.rest for line in found] == pytest.approx([3 / 4, 2 / 4, 4 / 5, 3 / 5])
    assert (found[0].low, found[0].high) == interval(0.5, 2)
    assert not any(line.differs for line in found), "so few faces show nothing"
    assert [line.band for line in sliced(values[:2], right[:2], (0, 9))] == [1]
    whole, unmeasured = sliced(values, right, ())
    assert whole.faces == 5 and unmeasured.band == 1
    (alone,) = sliced(values[:5], right[:5], ())
    assert alone.rest is None and not alone.differs


def test_a_difference_is_seen_and_chance_is_not():
    rng = np.random.default_rng(0)
    values = rng.random(3000)
    edges = thirds(values)
    worse = rng.random(3000) < np.where(values < edges[0], 0.7, 0.85)
    first, *_ = sliced(values, worse, edges)
    assert first.differs and first.accuracy < first.rest
    level = level_of_each(3 * 100)
    seen = [
        line.differs
        for _ in range(100)
        for line in sliced(values, rng.random(3000) < 0.8, edges, level)
    ]
    assert sum(seen) <= 1, "of 300 slices that do not differ"


def test_thirds():
    assert thirds(np.r_[np.arange(7.0), np.nan]) == (2, 4)
    for nothing in ([], [np.nan]):
        with pytest.raises(FerError, match="nothing to cut into thirds"):
            thirds(np.array(nothing))


@pytest.mark.parametrize(
    ("values", "right", "edges", "why"),
    [
        ([1, 2], [True], (1,), r"pass \[N\] and \[N\]"),
        ([], [], (1,), "at least one face"),
        ([[1]], [[True]], (1,), r"pass \[N\] and \[N\]"),
        ([1], [1], (1,), "right is int64: pass bool"),
        ([1], [True], (2, 1), "each above the last"),
        ([1], [True], (1, 1), "each above the last"),
        ([1], [True], (np.nan,), "each above the last"),
        ([1], [True], 3, "each above the last"),
    ],
)
def test_bad_input(values, right, edges, why):
    with pytest.raises(FerError, match=why):
        sliced(np.array(values), np.array(right), edges)


def test_bad_level():
    with pytest.raises(FerError, match="level 95"):
        sliced(np.array([1]), np.array([True]), (), 95)


@pytest.fixture(scope="module")
def face():
    """A real face, cut out as FER2013's are: uint8 [1,48,48], eyes level."""
    photo = open_photo(PORTRAIT)
    return crop_faces(photo, find_faces(photo)[:1])


def change(face, name, level):
    return changed(face, next(axis for axis in AXES if axis.name == name), level)


def test_measures_measure_what_they_name(face):
    as_it_is = SimpleNamespace(images=face)

    def changes(measure, name, level):
        after = measure(SimpleNamespace(images=change(face, name, level)))
        return float(after[0] / measure(as_it_is)[0])

    assert changes(slices.brightness, "brightness", 0.6) == pytest.approx(0.6, abs=0.02)
    assert changes(slices.contrast, "contrast", 0.3) == pytest.approx(0.3, abs=0.02)
    assert changes(slices.sharpness, "blur", 1) < 0.5
    assert changes(slices.sharpness, "noise", 30) > 1


def test_tilt(face):
    assert slices.tilt_of(face[0]) < 4
    for turned in (-30, -15, 15, 30):
        found = slices.tilt_of(change(face, "turn", turned)[0])
        assert found == pytest.approx(abs(turned), abs=4)
    assert np.isnan(slices.tilt_of(np.full((48, 48), 90, np.uint8)))
    assert np.isnan(slices.tilt(SimpleNamespace(images=np.zeros_like(face)))).all()


def test_the_record_counts_its_groups(monkeypatch):
    data, rng = tiny(70), np.random.default_rng(0)
    own = slices.Answers(np.ones(70, bool), rng.dirichlet([1] * 7, 70), data.labels)
    monkeypatch.setattr(slices, "read_answers", lambda *_: own)
    measures = tuple(m for m in slices.MEASURES if m.of is slices.brightness)
    found = slices.record(data, measures)
    assert found["groups"] == 2 * (3 + 7)
    assert found["level"] == level_of_each(20)
    right = own.probabilities.argmax(1) == own.classes
    for name in SHIPPED:
        bands = found["networks"][name]["slices"]["brightness"]
        assert tuple(bands) == measures[0].bands
        assert sum(band["faces"] for band in bands.values()) == 70
        total = sum(band["faces"] * band["accuracy"] for band in bands.values())
        assert total == pytest.approx(right.sum(), abs=0.01)
