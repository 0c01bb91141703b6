"""What a training learns from: labels, votes, a teacher's answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny

from fer_utils import config, targets
from fer_utils.config import FerError
from fer_utils.data import FER2013, VOTES
from fer_utils.recipes import Recipe
from fer_utils.targets import vote_shares
from fer_utils.training import train

SMALL = Recipe("small", epochs=2, batch_size=16, augment="none")
CPU = torch.device("cpu")


@pytest.fixture
def voted(monkeypatch):
    """Four images of `tiny`, with votes made up for them."""
    votes = np.zeros((4, len(VOTES)), np.int64)
    votes[0, [VOTES.index("happy"), VOTES.index("sad")]] = 6, 2
    votes[1, VOTES.index("not a face")] = 10
    votes[2] = -1  # no line for this image
    votes[3, [VOTES.index("neutral"), VOTES.index("contempt")]] = 5, 5
    monkeypatch.setattr(FER2013, "votes", lambda self: votes[: len(self)])
    return tiny(4)


def test_labels_are_what_is_learned_by_default():
    data = tiny(14)
    assert torch.equal(targets.targets(SMALL, data, CPU), torch.from_numpy(data.labels))


def test_votes_become_shares(voted):
    shares = vote_shares(voted)
    happy, sad, neutral = (voted.classes.index(n) for n in ("happy", "sad", "neutral"))
    assert shares[0, happy] == 0.75 and shares[0, sad] == 0.25
    assert shares[1, voted.labels[1]] == shares[2, voted.labels[2]] == 1
    assert shares[3, neutral] == 1, "contempt is none of the seven"
    assert np.allclose(shares.sum(1), 1)


def test_votes_follow_merged_classes(voted):
    data = replace(voted, labels=np.zeros(4, np.int64), classes=("happy+sad", "fear"))
    assert np.allclose(vote_shares(data)[0], [1, 0])


def test_votes_that_are_missing(monkeypatch):
    monkeypatch.setattr(config, "config", config.read_config({}))
    with pytest.raises(FerError, match="no FER\\+ votes there; point FER_VOTES"):
        targets.targets(SMALL.with_(labels="fer+"), tiny(7), CPU)


def test_a_student_of_two_teachers(tmp_path):
    parts = tiny(56), tiny(28, seed=1)
    folders = [str(tmp_path / name) for name in "ab"]
    for seed, folder in enumerate(folders):
        train(SMALL.with_(seed=seed), *parts, folder)
    taught = SMALL.with_(
        name="taught", teacher=", ".join(folders), mixup=0.2, cutmix=0.2
    )
    learned = targets.targets(taught, parts[0], CPU)
    assert learned.shape == (56, 7) and torch.allclose(learned.sum(1), torch.ones(56))
    share = learned.gather(1, torch.from_numpy(parts[0].labels)[:, None])
    assert (share >= 0.3 - 1e-6).all() and (share < 1).any()
    assert train(taught, *parts, tmp_path / "taught").finished


def test_a_run_by_recipe_by_seed_or_by_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "config", replace(targets.config, runs=tmp_path))
    assert targets.find_run("wide-cnn", 3) == tmp_path / "wide-cnn-seed3"
    assert targets.find_run("wide-cnn-seed2", 3) == tmp_path / "wide-cnn-seed2"
    (tmp_path / "mine").mkdir()
    for name in ("mine", str(tmp_path / "mine")):
        assert targets.find_run(name, 3) == tmp_path / "mine"


def test_wrong_teachers(tmp_path):
    parts = tiny(56), tiny(28, seed=1)
    with pytest.raises(FerError, match=r"no run there, and the recipe needs .*nobody"):
        train(SMALL.with_(teacher="shipped, nobody"), *parts, tmp_path / "x")
    train(SMALL, *parts, tmp_path / "seven")
    classes = "happy, sad"
    two = [tiny(28, seed, ("happy", "sad")) for seed in (0, 1)]
    wrong = SMALL.with_(classes=classes, teacher=str(tmp_path / "seven"))
    with pytest.raises(FerError, match=r"knows the classes angry.*the data happy, sad"):
        train(wrong, *two, tmp_path / "y")
