"""Batches: what each epoch and each process sees, and how often."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.training import Loader, Recipe

SMALL = Recipe("small", epochs=3, batch_size=16, augment="none")


def process(rank: int, world: int) -> SimpleNamespace:
    """As Accelerator, one of several processes on a CPU."""
    cpu = torch.device("cpu")
    return SimpleNamespace(device=cpu, process_index=rank, num_processes=world)


ALONE = process(0, 1)


def test_alternating_flips_show_both_sides_of_each_image_in_two_epochs():
    part, rows = tiny(56), torch.arange(56)
    loader = Loader(SMALL.with_(flips="alternate"), part, part, ALONE)
    seen = []
    for epoch in range(3):
        loader.start_epoch(epoch)
        seen.append(loader.inputs(rows))
    whole = torch.from_numpy(part.images)[:, None].float() / 255
    kept = (seen[0] == whole).flatten(1).all(1)
    assert torch.equal(seen[0], seen[1].flip(3)) and torch.equal(seen[0], seen[2])
    assert torch.equal(seen[0][~kept], whole[~kept].flip(3)) and 14 < kept.sum() < 42


def test_class_weights_balance():
    classes = ("happy", "sad", "neutral")
    part = tiny(40, classes=classes)
    part.labels[:] = np.repeat([0, 1], [30, 10])  # none is neutral
    chosen = SMALL.with_(class_weights="balanced", classes="happy, sad, neutral")
    weights = Loader(chosen, part, part, ALONE).class_weights()
    assert weights.tolist() == pytest.approx([40 / 90, 40 / 30, 0])


def test_balanced_draws_every_class_alike():
    part = tiny(700)
    part.labels[:] = np.repeat(np.arange(7), [400, 150, 50, 40, 30, 20, 10])
    loader = Loader(SMALL.with_(balanced=True), part, part, ALONE)
    drawn = torch.cat([targets for _, targets in loader.batches(0)])
    counts = torch.bincount(drawn, minlength=7)
    assert counts.min() > 0.5 * counts.float().mean()


def batches(rank: int, world: int, epoch: int = 0) -> list[torch.Tensor]:
    """The rows of the training data that one of several processes draws."""
    part = tiny(56)
    loader = Loader(SMALL, part, part, process(rank, world))
    loader.inputs = lambda rows: rows
    return [rows for rows, _ in loader.batches(epoch)]


def test_batches_show_every_image_once_and_differ_by_epoch():
    rows = torch.cat(batches(0, 1))
    assert len(rows) == len(rows.unique()) == 48
    assert torch.equal(rows, torch.cat(batches(0, 1)))
    assert not torch.equal(rows, torch.cat(batches(0, 1, epoch=1)))


def test_processes_share_each_batch():
    for whole, a, b in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        assert len(a) == len(b) and not set(a.tolist()) & set(b.tolist())
        assert set(torch.cat([a, b]).tolist()) == set(whole.tolist())


def test_more_processes_than_images_in_a_batch():
    part = tiny(56)
    with pytest.raises(FerError, match=r"cannot feed 17 processes: raise batch_size"):
        Loader(SMALL, part, part, process(0, 17))
