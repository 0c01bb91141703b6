"""The state of a training: network, optimiser, schedule, and the data on the device."""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from .augment import POLICIES, Policy, augment
from .config import FerError, reason
from .data import FER2013
from .models import Recognizer, freeze
from .optim import make_optimizer, make_scheduler
from .recipes import Recipe
from .targets import earlier_model, targets


class Fit:
    """All that changes while a recipe is trained, and the data on the device."""

    def __init__(
        self, recipe: Recipe, train: FER2013, val: FER2013, accelerator: Accelerator
    ):
        torch.manual_seed(recipe.seed)
        self.recipe, self.accelerator = recipe, accelerator
        self.device = accelerator.device
        self.policy = POLICIES[recipe.augment]
        self.mirrored = None
        if recipe.flips == "alternate":  # see start_epoch
            self.policy = replace(self.policy, flip=0.0)
        # uint8 faces of all FER2013 take 83 MB: they move to the device once, and no
        # step waits for a worker process, a decoder or a copy.
        self.images, self.labels = to_device(train, self.device)
        self.targets = targets(recipe, train, self.device)
        self.val = to_device(val, self.device)
        self.steps = max(1, len(self.labels) // recipe.batch_size)
        if min(len(self.labels), recipe.batch_size) < accelerator.num_processes:
            raise FerError(
                f"batches of {recipe.batch_size} from {len(self.labels)} images cannot "
                f"feed {accelerator.num_processes} processes: raise batch_size"
            )

        model = first_model(recipe, train.classes)
        check_sizes(model, recipe)
        freeze(model, recipe.unfreeze)
        self.recognizer = model.to(self.device, memory_format=torch.channels_last)
        self.precision = best_precision(self.device, self.recognizer)
        if recipe.views:
            self.images, self.val = self.cached_features()
            model = model.net.head
        self.averaged = None
        if recipe.ema:
            average = get_ema_multi_avg_fn(recipe.ema)
            self.averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        self.model = accelerator.prepare(model)
        self.optimizer = make_optimizer(recipe, self.recognizer)
        self.scheduler = make_scheduler(recipe, self.optimizer, self.steps)
        fp16 = self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=fp16)
        self.weights = None
        if recipe.class_weights == "balanced":
            counts = torch.bincount(self.labels, minlength=len(train.classes))
            # A class without images would weigh infinitely: it counts for nothing.
            weights = len(self.labels) / (len(counts) * counts.clamp(min=1))
            self.weights = weights * (counts > 0)

    @property
    def judged(self) -> nn.Module:
        """What is measured on `val`: the averaged weights, if there are."""
        if self.averaged:
            return self.averaged.module
        return self.accelerator.unwrap_model(self.model)

    @property
    def kept(self) -> Recognizer:
        """What is saved: the whole network, even when only its head is trained."""
        return self.recognizer if self.recipe.views else self.judged

    def start_epoch(self, epoch: int) -> None:
        """Set the side of the pictures, and which of them are mirror images.

        Small pictures teach the coarse things sooner. Where flips alternate, half of
        the images, drawn once, are mirrored in even epochs and the others in odd ones:
        two epochs show both sides of each (K. Jordan, 2024, arXiv:2404.00498).
        """
        recipe = self.recipe
        early = recipe.early_size and epoch < recipe.epochs // 2
        for model in (self.recognizer, self.kept):
            model.input_size = recipe.early_size if early else recipe.input_size
        if recipe.flips == "alternate":
            generator = torch.Generator().manual_seed(recipe.seed)
            drawn = torch.randint(2, (len(self.labels),), generator=generator)
            self.mirrored = ((drawn + epoch) % 2 == 0).to(self.device)

    def cached_features(self) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return features [views,N,F] of the training and [N,F] of the val images.

        The frozen body says the same of an image every time: once is enough. Every
        view after the first is of images augmented anew.
        """
        policies = [Policy()] + [self.policy] * (self.recipe.views - 1)
        images, labels = self.val
        views = [self.features(self.images, p, "features") for p in policies]
        return torch.stack(views), (self.features(images, Policy(), "val"), labels)

    @torch.no_grad()
    def features(self, images: Tensor, policy: Policy, name: str) -> Tensor:
        self.recognizer.eval()
        # On a CPU, larger parts are slower: each layer's maps would be fetched from the
        # system and given back again.
        count, parts = 16 if self.device.type == "cpu" else 128, []
        for batch in tqdm(images.split(count), desc=name, leave=False):
            with self.autocast():
                changed = augment(batch.float() / 255, policy)
                parts.append(self.recognizer.features(changed).float())
        return torch.cat(parts)

    def inputs(self, rows: Tensor) -> Tensor:
        """Return these images, each changed in its own way, or cached features."""
        if self.recipe.views:
            view = torch.randint(self.recipe.views, rows.shape, device=self.device)
            return self.images[view, rows]
        images = self.images[rows]
        if self.mirrored is not None:
            chosen = self.mirrored[rows].view(-1, 1, 1, 1)
            images = torch.where(chosen, images.flip(3), images)
        size = self.recognizer.input_size
        # Growing pictures take their size and their changes in one step.
        small = self.recipe.early_size and size < images.shape[-1]
        return augment(images.float() / 255, self.policy, size if small else None)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Yield the epoch's batches as rows of the training data, in random order.

        All randomness starts here from (seed, epoch), so a resumed training needs no
        stored generator. Several processes take turns within each batch. What is left
        over when the batches are full sits out this epoch.
        """
        count, size = len(self.labels), self.recipe.batch_size
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        torch.manual_seed(self.recipe.seed * 10_007 + epoch)
        if self.recipe.balanced:
            shares = 1 / torch.bincount(self.labels).clamp(min=1)
            order = torch.multinomial(shares[self.labels], count, replacement=True)
        else:
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


