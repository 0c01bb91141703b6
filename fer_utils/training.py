"""Recipe in, run out: one training loop, resumable, on a CPU, a GPU or several."""

import math
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm.auto import tqdm

from .config import FerError, config, device
from .data import FER2013
from .fit import Fit
from .labels import parse_classes
from .recipes import Recipe
from .run import Run


def train(
    recipe: Recipe,
    train: FER2013,
    val: FER2013,
    folder: str | Path | None = None,
    again: bool = False,
) -> Run:
    """Train as the recipe says and return the `Run`, kept in `folder` as it goes.

    `folder` defaults to `<FER_RUNS>/<name>-seed<seed>`. A training that was stopped
    goes on from its last whole epoch and ends as it would have ended; a finished one
    is loaded. `again` deletes it and starts anew. `val` measures, and chooses the
    epoch to keep. Raises `FerError` if the folder holds another recipe or other data,
    or if the loss is no longer finite.
    """
    check_data(recipe, train, val)
    folder = Path(folder or config.runs / f"{recipe.name}-seed{recipe.seed}")
    accelerator = Accelerator(cpu=device().type == "cpu")
    main = accelerator.is_main_process  # of several processes, the one that writes
    if again and main:
        Run.delete(folder)
    accelerator.wait_for_everyone()
    run = Run.open(folder, recipe, train, val)
    if run.finished:
        return run
    start = time.perf_counter()  # the first epoch pays for the preparations
    fit = Fit(recipe, train, val, accelerator)
    run.resume(fit.device, fit.load_state_dict)
    if main:
        run.save()  # a folder that cannot be written shows now, not after an epoch
    steps = fit.steps * recipe.epochs
    done = fit.steps * len(run.history)
    with tqdm(total=steps, initial=done, desc=folder.name, disable=not main) as bar:
        for epoch in range(len(run.history), recipe.epochs):
            fit.start_epoch(epoch)
            lr = fit.optimizer.param_groups[0]["lr"]
            train_loss = train_epoch(fit, epoch, bar)
            val_loss, val_accuracy = validate_epoch(fit.judged, *fit.val, fit.autocast)
            if not math.isfinite(train_loss + val_loss):
                raise FerError(
                    f"{recipe.name}: in epoch {epoch + 1} the loss is no longer a "
                    f"number; lower lr ({recipe.lr:g}) or set grad_clip = 1"
                )
            fit.end_epoch(val_loss)
            bar.set_postfix_str(f"loss {train_loss:.3f}, val {val_accuracy:.3f}")
            entry = {
                "epoch": epoch + 1,
                "lr": lr,
                "train_loss": round(train_loss, 5),
                "val_loss": round(val_loss, 5),
                "val_accuracy": round(val_accuracy, 5),
                "seconds": round(time.perf_counter() - start, 2),
            }
            if main:
                run.add_epoch(entry, fit.kept, fit.state_dict())
            start = time.perf_counter()
    if main:
        run.finish()
    accelerator.wait_for_everyone()
    return run if main else Run.load(folder)


def check_data(recipe: Recipe, train: FER2013, val: FER2013) -> None:
    """Raise `FerError` if there is nothing to learn from, or not what the recipe says.

    The recipe's classes go into the record, so the data has to agree with them.
    """
    wanted = parse_classes(recipe.classes)
    for part, data in (("train", train), ("val", val)):
        if not len(data):
            raise FerError(f"{part}: no images to work with")
        if data.classes != wanted:
            raise FerError(
                f"{part} has the classes {', '.join(data.classes)}, the recipe "
                f"{', '.join(wanted)}: data.with_classes(recipe.classes) chooses them"
            )


def train_epoch(fit: Fit, epoch: int, bar: tqdm) -> float:
    """Show every training image once; return the mean loss."""
    fit.model.train()
    total = torch.zeros((), device=fit.device)
    count = 0
    for rows in fit.batches(epoch):
        images, labels = fit.mix(fit.inputs(rows), fit.targets[rows])
        with fit.autocast():
            logits = fit.model(images)
        loss = fit.loss(logits.float(), labels)
        fit.step(loss)
        total += loss.detach() * len(rows)
        count += len(rows)
        bar.update()
        if bar.n % 20 == 0 and not torch.isfinite(total):
            break  # no way back from there; asked rarely, as asking stalls a GPU
    return total.item() / count


@torch.inference_mode()
def validate_epoch(
    model: nn.Module, images: Tensor, labels: Tensor, autocast=nullcontext
) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy on unchanged images."""
    model.eval()
    loss, right = 0.0, 0
    for batch, truth in zip(images.split(512), labels.split(512), strict=True):
        with autocast():
            logits = model(batch).float()
        # Sums, divided once: a mean of batch means would misweigh the last batch.
        loss += F.cross_entropy(logits, truth, reduction="sum").item()
        right += (logits.argmax(1) == truth).sum().item()
    return loss / len(labels), right / len(labels)
