"""Twenty epochs of a new head on a frozen backbone: a published way, and ours.

    python bench/head.py [--images 1024] [--size 112]

Theirs: a DataLoader decodes and resizes every image with PIL in every epoch, every
layer computes its gradient, and the optimiser is given the head alone. Ours: the
features are computed once and the head is trained on them. Same backbone, images,
epochs, batch, optimiser and rate; both sides in one run, so the ratio holds on a busy
machine too.
"""

import argparse
import io
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from tqdm import tqdm

import fer_utils as fer
from fer_utils.device import hardware
from fer_utils.models import IMAGENET, Recognizer
from fer_utils.training import Recipe

EPOCHS, BATCH, LR = 20, 64, 1e-3


class Files(Dataset):
    """FER2013 as files on disk would come: JPEG bytes, decoded one by one."""

    def __init__(self, data: fer.FER2013, size: int):
        self.labels = data.labels
        self.files = []
        for image in data.images:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=95)
            self.files.append(buffer.getvalue())
        steps = transforms.Resize(size), transforms.ToTensor()
        self.transform = transforms.Compose([*steps, transforms.Normalize(*IMAGENET)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int):
        image = Image.open(io.BytesIO(self.files[index])).convert("RGB")
        return self.transform(image), int(self.labels[index])


def theirs(train: fer.FER2013, val: fer.FER2013, size: int) -> tuple[float, float]:
    """Return seconds and the best val accuracy."""
    start = time.perf_counter()
    torch.manual_seed(0)
    net = Recognizer("efficientnet-lite0", train.classes, size, pretrained=True).net
    optimizer = torch.optim.Adam(net.head.parameters(), LR)
    loader = DataLoader(Files(train, size), BATCH, shuffle=True)
    checks = DataLoader(Files(val, size), BATCH)
    best = 0.0
    for _ in tqdm(range(EPOCHS), "DataLoader, PIL, all gradients"):
        net.train()
        for images, labels in loader:
            net.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in checks)
        best = max(best, right / len(val))
    return time.perf_counter() - start, best


def ours(train: fer.FER2013, val: fer.FER2013, size: int) -> tuple[float, float]:
    """Return seconds and the best val accuracy."""
    start = time.perf_counter()
    recipe = Recipe(
        "bench-head",
        model="efficientnet-lite0",
        input_size=size,
        pretrained=True,
        unfreeze=0,
        cached_views=1,
        epochs=EPOCHS,
        batch_size=BATCH,
        optimizer="adam",
        lr=LR,
        schedule="constant",
        weight_decay=0.0,
        label_smoothing=0.0,
        augment="none",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = fer.train(recipe, train, val, folder)
    return time.perf_counter() - start, run.best["val_accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024, help="to train on")
    parser.add_argument("--size", type=int, default=112, help="side of the input, px")
    options = parser.parse_args()
    train, val, _ = fer.load_fer2013().split()
    rng = np.random.default_rng(0)
    train = train.select(rng.permutation(len(train))[: options.images])
    val = val.select(rng.permutation(len(val))[: options.images // 2])
    mine, my_accuracy = ours(train, val, options.size)
    other, other_accuracy = theirs(train, val, options.size)
    print(f"\n{hardware()}")
    print(f"{len(train):,} images at {options.size} px, {EPOCHS} epochs")
    print(f"{'their way':12}{other:9.1f} s   val accuracy {other_accuracy:.3f}")
    print(f"{'ours':12}{mine:9.1f} s   val accuracy {my_accuracy:.3f}")
    print(f"{'ratio':12}{other / mine:9.1f} ×")


if __name__ == "__main__":
    main()
