"""Two heads on one network: people's votes, and FER2013's labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.models import Recognizer, load_model, save_model
from fer_utils.training import Recipe, Run, Trainer, recipe, targets, train
from fer_utils.training.targets import training_targets

TWO = Recipe("two", epochs=3, batch_size=8, augment="none", optimizer="muon", lr=1e-2)
TWO = TWO.with_(labels="fer+", label_head=True, input_size=32, keep="last")


def votes_of(data):
    """Votes that always name the class after the label's, float32 [N,7]."""
    return np.eye(7, dtype=np.float32)[(data.labels + 1) % 7]


@pytest.fixture(scope="module", autouse=True)
def votes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "vote_shares", votes_of)
        yield


@pytest.fixture(scope="module")
def whole():
    usage = np.repeat(["Training", "PublicTest", "PrivateTest"], [112, 28, 28])
    return replace(tiny(168), usage=usage)


@pytest.fixture(scope="module")
def run(whole, tmp_path_factory):
    parts = whole.split()
    return train(TWO, parts.train, parts.val, tmp_path_factory.mktemp("two"))


def test_two_answers_in_training_one_afterwards(tmp_path):
    model = Recognizer("compact-cnn", label_head=True)
    images = torch.rand(4, 1, 48, 48)
    assert model.train()(images).shape == (4, 7, 2)
    assert model.eval()(images).shape == (4, 7)
    with torch.no_grad():
        model.label_head[1].bias += torch.arange(7.0)
    save_model(model, tmp_path / "two.safetensors")
    loaded = load_model(tmp_path / "two.safetensors")
    labels = loaded.for_labels()
    assert labels.label_head is None and labels.net.body[0] is loaded.net.body[0]
    with torch.inference_mode():
        gap = labels(images) - loaded(images)
    assert torch.allclose(gap, torch.arange(7.0).expand(4, 7), atol=0.02)
    with pytest.raises(FerError, match="has one head only"):
        labels.for_labels()


def test_targets_of_both_heads(whole):
    data = whole.split().train
    made = training_targets(TWO.with_(label_smoothing=0.07), data, torch.device("cpu"))
    assert made.shape == (112, 7, 2) and made.dtype == torch.float32
    assert np.array_equal(made[..., 0], votes_of(data)), "votes are not smoothed"
    labels = np.full((112, 7), 0.01)
    labels[np.arange(112), data.labels] = 0.94
    assert np.allclose(made[..., 1], labels)


def test_each_head_learns_its_own(run, whole):
    scores = run.evaluate(whole, "test")
    loaded = Run.load(run.folder)
    assert loaded.scores("test") == scores
    assert scores.accuracy < 0.1, "the votes never name the label"
    assert loaded.scores("test", label_head=True).accuracy > 0.9
    stored, test = loaded.predictions(), whole.split().test
    said = stored["test_probabilities"].argmax(1)
    assert (said == (test.labels + 1) % 7).mean() > 0.9
    labels = stored["test_label_head_probabilities"].argmax(1)
    assert (labels == test.labels).mean() > 0.9
    run.evaluate(whole, "val", views=1)
    assert "val_1_views_label_head" in Run.load(run.folder).record.scores


def test_starts_with_and_without_the_second_head(run, whole, tmp_path):
    parts = whole.split()

    def started(folder, **changes):
        chosen = TWO.with_(start=str(folder), **changes)
        trainer = Trainer(chosen, parts.train, parts.val, Accelerator(cpu=True))
        return trainer.recognizer.state_dict()

    kept = run.model.state_dict()
    both = started(run.folder)
    assert all(torch.equal(value, kept[key]) for key, value in both.items())
    one = started(run.folder, label_head=False)
    assert one.keys() == {key for key in kept if not key.startswith("label_head")}
    alone = TWO.with_(label_head=False, epochs=1)
    train(alone, parts.train, parts.val, tmp_path / "one")
    assert started(tmp_path / "one").keys() == kept.keys()


@pytest.mark.parametrize(
    "changes",
    [{"labels": "fer"}, {"mixup": 0.2}, {"cutmix": 1.0}, {"cached_views": 1}],
    ids=str,
)
def test_what_does_not_go_with_two_heads(changes):
    with pytest.raises(FerError, match=r'label_head needs labels = "fer\+", and no'):
        TWO.with_(**changes)


def test_the_recipe():
    assert recipe("people").label_head and recipe("people").from_votes
