"""Exercises of notebook 2: random changes, one for a batch or one for each image."""

from collections.abc import Callable

import torch

from .exercise import exercise, learners_code, off_by

STEP, MOST = 5, 90  # degrees between two angles, and the largest one
LOSS = 0.05  # how much accuracy may be lost


@exercise(
    "2.1",
    "how many coins are tossed for the batch?",
    "call the transform on the batch twenty times, and compare each result with the "
    "batch and with its mirror image",
    "one coin for the whole batch: either every face is mirrored, or no face at all",
    praise="One draw for the whole batch: all faces of a step are mirrored, or none.",
)
def flipped_batch(answer: object) -> str:
    try:
        numbers = {int(number) for number in answer if number == int(number)}
        whole = len(numbers) == len(set(answer))
    except (TypeError, ValueError):
        return "the answer has to be a set of whole numbers, such as {1, 2}"
    if not whole:
        return "faces are counted in whole numbers"
    from torchvision.transforms import v2

    batch = torch.eye(4).repeat(128, 1, 1, 1)
    flip, found = v2.RandomHorizontalFlip(0.5), set()
    with torch.random.fork_rng(devices=[]):
        for seed in range(40):
            torch.manual_seed(seed)
            changed = (flip(batch) != batch).flatten(1).any(1)
            found.add(int(changed.sum()))
    if extra := numbers - found:
        return f"{min(extra)} mirrored faces never occur in 40 batches"
    return "at least one possible number is missing" if found - numbers else ""


@exercise(
    "2.2",
    "draw as many random numbers as there are images",
    "`torch.rand(len(images))` gives a number from 0 to 1 for each image; turn it into "
    "one from `1 - most` to 1, and give it a shape that spreads over all pixels",
    "multiply by `1 - most * torch.rand(len(images), 1, 1, 1, device=images.device)`",
    praise="Each image has a factor of its own, and those you gave stay as they are.",
)
def darker_images(answer: object) -> str:
    white, most = torch.ones(600, 1, 6, 6), 0.4
    given = [white.clone(), white.clone(), torch.full_like(white, 0.5)]
    amounts = (most, 0.0, most)
    with learners_code(answer):
        found = [answer(*each) for each in zip(given, amounts, strict=True)]
    if not all(isinstance(x, torch.Tensor) and x.shape == white.shape for x in found):
        return "it has to return a tensor of the same shape as the images"
    if not torch.equal(given[0], white):
        return "it changes the images that it was given; return new ones"
    out, same, grey = (x.float() for x in found)
    factors = out.flatten(1)
    if (factors.amax(1) - factors.amin(1)).max() > 1e-6:
        return "all pixels of an image need the same factor"
    each = factors[:, 0]
    if len(each.unique()) < 300:
        return "each image needs a factor of its own"
    if each.min() < 1 - most - 1e-6 or each.max() > 1 + 1e-6:
        return f"with most = {most}, a factor lies outside {1 - most:g} to 1"
    if each.min() > 1 - most + 0.03 or each.max() < 0.97:
        return f"with most = {most}, the factors do not reach from {1 - most:g} to 1"
    if not torch.allclose(same, white):
        return "most = 0 has to change nothing"
    if grey.max() > 0.5 + 1e-6 or grey.min() < 0.5 * (1 - most) - 1e-6:
        return "the grey values have to be multiplied by the factor"
    return ""


@exercise(
    "2.3",
    f"call `at_angle` for 0, {STEP}, {2 * STEP} … and compare with `at_angle(0)`",
    "a loop that stops at the first angle with more than 5 points lost; the answer is "
    "the angle before it",
    "`while angle < 90 and at_angle(angle + 5) >= at_angle(0) - 0.05: angle += 5`",
    praise="So far a face may lean in a photo before it has to be put upright.",
)
def largest_angle(
    answer: object, at_angle: Callable[[int], float] | None = None
) -> str:
    if not callable(at_angle):
        return "pass the function along: fer.check('2.3', answer, at_angle=at_angle)"
    if wrong := off_by(answer, MOST / 2, MOST / 2):
        return f"{wrong}: an angle from 0 to {MOST}" if "too" in wrong else wrong
    if float(answer) % STEP:
        return f"{float(answer):g} is no multiple of {STEP}"
    plain, last = at_angle(0), int(float(answer))
    for angle in range(STEP, last + 1, STEP):
        if at_angle(angle) < plain - LOSS:
            return f"{last}° is too far: more than 5 points are lost before it"
    if last < MOST and at_angle(last + STEP) >= plain - LOSS:
        return f"{last}° is not the largest angle"
    return ""
