"""The embedded sample: format, determinism, imbalance, and the faults it promises."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest

import draw_sample
from draw_sample import make_sample
from fer_utils.data import load_fer2013
from fer_utils.data.readers import Raw
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS

SPLITS = {"Training": 800, "PublicTest": 160, "PrivateTest": 160}


@pytest.fixture(scope="module")
def made():
    return Raw(*map(np.asarray, make_sample()))


def test_stored_sample_is_what_is_drawn(made, monkeypatch, tmp_path, capsys):
    stored = load_fer2013("sample")
    monkeypatch.setattr(draw_sample, "SAMPLE", tmp_path / "sample.npz")
    draw_sample.main()
    assert capsys.readouterr().out.endswith("sample.npz: 1,120 images\n")
    with np.load(tmp_path / "sample.npz") as written:
        for field, drawn in made._asdict().items():
            assert np.array_equal(written[field], drawn)
            kept = getattr(stored, field)
            assert kept.dtype == written[field].dtype
            # Other processors and versions of Pillow round a few pixels otherwise.
            assert kept.shape == np.shape(drawn) and np.mean(kept != drawn) < 0.01


def copies(images: np.ndarray) -> list[list[int]]:
    """Indices of pixel-identical images, one list for each image that occurs twice."""
    groups = defaultdict(list)
    for i, image in enumerate(images):
        groups[hashlib.sha256(image.tobytes()).digest()].append(i)
    return [group for group in groups.values() if len(group) > 1]


def test_format(made):
    images, labels, usage, names = made
    assert images.shape == (1120, 48, 48) and images.dtype == np.uint8
    assert labels.shape == usage.shape == (1120,) and labels.dtype == np.int64
    assert {split: int((usage == split).sum()) for split in SPLITS} == SPLITS
    assert len(set(names)) == 1120
    assert all(n.startswith(f"{u}_") for n, u in zip(names, usage, strict=True))


def test_grey_levels_resemble_fer2013(made):
    # FER2013: mean 129, standard deviation 65.
    assert 110 < made[0].mean() < 150 and 50 < made[0].std() < 75


def test_same_arguments_same_sample():
    once, again, other = (make_sample(90, 70, 70, seed=s) for s in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])


@pytest.mark.parametrize("split", SPLITS)
def test_classes_keep_the_imbalance(made, split):
    _, labels, usage, _ = made
    counts = np.bincount(labels[usage == split], minlength=len(EMOTIONS))
    shares = np.array(draw_sample.COUNTS[split]) / sum(draw_sample.COUNTS[split])
    assert counts.min() >= draw_sample.AT_LEAST
    assert np.abs(counts - SPLITS[split] * shares).max() <= draw_sample.AT_LEAST
    assert np.any(np.diff(labels[usage == split]) < 0), "labels lie sorted"


def test_planted_copies(made):
    images, labels, usage, _ = made
    groups = copies(images)
    training = [[i for i in g if usage[i] == "Training"] for g in groups]
    assert all(training), "every copy has its original in Training"
    extra = sum(len(g) - 1 for g in training)
    assert extra == round(800 * draw_sample.COPIED_IN_TRAINING) + draw_sample.CONFLICTS
    for split in ("PublicTest", "PrivateTest"):
        leaked = sum(usage[i] == split for g in groups for i in g)
        assert leaked == round(160 * draw_sample.COPIED_TO_TESTS)
    conflicts = [g for g in groups if len(set(labels[g])) > 1]
    assert len(conflicts) == draw_sample.CONFLICTS


def test_planted_blanks(made):
    images, _, usage, _ = made
    uniform_columns = np.flatnonzero(images.std(axis=1).max(axis=1) == 0)
    assert len(uniform_columns) == draw_sample.BLANKS
    assert set(usage[uniform_columns]) == {"Training"}


def test_wrong_labels_show_another_expression(monkeypatch):
    drawn = []
    monkeypatch.setattr(draw_sample, "_Faces", lambda shown, rng: drawn.append(shown))
    monkeypatch.setattr(
        draw_sample, "_render", lambda _: np.zeros((1120, 48, 48), dtype=np.uint8)
    )
    _, labels, usage, _ = make_sample()
    wrong = np.flatnonzero(drawn[0] != labels)
    assert len(wrong) == round(800 * draw_sample.WRONG_LABELS)
    assert set(usage[wrong]) == {"Training"}


@pytest.mark.parametrize("seed", range(5))
def test_smallest_sample_holds_everything(seed):
    images, labels, usage, _ = make_sample(*[draw_sample.SMALLEST] * 3, seed=seed)
    assert copies(images)
    assert all(len(set(labels[usage == split])) == len(EMOTIONS) for split in SPLITS)


@pytest.mark.parametrize("sizes", [(0, 160, 160), (800, 10, 160), (800, 160, -1)])
def test_too_small_is_refused(sizes):
    with pytest.raises(FerError, match="give every split 70"):
        make_sample(*sizes)