def first_model(recipe: Recipe, classes: tuple[str, ...]) -> Recognizer:
    """Return the network to begin with: new, from ImageNet, or from an earlier run."""
    if not recipe.start:
        size, pretrained = recipe.input_size, recipe.pretrained
        return Recognizer(recipe.model, classes, size, pretrained)
    earlier = earlier_model(recipe.start, recipe.seed)
    model = Recognizer(recipe.model, classes, recipe.input_size)
    known = earlier.state_dict()
    if earlier.classes != classes:  # the head has to begin anew
        known = {k: v for k, v in known.items() if not k.startswith("net.head.")}
    try:
        missing, surplus = model.load_state_dict(known, strict=False)
    except RuntimeError:  # shapes
        missing = surplus = [recipe.model]
    if surplus or any(not key.startswith("net.head.") for key in missing):
        raise FerError(
            f"{recipe.name}: starts from {recipe.start}, a {earlier.name}, but wants a "
            f"{recipe.model}"
        )
    return model


@torch.no_grad()
def check_sizes(model: Recognizer, recipe: Recipe) -> None:
    """Raise `FerError` if pictures of the recipe's sizes shrink to nothing."""
    model.eval()
    for key in ("early_size", "input_size"):
        model.input_size = getattr(recipe, key) or recipe.input_size
        try:
            model(torch.zeros(1, 1, 48, 48))
        except RuntimeError as error:
            raise FerError(
                f"recipe {recipe.name!r}: {key} = {model.input_size} is too small for "
                f"{recipe.model} ({reason(error)}): raise it"
            ) from None


def to_device(data: FER2013, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images uint8 [N,1,48,48] and labels int64 [N] on the device."""
    images = torch.from_numpy(data.images).unsqueeze(1)
    return images.to(device), torch.from_numpy(data.labels).to(device)


def best_precision(device: torch.device, model: nn.Module | None = None) -> torch.dtype:
    """Return the fastest safe number format that the hardware has natively.

    A T4 only emulates bfloat16, which is slow: it gets float16 and a gradient scaler.
    On a CPU, bfloat16 slows depthwise convolutions down: such a model gets float32.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    layers = model.modules() if model else ()
    depthwise = any(getattr(layer, "groups", 1) > 1 for layer in layers)
    if device.type == "cpu" and native and not depthwise:
        return torch.bfloat16
    return torch.float32
