"""The stress card: each axis changes what it names, and the card counts right."""

import numpy as np
import pytest
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.evaluation import AXES, mean_of_axes, stress_card
from fer_utils.evaluation.stress import Stress, changed
from fer_utils.plots import stress

FACES = tiny(14).images
LABELS = np.arange(len(FACES)) % 2


def axis(name):
    return next(axis for axis in AXES if axis.name == name)


@pytest.mark.parametrize("one", AXES, ids=lambda axis: axis.name)
def test_every_level_changes_faces_and_keeps_their_form(one):
    seen = [FACES, *(changed(FACES, one, level) for level in one.levels)]
    assert all(each.shape == FACES.shape and each.dtype == np.uint8 for each in seen)
    assert len({each.tobytes() for each in seen}) == len(seen)
    again = changed(FACES, one, one.levels[0])
    assert np.array_equal(again, seen[1]), "another change each time"


def test_axes_do_what_they_say():
    spot = np.zeros((1, 48, 48), np.uint8)
    spot[0, 24, 24] = 250
    assert changed(spot, axis("blur"), 1).max() < 50
    white = np.full((1, 48, 48), 200, np.uint8)
    assert changed(white, axis("brightness"), 0.3)[0, 0, 0] == 60
    assert changed(white, axis("turn"), 30).min() > 190  # no black corners
    assert changed(white, axis("crop"), -0.2).min() == 200
    mask, glasses = (changed(white // 2, axis("covered"), part)[0] for part in (1, 2))
    assert (mask[40] == 200).all() and (mask[10] == 100).all()
    assert (glasses[16] == 25).all() and (glasses[40] == 100).all()
    right = np.zeros((1, 48, 48), np.uint8)
    right[0, 20:28, 40:] = 255
    turned = changed(right, axis("turn"), 30)[0]  # counter-clockwise, as PIL has it
    assert turned[:20].sum() > turned[28:].sum()


def test_the_card():
    def bright(faces):
        share = (faces.mean((1, 2)) > 60).astype(float)
        return np.stack([1 - share, share], 1)

    labels = bright(FACES).argmax(1)
    card = stress_card(bright, FACES, labels, (axis("brightness"),))
    assert [each.level for each in card] == [None, 0.3, 0.6, 1.6]
    whole, dark = card[:2]
    assert whole.accuracy == 1 and whole.low < 1 and whole.faces == len(FACES)
    assert dark.accuracy == (labels == 0).mean()
    expected = np.mean([each.accuracy for each in card[1:]])
    assert mean_of_axes(card) == pytest.approx(expected)


def test_axes_count_the_same_whatever_their_levels():
    line = [Stress("a", 1, 0.2, 0, 1, 9), Stress("b", 1, 0.4, 0, 1, 9)]
    line += [Stress("b", 2, 0.8, 0, 1, 9), Stress("as they are", None, 1, 0, 1, 9)]
    assert mean_of_axes(line) == pytest.approx((0.2 + 0.6) / 2)


def test_bad_input():
    for images, labels in (
        (FACES, LABELS[:3]),
        (FACES[:0], LABELS[:0]),
        (FACES[0], []),
    ):
        with pytest.raises(FerError, match=r"pass \[N,H,W\] and \[N\]"):
            stress_card(lambda faces: faces, images, np.array(labels))


def test_the_figure():
    card = [Stress("as they are", None, 0.7, 0.6, 0.8, 99)]
    card += [Stress(one.name, x, 0.5, 0.4, 0.6, 99) for one in AXES for x in one.levels]
    assert stress({"before": card, "after": card}) is not None
