"""Recipe in, run out: one training loop, resumable, on a CPU, a GPU or several."""

import math
import time
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from ..data import FER2013
from ..device import (
    best_precision,
    device,
    inference_batch,
    keep_memory,
    memory_format,
)
from ..errors import FerError
from ..models import Recognizer, freeze
from .folders import default_folder
from .loader import Loader
from .optim import make_optimizers, make_scheduler
from .recipes import Recipe
from .runs import Run
from .targets import earlier_model


def train(
    recipe: Recipe,
    train: FER2013,
    val: FER2013,
    folder: str | Path | None = None,
    again: bool = False,
) -> Run:
    """Train as the recipe says and return the `Run`, saved in `folder` as it goes.

    `folder` defaults to `<FER_RUNS>/<profile>/<name>-seed<seed>`, or the next one that
    holds no other training. A training that was stopped goes on from its last whole
    epoch and ends as it would have ended; a finished one is loaded. `again` deletes it
    and starts over. `val` measures, and chooses the
    epoch to keep. Raises `FerError` if the folder holds another recipe or other data,
    or if the loss is no longer finite.
    """
    check_data(recipe, train, val)
    folder = Path(folder or default_folder(recipe, train, val))
    accelerator = Accelerator(cpu=device().type == "cpu")
    main = accelerator.is_main_process  # of several processes, the one that writes
    if again and main:
        Run.delete(folder)
    accelerator.wait_for_everyone()
    run = Run.open(folder, recipe, train, val)
    if run.finished:
        return run
    start = time.perf_counter()  # the first epoch's time includes the preparations
    keep_memory()
    trainer = Trainer(recipe, train, val, accelerator)
    run.resume(trainer.device, trainer.load_state_dict)
    if main:
        run.save()  # if the folder cannot be written, say so now, not after an epoch
    steps = trainer.loader.steps
    total, done = steps * recipe.epochs, steps * len(run.history)
    name = folder.name + " (drawn faces)" * train.drawn
    with tqdm(total=total, initial=done, desc=name, disable=not main) as bar:
        for epoch in range(len(run.history), recipe.epochs):
            trainer.start_epoch(epoch)
            lr = trainer.optimizers[0].param_groups[0]["lr"]
            train_loss = train_epoch(trainer, epoch, bar)
            val_loss, val_accuracy = validate_epoch(
                trainer.eval_model, *trainer.loader.val, trainer.autocast
            )
            if not math.isfinite(train_loss + val_loss):
                raise FerError(
                    f"{recipe.name}: in epoch {epoch + 1} the loss is no longer a "
                    f"number; lower lr ({recipe.lr:g}) or set grad_clip = 1"
                )
            trainer.end_epoch(val_loss)
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
                run.add_epoch(entry, trainer.saved_model, trainer.state_dict())
            start = time.perf_counter()
    if main:
        run.finish()
    accelerator.wait_for_everyone()
    return run if main else Run.load(folder)


def check_data(recipe: Recipe, train: FER2013, val: FER2013) -> None:
    """Raise `FerError` if these are not the images and classes that the recipe says."""
    if recipe.images not in (0, len(train)):
        raise FerError(
            f"train has {len(train):,} images, the recipe {recipe.images:,}: "
            "recipe.split(data) draws them"
        )
    for part, data in (("train", train), ("val", val)):
        if not len(data):
            raise FerError(f"{part} is empty: pass at least one image")
        if data.classes != recipe.class_names:
            raise FerError(
                f"{part} has the classes {', '.join(data.classes)}, the recipe has "
                f"{recipe.classes!r}: recipe.split(data) chooses them"
            )


def train_epoch(trainer: "Trainer", epoch: int, bar: tqdm) -> float:
    """Show every training image once; return the mean loss."""
    trainer.train_model.train()
    total = torch.zeros((), device=trainer.device)
    count = 0
    for images, targets in trainer.loader.batches(epoch):
        with trainer.autocast():
            logits = trainer.train_model(images)
        loss = trainer.loss(logits.float(), targets)
        trainer.step(loss)
        total += loss.detach() * len(images)
        count += len(images)
        bar.update()
        if bar.n % 20 == 0 and not torch.isfinite(total):
            break  # it will not recover; asked rarely, since asking stalls a GPU
    return total.item() / count


