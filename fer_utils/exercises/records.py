"""Exercises of notebook 8: the best of many, another way to average, who is missed."""

from collections.abc import Callable

import numpy as np

from .exercise import exercise, learners_code, off_by

NETWORKS, FACES, SHARE = 20, 900, 0.7


@exercise(
    "8.1",
    "The standard error of a share p on n faces is √(p (1 − p) / n). What is it for "
    "0.7 and 900 faces?",
    "The largest of twenty draws from a bell curve lies 1.87 standard deviations above "
    "the mean, on average.",
    "Or simulate it, as in section 1: `rng.binomial(900, 0.7, (10_000, 20)).max(1)`, "
    "then the mean, as a share of the faces.",
    praise="Nobody is better than anybody, and the published score is almost three "
    "points too good. On a small test, luck matters more.",
)
def best_of_twenty(answer: object) -> str:
    remark = off_by(answer, expected_best(NETWORKS, FACES, SHARE), 0.004)
    if remark.endswith("large") and 1 < float(answer) <= 100:
        return "give a share between 0 and 1, not per cent"
    if remark.endswith("small") and abs(float(answer) - SHARE) < 1e-9:
        return "that is how good each of them is; the best of twenty looks better"
    return remark


def expected_best(networks: int, faces: int, share: float) -> float:
    """Return the expected best score of networks that are right on `share` of faces."""
    from scipy.stats import binom

    # The mean of a count is the sum of the chances to exceed 0, 1, 2, …
    below = binom.cdf(np.arange(faces), faces, share) ** networks
    return float((1 - below).sum() / faces)


@exercise(
    "8.2",
    "A product of many small numbers is easier as a sum: the K-th root of a product "
    "is exp of the mean of the logarithms.",
    "`np.exp(np.mean(np.log(answers), axis=0))` multiplies; the rows do not sum to one "
    "yet. And what is the logarithm of 0?",
    "Take `np.clip(answers, 1e-12, None)` before the logarithm. Divide by "
    "`sum(axis=1, keepdims=True)` at the end.",
    praise="Multiplying probabilities is the same as averaging logits.",
)
def multiply_probabilities(answer: object) -> str:
    for members in (3, 2):
        given = np.random.default_rng(8).dirichlet(np.ones(7), (members, 40))
        if problem := _wrong_mean(answer, given, members):
            return problem
    return _wrong_veto(answer)


def _wrong_mean(answer: Callable, given: np.ndarray, members: int) -> str:
    """Return what is wrong with the mean of `members` answers without zeros."""
    with learners_code(answer):
        found = np.asarray(answer([one.copy() for one in given]), float)
    if found.shape != given.shape[1:]:
        return f"{members} arrays of shape (40, 7) gave {found.shape}, not (40, 7)"
    product = np.prod(given, axis=0)
    root = product ** (1 / members)
    exact = root / root.sum(1, keepdims=True)
    if np.allclose(found, exact, atol=1e-6):
        return ""
    if np.allclose(found, root, atol=1e-6):
        return "the rows do not sum to one"
    if np.allclose(found, given.mean(0), atol=1e-6):
        return "this is the mean that adds; multiply instead"
    if np.allclose(found, product / product.sum(1, keepdims=True), atol=1e-6):
        return f"the root is missing: {members} networks need the power 1/{members}"
    if not np.allclose(found.sum(1), 1):
        return "the rows do not sum to one"
    power = f"the power 1/{members} of the product"
    return f"with {members} networks, the shares are not those of {power}"


def _wrong_veto(answer: Callable) -> str:
    """Return what is wrong where members give 0 to some classes, or to all."""
    given = np.zeros((2, 2, 7))
    given[0, 0, :2] = 0.5  # the first face: one class is left, the second
    given[1, 0, 1:3] = 0.5
    given[0, 1, 0] = given[1, 1, 6] = 1  # the second: none is left, any row will do
    name = "with probabilities of 0, your function"
    with learners_code(answer, name), np.errstate(all="ignore"):
        found = np.asarray(answer([one.copy() for one in given]), float)
    if not np.isfinite(found).all():
        return "where a network gives the probability 0, a row becomes NaN or infinite"
    if found[0].argmax() != 1 or found[0, 1] < 0.99:
        return "a class to which one network gives 0 should get (nearly) nothing"
    if not np.allclose(found.sum(1), 1):
        return "with probabilities of 0, the rows do not sum to one"
    return ""


@exercise(
    "8.3",
    "A loop over the members: the mean of all others, and its log-loss. Compare it "
    "with the log-loss of all.",
    "`others = [p for name, p in members.items() if name != left_out]`, then "
    "`log_loss(np.mean(others, axis=0))`.",
    "Put the losses into a dict by name; the member that is missed most leaves the "
    "largest loss behind: `max(losses, key=losses.get)`.",
    praise="What a member is worth depends on the others: it has to be good, and wrong "
    "on other faces than they are.",
)
def missed_most(answer: object, members=None, labels=None) -> str:
    """`members`: name → probabilities [N,7] on the same faces; `labels`: int [N]."""
    if not isinstance(members, dict) or len(members) < 2 or labels is None:
        return "pass the team along: `members=members, labels=labels`"
    if not isinstance(answer, str) or answer not in members:
        return f"the answer has to be one of the names {', '.join(members)}"
    losses = losses_without(members, np.asarray(labels))
    if losses[answer] >= max(losses.values()) - 1e-9:
        return ""
    if losses[answer] <= min(losses.values()) + 1e-9:
        return f"without {answer} the loss is the lowest: it is missed least"
    return f"another one is missed more than {answer}"


def losses_without(members: dict, labels: np.ndarray) -> dict[str, float]:
    """Return for each name the log-loss of the mean of all the others."""
    total = np.sum([*members.values()], axis=0, dtype=float)
    losses = {}
    for name, probabilities in members.items():
        others = (total - probabilities) / (len(members) - 1)
        losses[name] = float(
            -np.log(others[np.arange(len(labels)), labels] + 1e-6).mean()
        )
    return losses
