"""The exercises of notebook 3: right answers, near misses, wrong kinds."""

import math

import pytest
import torch

import fer_utils as fer


def stop_epoch(losses, patience):
    lowest, at = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < lowest:
            lowest, at = loss, epoch
        elif epoch - at >= patience:
            return epoch
    return len(losses)


def stops_at_every_rise(losses, patience):
    """The fault: compared with the epoch before, not with the lowest."""
    bad = 0
    for epoch in range(1, len(losses)):
        bad = bad + 1 if losses[epoch] >= losses[epoch - 1] else 0
        if bad >= patience:
            return epoch + 1
    return len(losses)


def test_weights_of_a_block():
    block = torch.nn.Sequential(
        torch.nn.Conv2d(20, 40, 3, bias=False), torch.nn.BatchNorm2d(40)
    )
    count = sum(weight.numel() for weight in block.parameters())
    assert fer.check("3.1", count)
    assert "convolution alone" in fer.check("3.1", 20 * 40 * 9).text
    assert "no bias" in fer.check("3.1", count + 40).text
    assert "too large" in fer.check("3.1", count + 7).text
    assert "too large" in fer.check("3.1", count + 0.4).text
    assert "one number" in fer.check("3.1", "many").text
    assert "one number" in fer.check("3.1", torch.tensor([count, count])).text


def test_early_stopping():
    assert fer.check("3.2", stop_epoch)
    assert "wrong epoch" in fer.check("3.2", stops_at_every_rise).text
    assert "wrong epoch" in fer.check("3.2", lambda losses, patience: 3).text
    assert "returns nothing" in fer.check("3.2", lambda losses, patience: None).text
    assert "stopped with ZeroDivisionError" in fer.check("3.2", lambda *_: 1 / 0).text
    assert "function" in fer.check("3.2", 5).text


@pytest.mark.parametrize("answer", [["model", "epoch"], {"epoch", "model"}])
def test_entries_of_a_checkpoint(answer):
    assert fer.check("3.3", answer)


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        (["model"], "missed"),
        (["model", "optimizer", "scheduler", "epoch"], "not all"),
        (["weights"], "none of the four"),
        ("model", "list of names"),
        (2, "list of names"),
    ],
)
def test_wrong_entries_of_a_checkpoint(answer, remark):
    verdict = fer.check("3.3", answer)
    assert not verdict and remark in verdict.text
