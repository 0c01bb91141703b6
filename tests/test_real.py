"""Real FER2013, where FER_REAL names a copy of it; nothing here needs to be fast."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ship
import slices
from fer_utils.config import config
from fer_utils.data import USAGES, VOTES, load, load_fer2013, read_votes, votes
from fer_utils.evaluation import people_scores, predict_probabilities, score
from fer_utils.export import export_onnx, parity, quantize
from fer_utils.labels import EMOTIONS, emotion_code
from fer_utils.models import load_model
from fer_utils.photos import Predictor
from fer_utils.photos.network import OnnxNetwork
from fer_utils.shipped import SHIPPED

REAL = os.environ.get("FER_REAL", "")
pytestmark = pytest.mark.skipif(
    not REAL, reason="FER_REAL does not name a copy of FER2013"
)

# Published: Goodfellow et al. (2013), in the order of the codes.
COUNTS = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}


@pytest.fixture(scope="module")
def real():
    return load_fer2013(REAL)


def test_format(real):
    assert len(real) == 35_887 and real.classes == EMOTIONS
    assert real.images.shape == (35_887, 48, 48) and real.images.dtype == np.uint8
    assert real.labels.dtype == np.int64
    assert len(set(real.names)) == 35_887
    assert 125 < real.images.mean() < 135 and 55 < real.images.std() < 70


@pytest.mark.parametrize("usage", USAGES)
def test_classes_as_published(real, usage):
    assert tuple(real.select(real.usage == usage).counts()) == COUNTS[usage]


def test_audit(real):
    # Of one copy; JPEG encoded anew shifts these by a few.
    found = real.audit()
    expected = (1850, 58, 273, 283)
    counted = (found.redundant, found.conflicting, *found.copies.values())
    assert np.abs(np.subtract(counted, expected)).max() <= 10
    assert 5 <= found.blank <= 20


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [
        ("official", (28_709, 3_589, 3_589)),
        ("course", (22_967, 5_742, 7_178)),
        ("csv", (25_838, 6_460, 3_589)),
    ],
)
def test_splits(real, protocol, sizes):
    parts = real.split(protocol)
    assert tuple(map(len, parts)) == sizes
    if protocol == "official":
        copies = [int((~part.clean).sum()) for part in parts]
        assert copies == [0, *real.audit().copies.values()]
    else:
        shares = [part.counts() / len(part) for part in parts[:2]]
        assert np.abs(shares[0] - shares[1]).max() < 1e-3, "stratified"


def test_cached_load_is_the_same(real, tmp_path, monkeypatch):
    def fail(path):
        raise AssertionError("decoded again")

    monkeypatch.setattr(load, "read_source", fail)
    again = load_fer2013(REAL)
    assert np.array_equal(again.images, real.images)
    assert np.array_equal(again.names, real.names)
    monkeypatch.setattr(load, "config", replace(config, cache=tmp_path))
    with pytest.raises(AssertionError, match="decoded again"):
        load_fer2013(REAL)


def test_ferplus_votes(real):
    path = Path(REAL).with_name("ferplus_votes.csv")
    if not path.is_file():
        pytest.skip(f"no {path.name} beside FER_REAL")
    votes = read_votes(real, path)
    known = votes.min(axis=1) >= 0
    assert votes.shape == (35_887, 10) and known.mean() > 0.99
    assert np.median(votes[known].sum(axis=1)) == 10, "ten people looked at each image"
    # Joined to the wrong rows, about one label in six would agree.
    winner = votes[:, :7].argmax(axis=1)
    agree = np.array([emotion_code(name) for name in VOTES[:7]])[winner] == real.labels
    assert 0.6 < agree[known].mean() < 0.75


@pytest.mark.parametrize(("name", "floor"), [("people", 0.6), ("fer2013-labels", 0.7)])
def test_the_shipped_weights_reach_their_scores(real, name, floor):
    """What the weights' header, the run record and the model card say, seen again."""
    predictor, parts = Predictor.load(name), real.split()
    for key in ("val", "test"):
        part, said = getattr(parts, key), predictor.network.metadata["scores"][key]
        got = score(predictor.probabilities(part.images), part)
        assert got.accuracy >= floor and got.clean.count == part.clean.sum()
        # Other processors round differently: one or two images in a thousand change.
        assert got.accuracy == pytest.approx(said["accuracy"], abs=0.003)
        assert got.clean.accuracy == pytest.approx(said["clean"]["accuracy"], abs=0.003)


