"""Recipe in, run out: one training loop, resumable, on a CPU, a GPU or several."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from .augment import POLICIES, augment
from .config import FerError, config, device
from .data import FER2013
from .labels import parse_classes
from .models import Recognizer
from .optim import make_optimizer, make_scheduler
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
    fit = Fit(recipe, train, val, accelerator)
    run.resume(fit.device, fit.load_state_dict)
    if main:
        run.save()  # a folder that cannot be written shows now, not after an epoch
    steps = fit.steps * recipe.epochs
    done = fit.steps * len(run.history)
    with tqdm(total=steps, initial=done, desc=folder.name, disable=not main) as bar:
        for epoch in range(len(run.history), recipe.epochs):
            start = time.perf_counter()
            lr = fit.optimizer.param_groups[0]["lr"]
            train_loss = train_epoch(fit, epoch, bar)
            val_loss, val_accuracy = validate_epoch(fit.kept, *fit.val, fit.autocast)
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


def train_epoch(fit: "Fit", epoch: int, bar: tqdm) -> float:
    """Show every training image once; return the mean loss."""
    fit.model.train()
    total = torch.zeros((), device=fit.device)
    count = 0
    for rows in fit.batches(epoch):
        images = augment(fit.images[rows].float() / 255, fit.policy)
        images, labels = fit.mix(images, fit.labels[rows])
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


class Fit:
    """All that changes while a recipe is trained, and the data on the device."""

    def __init__(
        self, recipe: Recipe, train: FER2013, val: FER2013, accelerator: Accelerator
    ):
        torch.manual_seed(recipe.seed)
        self.recipe, self.accelerator = recipe, accelerator
        self.device = accelerator.device
        self.policy = POLICIES[recipe.augment]
        # uint8 faces of all FER2013 take 83 MB: they move to the device once, and no
        # step waits for a worker process, a decoder or a copy.
        self.images, self.labels = to_device(train, self.device)
        self.val = to_device(val, self.device)
        self.steps = max(1, len(self.labels) // recipe.batch_size)
        if min(len(self.labels), recipe.batch_size) < accelerator.num_processes:
            raise FerError(
                f"batches of {recipe.batch_size} from {len(self.labels)} images cannot "
                f"feed {accelerator.num_processes} processes: raise batch_size"
            )

        model = Recognizer(recipe.model, train.classes, recipe.input_size)
        model = model.to(self.device, memory_format=torch.channels_last)
        self.averaged = None
        if recipe.ema:
            average = get_ema_multi_avg_fn(recipe.ema)
            self.averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        self.model = accelerator.prepare(model)
        self.optimizer = make_optimizer(recipe, model)
        self.scheduler = make_scheduler(recipe, self.optimizer, self.steps)
        self.precision = best_precision(self.device)
        fp16 = self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=fp16)
        self.weights = None
        if recipe.class_weights == "balanced":
            counts = torch.bincount(self.labels, minlength=len(train.classes))
            # A class without images would weigh infinitely: it counts for nothing.
            weights = len(self.labels) / (len(counts) * counts.clamp(min=1))
            self.weights = weights * (counts > 0)

    @property
    def kept(self) -> Recognizer:
        """The weights that are measured and kept: the averaged ones, if there are."""
        if self.averaged:
            return self.averaged.module
        return self.accelerator.unwrap_model(self.model)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Yield the epoch's batches as rows of the training data, in random order.

        All randomness starts here from (seed, epoch), so a resumed training needs no
        stored generator. Several processes take turns within each batch. What is left
        over when the batches are full sits out this epoch.
        """
        count, size = len(self.labels), self.recipe.batch_size
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        torch.manual_seed(self.recipe.seed * 10_007 + epoch)
        order = torch.randperm(count).to(self.device)
        torch.manual_seed((self.recipe.seed * 10_007 + epoch) * 64 + rank)
        for start in range(0, self.steps * size, size):
            yield order[start : start + size][rank::world]

    def mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Blend pairs of images by mixup or cutmix, if the recipe asks for it."""
        recipe = self.recipe
        choices = [("MixUp", recipe.mixup), ("CutMix", recipe.cutmix)]
        choices = [(name, alpha) for name, alpha in choices if alpha]
        if not choices:
            return images, labels
        from torchvision.transforms import v2

        name, alpha = choices[int(torch.randint(len(choices), ()))]
        classes = len(self.kept.classes)
        return getattr(v2, name)(alpha=alpha, num_classes=classes)(images, labels)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.recipe.label_smoothing
        return F.cross_entropy(logits, labels, self.weights, label_smoothing=smoothing)

    def autocast(self) -> torch.autocast:
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision, enabled=enabled)

    def step(self, loss: Tensor) -> None:
        """One step of the optimiser, the schedule and the average."""
        self.optimizer.zero_grad()
        self.accelerator.backward(self.scaler.scale(loss))
        if self.recipe.grad_clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.recipe.schedule != "plateau":
            self.scheduler.step()
        if self.averaged:
            self.averaged.update_parameters(self.accelerator.unwrap_model(self.model))

    def end_epoch(self, val_loss: float) -> None:
        if self.recipe.schedule == "plateau":
            self.scheduler.step(val_loss)

    def _parts(self) -> dict:
        model = self.accelerator.unwrap_model(self.model)
        parts = {"model": model, "optimizer": self.optimizer, "scaler": self.scaler}
        parts["scheduler"] = self.scheduler
        return parts | ({"averaged": self.averaged} if self.averaged else {})

    def state_dict(self) -> dict:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])


def to_device(data: FER2013, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images uint8 [N,1,48,48] and labels int64 [N] on the device."""
    images = torch.from_numpy(data.images).unsqueeze(1)
    return images.to(device), torch.from_numpy(data.labels).to(device)


def best_precision(device: torch.device) -> torch.dtype:
    """Return the fastest safe number format that the hardware has natively.

    A T4 only emulates bfloat16, which is slow: it gets float16 and a gradient scaler.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", bool)():
        return torch.bfloat16
    return torch.float32
