"""Exercises of notebook 4: fine-tuning."""

from math import isclose

from .exercise import exercise, learners_code, off_by


@exercise(
    "4.1",
    "follow the best loss so far: which epochs are no better than it?",
    "patience = 1 forgives one epoch in a row that is no better; the second halves",
    "after 0.88 come 0.89 and 0.91: the rate is halved once, and counting starts anew",
    praise="One halving: the epoch after it is forgiven, and the next one is better.",
)
def plateau(answer):
    return off_by(answer, 0.0005, 1e-9)


@exercise(
    "4.2",
    "`reversed(network.net.body)` gives the blocks from the last to the first",
    "keep the rate in a variable, and multiply it by `decay` after every group",
    "start with `[{'params': list(network.net.head.parameters()), 'lr': lr}]`",
    praise="Howard and Ruder (2018) train language models like this.",
)
def layerwise(answer):
    """The groups of a small network: head, blocks from the last on, stem."""
    from ..models import Recognizer

    network = Recognizer("compact-cnn")
    parts = [network.net.head, *reversed(network.net.body), network.net.stem]
    lr, decay = 0.02, 0.7  # nobody's habit: a rate typed into the code shows
    with learners_code(answer, f"`layerwise(network, {lr}, {decay})`"):
        groups = list(answer(network, lr, decay))
        rates = [float(group["lr"]) for group in groups]
        listed = [[id(weight) for weight in group["params"]] for group in groups]
    if len(listed) != len(parts):
        return f"{len(listed)} groups, but head, blocks and stem are {len(parts)}"
    for number, (found, part) in enumerate(zip(listed, parts, strict=True)):
        if sorted(found) != sorted(map(id, part.parameters())):
            return f"group {number} has not the weights of its part, each of them once"
    wanted = [lr * decay**number for number in range(len(parts))]
    right = all(
        isclose(*pair, rel_tol=1e-6) for pair in zip(rates, wanted, strict=True)
    )
    return "" if right else "the rates are not `lr`, then `decay` times the one before"


@exercise(
    "4.3",
    "zip the two lists of blocks and call `distance` on each pair",
    "`max(range(len(found)), key=found.__getitem__)` is the place of the largest",
    "`distance(after_head._blocks[i], tuned[3e-4]._blocks[i])` for every i",
    praise="Compare its neighbours, too: how much further did it go than they did?",
)
def moved_most(answer, before, after):
    def distance(old, new):
        pairs = list(zip(old.parameters(), new.parameters(), strict=True))
        moved = sum((b - a).square().sum() for a, b in pairs)
        return (moved / sum(a.square().sum() for a, _ in pairs)).sqrt().item()

    found = [distance(*pair) for pair in zip(before, after, strict=True)]
    try:
        number = int(answer)
        whole = number == answer and not isinstance(answer, bool)
    except (TypeError, ValueError, OverflowError):
        number, whole = -1, False
    if not whole or number not in range(len(found)):
        return f"the answer has to be a whole number from 0 to {len(found) - 1}"
    if found[number] == max(found):
        return ""
    return f"block {number} moved by {found[number]:.2%}, another one further"
