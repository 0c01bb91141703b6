"""The second yardstick: agreement with what ten people said."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny

from fer_utils.data import load_fer2013, votes
from fer_utils.errors import FerError
from fer_utils.evaluation import people, people_scores
from fer_utils.evaluation.people import one_more_person, published_majority
from fer_utils.training import runs

#                 neu hap sur sad ang dis fea con unk none
VOTES = np.array(
    [
        [0, 10, 0, 0, 0, 0, 0, 0, 0, 0],  # all say happy
        [6, 0, 0, 4, 0, 0, 0, 0, 0, 0],  # more than half say neutral
        [5, 0, 0, 1, 1, 1, 1, 1, 0, 0],  # half: clear only once single votes are gone
        [0, 0, 0, 0, 4, 0, 0, 6, 0, 0],  # contempt, which no network knows
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
        [0, 0, 0, 3, 3, 2, 2, 0, 0, 0],  # nothing is clear
    ]
)
ANGRY, HAPPY, SAD, NEUTRAL = 0, 3, 4, 6


@pytest.fixture
def data(monkeypatch):
    chosen = load_fer2013("sample").select(np.arange(len(VOTES)))
    row_of = {name: row for row, name in enumerate(chosen.names)}

    def read(data):
        return VOTES[[row_of[name] for name in data.names]]

    for module in (votes, people):
        monkeypatch.setattr(module, "read_votes", read)
    return chosen


def answers(*codes):
    return np.eye(7)[list(codes)]


def test_the_published_majority():
    column, counts = published_majority(VOTES)
    assert list(counts) == [True, True, True, True, False, False]
    assert list(column[:4]) == [1, 0, 0, 7]


def test_agreement(data):
    found = people_scores(answers(HAPPY, SAD, NEUTRAL, ANGRY, SAD, SAD), data)
    assert found.faces == 2 and found.agreement == 0.5 and found.balanced == 0.5
    assert found.per_class == {"happy": 1.0, "neutral": 0.0}
    assert found.published_faces == 4 and found.published == 0.5
    assert found.ceiling == pytest.approx((10 + 6) / 20)


def test_balanced_counts_classes_alike(data):
    shown = data.select(np.array([0, 0, 0, 1]))
    found = people_scores(answers(HAPPY, HAPPY, HAPPY, SAD), shown)
    assert (found.agreement, found.balanced) == (0.75, 0.5)


def test_one_more_person():
    split = np.array([[5, 5] + [0] * 8])
    assert one_more_person(split) == 0, "the other nine are five against four"
    assert one_more_person(np.array([[9, 1] + [0] * 8])) == pytest.approx(0.9)
    three = np.array([[1, 1, 1] + [0] * 7])
    assert one_more_person(three) == 0


def test_wrong_input(data):
    with pytest.raises(FerError, match=r"probabilities \(6, 3\), but the data needs"):
        people_scores(np.ones((6, 3)), data)
    with pytest.raises(FerError, match="no image of this data has a clear majority"):
        people_scores(answers(0), data.select(np.array([5])))


def test_scores_are_kept_where_votes_do_not_fit(monkeypatch, capsys):
    for module in (votes, runs):
        named = replace(module.config, votes="nowhere.csv")
        monkeypatch.setattr(module, "config", named)
    assert runs._people(np.eye(7)[[0] * 28], tiny(28, seed=1)) is None
    assert "Not compared with FER+ votes: nowhere.csv" in "".join(capsys.readouterr())