@torch.inference_mode()
def validate_epoch(
    model: nn.Module, images: Tensor, labels: Tensor, autocast=nullcontext
) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy on unchanged images."""
    model.eval()
    size = inference_batch(images.device, getattr(model, "input_size", 48))
    loss, right = 0.0, 0
    for batch, truth in zip(images.split(size), labels.split(size), strict=True):
        with autocast():
            logits = model(batch).float()
        # Sums, divided once: batch means would give a small last batch too much weight.
        loss += F.cross_entropy(logits, truth, reduction="sum").item()
        right += (logits.argmax(1) == truth).sum().item()
    return loss / len(labels), right / len(labels)


class Trainer:
    """What changes while a recipe is trained: network, optimisers, schedules, average.

    `recognizer` is the whole network, and `model` the part that learns: all of it, or
    its head on cached features. `train_model` is `model` as several processes share it,
    `eval_model` its average if there is one, `saved_model` the whole network with it.
    """

    def __init__(
        self, recipe: Recipe, train: FER2013, val: FER2013, accelerator: Accelerator
    ):
        torch.manual_seed(recipe.seed)
        self.recipe, self.accelerator = recipe, accelerator
        self.device = accelerator.device
        self.loader = Loader(recipe, train, val, accelerator)
        weights = self.loader.class_weights()
        # With two heads, the targets of the one that needs it are smooth already.
        smoothing = 0.0 if recipe.label_head else recipe.label_smoothing
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=smoothing)
        model = first_model(recipe, train)
        set_dropout(model, recipe)
        check_sizes(model, recipe)
        freeze(model, recipe.unfreeze)
        model.to(self.device, memory_format=memory_format(self.device))
        self.recognizer = self.model = self.eval_model = self.saved_model = model
        self.averaged = None
        if recipe.cached_views:
            self.loader.cache_features(model, self.autocast)
            self.model = self.eval_model = model.net.head
        if recipe.ema:  # only without cached views: see Recipe
            ema = get_ema_multi_avg_fn(recipe.ema)
            self.averaged = AveragedModel(model, multi_avg_fn=ema, use_buffers=True)
            self.eval_model = self.saved_model = self.averaged.module
        self.train_model = accelerator.prepare(self.model)
        self.optimizers = make_optimizers(recipe, model)
        steps = self.loader.steps
        self.schedulers = [make_scheduler(recipe, o, steps) for o in self.optimizers]
        fp16 = self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=fp16)
        parts = [self.model, self.scaler, *self.optimizers, *self.schedulers]
        self.parts = [*parts, self.averaged] if self.averaged else parts

    def start_epoch(self, epoch: int) -> None:
        self.loader.start_epoch(epoch)
        for model in (self.recognizer, self.saved_model):
            model.input_size = self.loader.size

    @cached_property
    def precision(self) -> torch.dtype:
        return best_precision(self.device, self.recognizer)

    def autocast(self) -> torch.autocast:
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision, enabled=enabled)

    def step(self, loss: Tensor) -> None:
        """Move the weights once, then the schedules and the average."""
        self.train_model.zero_grad()
        self.accelerator.backward(self.scaler.scale(loss))
        moving = self.optimizers
        if limit := self.recipe.grad_clip:
            for optimizer in self.optimizers:
                self.scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
            if self.scaler.is_enabled() and not norm.isfinite():
                moving = []  # one overflow has spoilt the gradients of all optimisers
        for optimizer in moving:
            self.scaler.step(optimizer)
        self.scaler.update()
        if self.recipe.schedule != "plateau":
            for scheduler in self.schedulers:
                scheduler.step()
        if self.averaged:
            self.averaged.update_parameters(self.model)

    def end_epoch(self, val_loss: float) -> None:
        if self.recipe.schedule == "plateau":
            for scheduler in self.schedulers:
                scheduler.step(val_loss)

    def state_dict(self) -> dict:
        """Return what a stopped training needs to go on."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            if saved or part is not self.scaler:  # float32 had no use for a scaler
                part.load_state_dict(saved)


def first_model(recipe: Recipe, train: FER2013) -> Recognizer:
    """Return the network to begin with: new, from ImageNet, or from an earlier run."""
    classes = train.classes
    build = partial(Recognizer, recipe.model, classes, recipe.input_size)
    if not recipe.start:
        return build(recipe.pretrained, recipe.label_head)
    earlier = earlier_model(recipe.start, recipe.seed, train)
    model = build(label_head=recipe.label_head)
    # A head for other classes, or that the earlier network lacks, starts from scratch.
    if earlier.classes != classes:
        earlier.net.head = model.net.head
    if earlier.classes != classes or None in (earlier.label_head, model.label_head):
        earlier.label_head = model.label_head
    try:
        model.load_state_dict(earlier.state_dict())
    except RuntimeError:
        raise FerError(
            f"{recipe.name}: model = {recipe.model}, but the run to start from "
            f"({recipe.start}) is a {earlier.name}; use the same model"
        ) from None
    return model


def set_dropout(model: Recognizer, recipe: Recipe) -> None:
    """Set the dropout of the heads, where the recipe asks for another one."""
    for head in filter(None, (model.net.head, model.label_head)):
        for layer in head.modules():
            if isinstance(layer, nn.Dropout) and recipe.dropout >= 0:
                layer.p = recipe.dropout


@torch.no_grad()
def check_sizes(model: Recognizer, recipe: Recipe) -> None:
    """Raise `FerError` if images of the recipe's sizes shrink to nothing."""
    model.eval()
    for key in ("early_size", "input_size"):
        model.input_size = getattr(recipe, key) or recipe.input_size
        try:
            model(torch.zeros(1, 1, 48, 48))
        except RuntimeError:
            small = f"{key} = {model.input_size} is too small for {recipe.model}"
            raise FerError(f"{recipe.name}: {small}; raise it") from None
