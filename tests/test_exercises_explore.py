"""The exercises of notebook 1: right on the sample, and clear about wrong answers."""

import numpy as np
import pytest

import fer_utils as fer
from fer_utils import exercises


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(exercises, "TRIES", type(exercises.TRIES)())


@pytest.fixture(scope="module")
def data():
    return fer.load_fer2013("sample")


def test_the_baseline_without_happy(data):
    train, val, _ = data.split()
    left = np.delete(train.counts(), 3)
    names = [code for code in range(7) if code != 3]
    says = names[left.argmax()]
    truth = val.counts()[says] / (len(val) - val.counts()[3])
    assert fer.check("1.1", truth, data=data)
    whole = val.counts()[says] / len(val)  # happy left in PublicTest
    assert "too small" in fer.check("1.1", whole, data=data).text
    assert "data=data" in fer.check("1.1", truth).text


def whole_groups(groups, share, seed):
    unique, which = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).random(len(unique)) < share)[which]


def test_a_split_by_groups():
    assert fer.check("1.2", whole_groups)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (0.2, "pass the function itself"),
        (lambda groups, share, seed: ..., "True or False for each image"),
        (lambda groups, share, seed: 1 / 0, "ZeroDivisionError"),
        (
            lambda groups, share, seed: (
                np.random.default_rng(seed).random(len(groups)) < share
            ),
            "on both sides",
        ),
        (lambda groups, share, seed: np.zeros(len(groups), bool), "put 0%"),
        (lambda groups, share, seed: whole_groups(groups, 0.2, seed), "asked for 60%"),
        (lambda groups, share, seed: ~whole_groups(groups, share, seed), "for 25%"),
        (lambda groups, share, seed: whole_groups(groups, share, 7), "another seed"),
        (lambda groups, share, seed: whole_groups(groups, share, None), "same seed"),
    ],
)
def test_a_split_that_does_not_do(answer, said):
    assert said in fer.check("1.2", answer).text


def test_labels_of_copies(data):
    training, private = (data.usage == u for u in ("Training", "PrivateTest"))
    label_of = dict(zip(data.groups[training], data.labels[training], strict=True))
    rows = [r for r in np.flatnonzero(private) if data.groups[r] in label_of]
    truth = np.mean([label_of[data.groups[r]] == data.labels[r] for r in rows])
    assert fer.check("1.3", truth, data=data)
    assert not fer.check("1.3", truth - 0.1, data=data)
    assert not fer.check("1.3", len(rows) / private.sum(), data=data)
    assert "data=data" in fer.check("1.3", truth).text
