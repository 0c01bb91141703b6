"""People followed over frames, and what they show smoothed over time."""

import math

import pytest

from fer_utils.photos import Face, Tracker
from fer_utils.photos.track import overlap


def face(x, y=0, side=100, happy=1.0):
    chances = {"happy": happy, "sad": 1 - happy}
    best = max(chances, key=chances.get)
    return Face((x, y, x + side, y + side), chances, best, chances[best])


def people(sightings):
    return [each.person for each in sightings]


def test_overlap():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_two_people_keep_their_numbers():
    tracker = Tracker()
    assert people(tracker.add(0.0, [face(0), face(300)])) == [1, 2]
    # They move, and the detector names the other one first.
    assert people(tracker.add(0.2, [face(290), face(15)])) == [2, 1]
    assert people(tracker.add(0.4, [face(30)])) == [1]
    assert people(tracker.add(0.6, [face(40), face(280)])) == [1, 2]


def test_the_best_pair_comes_first():
    """Two faces that touch: each stays who it was."""
    tracker = Tracker()
    tracker.add(0.0, [face(0), face(60)])
    assert people(tracker.add(0.2, [face(50), face(10)])) == [2, 1]


def test_somebody_who_was_away_is_somebody_new():
    tracker = Tracker()
    tracker.add(0.0, [face(0)])
    assert people(tracker.add(0.9, [face(0)])) == [1]
    assert people(tracker.add(2.0, [face(0)])) == [2]
    assert people(tracker.add(2.2, [face(500)])) == [3]


def test_smoothing():
    tracker = Tracker(smoothing=0.5)
    (first,) = tracker.add(0.0, [face(0, happy=1.0)])
    assert first.probabilities == {"happy": 1, "sad": 0}
    (second,) = tracker.add(0.5, [face(0, happy=0.0)])
    assert second.probabilities["happy"] == pytest.approx(math.exp(-1))
    assert sum(second.probabilities.values()) == pytest.approx(1)
    assert second.emotion == "sad" and second.confidence == pytest.approx(
        0.632, abs=1e-3
    )
    plain = Tracker(smoothing=0)
    plain.add(0.0, [face(0, happy=1.0)])
    assert plain.add(0.1, [face(0, happy=0.0)])[0].probabilities["happy"] == 0


def test_unsure():
    (seen,) = Tracker(abstain_below=0.8).add(0.0, [face(0, happy=0.7)])
    assert seen.emotion == "unsure" and seen.confidence == 0.7
    assert Tracker().add(0.0, []) == []