def test_the_label_head_reaches_its_scores(real):
    network = load_model("people")
    test = real.split().test
    got = score(predict_probabilities(network.for_labels(), test.images), test)
    said = network.metadata["label_scores"]["test"]
    assert got.accuracy >= 0.68
    assert got.accuracy == pytest.approx(said["accuracy"], abs=0.003)


@pytest.mark.parametrize(("name", "floor"), [("people", 0.88), ("fer2013-labels", 0.7)])
def test_the_shipped_weights_agree_with_people(real, name, floor, monkeypatch):
    path = Path(REAL).with_name("ferplus_votes.csv")
    if not path.is_file():
        pytest.skip(f"no {path.name} beside FER_REAL")
    monkeypatch.setattr(votes, "config", replace(votes.config, votes=str(path)))
    predictor, test = Predictor.load(name), real.split().test
    got = people_scores(predictor.probabilities(test.images), test)
    said = predictor.network.metadata["scores"]["test"]["people"]
    assert got.agreement >= floor
    for key in ("agreement", "balanced", "published", "ceiling"):
        assert getattr(got, key) == pytest.approx(said[key], abs=0.01)


def test_the_slices_of_the_model_card(real, monkeypatch):
    """What people agree on, and the dark: counted again from pixels and answers."""
    path = Path(REAL).with_name("ferplus_votes.csv")
    if not path.is_file():
        pytest.skip(f"no {path.name} beside FER_REAL")
    monkeypatch.setattr(votes, "config", replace(votes.config, votes=str(path)))
    kept = json.loads(ship.SLICES.read_text("utf-8"))["networks"]
    quick = tuple(each for each in slices.MEASURES if each.of is not slices.tilt)
    again = slices.record(real.split().test, quick)["networks"]
    for name in SHIPPED:
        got, said = again[name], kept[name]
        assert got["date"] == said["date"], "run `python tools/slices.py`"
        got = got["slices"] | {"answered": got["answered"]}
        said = said["slices"] | {"answered": said["answered"]}
        for measure, group in ((m, g) for m in got for g in got[m]):
            one, other = got[measure][group], said[measure][group]
            # JPEG decoded by other versions: a few faces change their third.
            assert one["faces"] == pytest.approx(other["faces"], abs=5)
            assert one["accuracy"] == pytest.approx(other["accuracy"], abs=0.01)


def test_exported_networks_answer_alike(real, tmp_path):
    """All of PrivateTest, one view: float is the same, int8 loses next to nothing."""
    model, parts = load_model(), real.split()
    test, drawn = parts.test, np.random.default_rng(0).permutation(len(parts.train))
    torch_says = predict_probabilities(model, test.images, views=1)
    shipped = OnnxNetwork().probabilities(test.images, views=1)
    found = parity(torch_says, shipped, model.classes, test.labels)
    assert found.largest < 1e-4 and not any(found.flips.values())
    whole = export_onnx(model, tmp_path / "whole.onnx", "float32")
    small = tmp_path / "int8.onnx"
    quantize(whole, small, parts.train.images[np.sort(drawn[:1000])])
    int8 = OnnxNetwork(small).probabilities(test.images, views=1)
    found = parity(torch_says, int8, model.classes, test.labels)
    before, after = found.accuracy
    print(f"int8 on PrivateTest: {found}; flips {found.flips}")
    assert after >= before - 0.002 and sum(found.flips.values()) < 0.03 * len(test)
