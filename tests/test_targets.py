"""What a training learns from: labels, votes, a teacher's answers."""

import numpy as np
import pytest
import torch
from tiny import tiny

from fer_utils.config import read_config
from fer_utils.data import votes
from fer_utils.errors import FerError
from fer_utils.training import Recipe, targets, train, training_targets

SMALL = Recipe("small", epochs=2, batch_size=16, augment="none")
CPU = torch.device("cpu")


def test_labels_are_what_is_learned_by_default():
    data = tiny(14)
    learned = training_targets(SMALL, data, CPU)
    assert torch.equal(learned, torch.from_numpy(data.labels))


def test_votes_are_learned_as_shares(monkeypatch):
    data = tiny(7)
    shares = np.full((7, 7), 1 / 7)
    monkeypatch.setattr(targets, "vote_shares", lambda given: shares[: len(given)])
    learned = training_targets(SMALL.with_(labels="fer+"), data, CPU)
    assert learned.dtype == torch.float32 and np.allclose(learned, shares)


def test_votes_that_are_missing(monkeypatch):
    monkeypatch.setattr(votes, "config", read_config({}))
    with pytest.raises(FerError, match="no FER\\+ votes there; point FER_VOTES"):
        training_targets(SMALL.with_(labels="fer+"), tiny(7), CPU)


def test_a_student_of_two_teachers(tmp_path):
    parts = tiny(56), tiny(28, seed=1)
    folders = [str(tmp_path / name) for name in "ab"]
    for seed, folder in enumerate(folders):
        train(SMALL.with_(seed=seed), *parts, folder)
    taught = SMALL.with_(
        name="taught", teacher=", ".join(folders), mixup=0.2, cutmix=0.2
    )
    learned = training_targets(taught, parts[0], CPU)
    assert learned.shape == (56, 7) and torch.allclose(learned.sum(1), torch.ones(56))
    share = learned.gather(1, torch.from_numpy(parts[0].labels)[:, None])
    assert (share >= 0.3 - 1e-6).all() and (share < 1).any()
    assert train(taught, *parts, tmp_path / "taught").finished


def test_wrong_teachers(tmp_path):
    parts = tiny(56), tiny(28, seed=1)
    with pytest.raises(FerError, match=r"no run there, and the recipe needs .*nobody"):
        train(SMALL.with_(teacher="fer2013-labels, nobody"), *parts, tmp_path / "x")
    train(SMALL, *parts, tmp_path / "seven")
    classes = "happy, sad"
    two = [tiny(28, seed, ("happy", "sad")) for seed in (0, 1)]
    wrong = SMALL.with_(classes=classes, teacher=str(tmp_path / "seven"))
    with pytest.raises(FerError, match=r"knows the classes angry.*the data happy, sad"):
        train(wrong, *two, tmp_path / "y")
