"""Folders of images, as `--data` takes them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image


def write(root: Path, classes: Mapping[str, Iterable[np.ndarray]], name: str = "{}.png") -> Path:
    """Write a folder for each class, with its images numbered, and return the folder of all."""
    for label, images in classes.items():
        (root / label).mkdir(parents=True)
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(root / label / name.format(number))
    return root


def noise(
    root: Path, classes: Iterable[str], each: int, size: tuple[int, int], *, most: int = 255, name: str = "{}.png"
) -> Path:
    """Write images of nothing but noise, in height and width of `size`; the same ones every time."""
    random = np.random.default_rng(0)
    drawn = ((label, [random.integers(0, most, (*size, 3), np.uint8) for _ in range(each)]) for label in classes)
    return write(root, dict(drawn), name)


def photographs(root: Path) -> Path:
    """Write six crops of one photograph for each of four classes."""
    for name in ("astronaut", "cat", "coffee", "rocket"):
        whole = getattr(skimage.data, name)()
        crops = [Image.fromarray(whole[10 * i : 10 * i + 260, 12 * i : 12 * i + 280]) for i in range(6)]
        write(root, {name: [np.asarray(crop.resize((70, 65))) for crop in crops]})
    return root


def unlabelled(data: Path, root: Path) -> Path:
    """Copy the images of all classes into one folder, so that nothing says what they show."""
    root.mkdir(exist_ok=True)
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        shutil.copy(file, root / f"{number}.png")
    return root
