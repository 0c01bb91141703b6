"""Exercises of notebook 4: right answers pass, others are told what is wrong."""

import pytest
import torch
from torch import nn

import fer_utils as fer


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (0.0005, True),
        (torch.tensor(0.0005), True),
        (0.001, False),
        (0.00025, False),
        ("half", False),
    ],
)
def test_the_rate_after_eight_epochs(answer, right):
    assert bool(fer.check("4.1", answer)) == right


def groups(network, lr, decay):
    parts = [network.net.head, *reversed(network.net.body), network.net.stem]
    pairs = enumerate(parts)
    return [{"params": p.parameters(), "lr": lr * decay**n} for n, p in pairs]


def test_a_rate_for_each_part():
    assert fer.check("4.2", groups), "generators of weights, as PyTorch takes them"
    assert fer.check("4.2", lambda *given: iter(groups(*given))), "PyTorch takes it"
    wrong = {
        "the function itself, not int": 3,
        "stopped with": lambda network: network,
        "0 groups": lambda *_: [],
        "group 0 has not": lambda *given: groups(*given)[::-1],
        "6 groups": lambda *given: groups(*given)[:-1],
    }
    for said, answer in wrong.items():
        assert said in fer.check("4.2", answer).text, said
    typed_in = [
        lambda network, lr, _: groups(network, lr, 1.0),
        lambda network, lr, _: groups(network, lr, 0.5),
        lambda network, _, decay: groups(network, 1e-2, decay),
    ]
    for answer in typed_in:
        assert "rates are not" in fer.check("4.2", answer).text
    assert "stopped with" in fer.check("4.2", lambda *_: None).text


def test_the_block_that_moved_most():
    before = [nn.Linear(2, 2) for _ in range(3)]
    after = [nn.Linear(2, 2) for _ in range(3)]
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        state = {k: v * (1 + 0.1 * (number == 1)) for k, v in old.state_dict().items()}
        new.load_state_dict(state)
    with torch.no_grad():
        assert fer.check("4.3", 1, before=before, after=after)
        assert fer.check("4.3", 1.0, before=before, after=after)
        assert fer.check("4.3", torch.tensor(1), before=before, after=after)
        whole = [7, -1, 1.5, True, "x", [1], float("nan"), torch.tensor([0, 1])]
        for wrong, said in ((0, "further"), *((one, "whole number") for one in whole)):
            verdict = fer.check("4.3", wrong, before=before, after=after)
            assert not verdict and said in verdict.text
