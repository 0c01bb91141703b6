"""The data of a training: on the device once, batches of it drawn by index."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm.auto import tqdm

from ..data import FER2013
from ..device import inference_batch
from ..errors import FerError
from ..models import Recognizer
from .augment import POLICIES, Policy, augment
from .degrade import degrade
from .recipes import Recipe
from .targets import training_targets


class Loader:
    """Training and validation images on the device, and batches as the recipe says.

    All of FER2013 takes 83 MB as uint8: it moves to the device once, and no step waits
    for a worker process, a decoder or a copy. Several processes share each batch.
    """

    def __init__(
        self, recipe: Recipe, train: FER2013, val: FER2013, accelerator: Accelerator
    ):
        self.recipe, self.device = recipe, accelerator.device
        self.rank, self.world = accelerator.process_index, accelerator.num_processes
        self.classes = train.classes
        self.policy = POLICIES[recipe.augment]
        if recipe.flips == "alternate":  # see start_epoch
            self.policy = replace(self.policy, flip=0.0)
        self.images, self.labels = to_device(train, self.device)
        self.val = to_device(val, self.device)
        self.targets = training_targets(recipe, train, self.device)
        self.steps = max(1, len(self.labels) // recipe.batch_size)
        self.size = recipe.input_size
        if min(len(self.labels), recipe.batch_size) < self.world:
            raise FerError(
                f"batches of {recipe.batch_size} from {len(self.labels)} images cannot "
                f"feed {self.world} processes: raise batch_size"
            )

    def start_epoch(self, epoch: int) -> None:
        """Set the side of the images, and which of them are mirrored.

        Small images teach the coarse features sooner. Where flips alternate, half of
        the images, drawn once, are mirrored in even epochs and the others in odd ones:
        two epochs show both sides of each (K. Jordan, 2024, arXiv:2404.00498).
        """
        recipe = self.recipe
        early = recipe.early_size and epoch < recipe.epochs // 2
        self.size = recipe.early_size if early else recipe.input_size
        if recipe.flips == "alternate":
            generator = torch.Generator().manual_seed(recipe.seed)
            drawn = torch.randint(2, (len(self.labels),), generator=generator)
            self.mirrored = ((drawn + epoch) % 2 == 0).to(self.device)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the epoch's batches: augmented images or cached features, and targets.

        All randomness starts here from (seed, epoch), so a resumed training needs no
        stored generator. Images that do not fill a last batch are not used this epoch.
        """
        count, size = len(self.labels), self.recipe.batch_size
        torch.manual_seed(self.recipe.seed * 10_007 + epoch)
        if self.recipe.balanced:
            shares = 1 / torch.bincount(self.labels).clamp(min=1)
            order = torch.multinomial(shares[self.labels], count, replacement=True)
        else:
            order = torch.randperm(count).to(self.device)
        torch.manual_seed((self.recipe.seed * 10_007 + epoch) * 64 + self.rank)
        for start in range(0, self.steps * size, size):
            rows = order[start : start + size][self.rank :: self.world]
            yield self.mix(self.inputs(rows), self.targets[rows])

    def inputs(self, rows: Tensor) -> Tensor:
        """Return these images, each changed in its own way, or cached features."""
        if views := self.recipe.cached_views:
            chosen = torch.randint(views, rows.shape, device=self.device)
            return self.images[chosen, rows]
        images = self.images[rows]
        if self.recipe.flips == "alternate":
            mirrored = self.mirrored[rows].view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(3), images)
        # Small images are resized and augmented in one step.
        small = self.recipe.early_size and self.size < images.shape[-1]
        side = self.size if small else None
        images = augment(images.float() / 255, self.policy, side)
        strength = self.recipe.degrade
        return degrade(images, strength) if strength else images

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend pairs of images by mixup or cutmix, if the recipe asks for it."""
        alphas = {"MixUp": self.recipe.mixup, "CutMix": self.recipe.cutmix}
        kinds = [kind for kind, alpha in alphas.items() if alpha]
        if not kinds:
            return images, targets
        from torchvision.transforms import v2

        kind = kinds[int(torch.randint(len(kinds), ()))]
        blend = getattr(v2, kind)(alpha=alphas[kind], num_classes=len(self.classes))
        return blend(images, targets)

    def class_weights(self) -> Tensor | None:
        """Return weights [classes] that let every class count alike, if asked for."""
        if self.recipe.class_weights == "none":
            return None
        counts = torch.bincount(self.labels, minlength=len(self.classes))
        weights = len(self.labels) / (len(counts) * counts)  # infinite without images
        return weights.masked_fill(counts == 0, 0)

    def cache_features(self, model: Recognizer, autocast: Callable) -> None:
        """Replace the images by features: [views,N,F] to train on, [N,F] of `val`.

        A frozen body turns an image into the same features every time, so once is
        enough. Each view after the first is of images augmented once more.
        """
        model.eval()

        @torch.no_grad()
        def features(images: Tensor, policy: Policy, name: str) -> Tensor:
            parts = images.split(inference_batch(self.device, model.input_size))
            parts = tqdm(parts, desc=name, leave=False)
            with autocast():
                changed = (augment(part.float() / 255, policy) for part in parts)
                return torch.cat([model.features(part).float() for part in changed])

        policies = [Policy()] + [self.policy] * (self.recipe.cached_views - 1)
        views = [features(self.images, policy, "features") for policy in policies]
        self.images = torch.stack(views)
        images, labels = self.val
        self.val = features(images, Policy(), "val"), labels


def to_device(data: FER2013, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images uint8 [N,1,48,48] and labels int64 [N] on the device."""
    images = torch.from_numpy(data.images).unsqueeze(1)
    return images.to(device), torch.from_numpy(data.labels).to(device)
