"""Exercises of notebook 3, training."""

from collections.abc import Iterable

from .exercise import exercise, learners_code, off_by

# Validation losses, patience, and the epoch after which training stops.
STOPS = (
    ([2.0, 1.8, 1.6, 1.4], 2, 4),  # improves to the end
    ([1.9, 1.7, 1.6, 1.65, 1.7, 1.5], 2, 5),
    ([1.9, 1.7, 1.6, 1.65, 1.7, 1.5], 3, 6),
    ([1.9, 1.8, 1.85, 1.7, 1.75, 1.6], 2, 6),  # a new lowest loss starts the count over
    ([2.0, 1.5, 1.6, 1.55, 1.4], 2, 4),  # lower than the last, not the lowest
    ([1.5, 1.5, 1.5, 1.2], 2, 3),  # equal is no improvement
    ([1.2, 1.3], 1, 2),
)
ENTRIES = {"model", "optimizer", "scheduler", "epoch"}


@exercise(
    "3.1",
    "Each output channel has a kernel of its own, and it looks at all input channels.",
    "A kernel has (input channels) × 3 × 3 weights, and there is no bias. What does "
    "batch normalisation add for each output channel?",
    "outputs × inputs × 9, plus two for each output channel.",
    praise="Pooling, ReLU and dropout add nothing: they have no weights.",
)
def weights_of_a_block(answer: object) -> str:
    kernels = 20 * 40 * 9
    if problem := off_by(answer, kernels + 2 * 40, 0):
        near = {
            kernels: "that is the convolution alone",
            kernels + 40: "batch normalisation has more than one weight a channel",
            kernels + 3 * 40: "the convolution has no bias here",
            20 * 40: "a kernel covers 3 × 3 pixels, not one",
            40 * 9 + 2 * 40: "every kernel looks at all the input channels",
        }
        close = (text for at, text in near.items() if not off_by(answer, at, 0))
        return next(close, problem)
    return ""


@exercise(
    "3.2",
    "Keep two things while you go through the losses: the lowest so far and its epoch.",
    "Stop when the present epoch minus the epoch of the lowest loss reaches "
    "`patience`; only a loss *below* the lowest one counts as an improvement.",
    "for epoch, loss in enumerate(losses, 1): if it is lower, remember both; else if "
    "epoch − lowest_epoch >= patience, return epoch. After the loop: len(losses).",
    praise="The weights to keep are those of the lowest loss, `patience` epochs "
    "earlier.",
)
def early_stopping(answer: object) -> str:
    for losses, patience, truth in STOPS:
        call = f"stop_epoch({losses}, {patience})"
        with learners_code(answer, call):
            found = answer(list(losses), patience)
        if found is None:
            return f"{call} returns nothing"
        if problem := off_by(found, truth, 1e-9):
            return f"{call} stops at the wrong epoch: {problem}"
    return ""


@exercise(
    "3.3",
    "What does plain SGD remember from one step to the next? What does a constant "
    "schedule?",
    "Set `momentum=0` and a scheduler that never changes the rate. Load a checkpoint "
    "into new parts, but leave one entry out; measure `distance`. Repeat for each.",
    "Two of the four are needed. Without one of them the network is untrained, "
    "without the other the training starts counting from zero.",
    praise="Plain SGD with a constant rate remembers nothing between two steps. With "
    "momentum or Adam the optimizer is needed too, and with a changing rate the "
    "scheduler.",
)
def entries_of_a_checkpoint(answer: object) -> str:
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        return f"the answer has to be a list of names, not {type(answer).__name__}"
    names = [str(name).strip().lower() for name in answer]
    names = {"optimizer" if name == "optimiser" else name for name in names}
    if unknown := names - ENTRIES:
        return f"{sorted(unknown)[0]!r:.40} is none of the four entries"
    if missing := {"model", "epoch"} - names:
        return f"{len(missing)} of the entries that you left out would be missed"
    if len(names) > 2:
        return "it would work, but not all of these are needed"
    return ""
