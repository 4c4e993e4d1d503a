"""The trainings that a network may have had: a sound one, and those in which something went wrong.

What gives a class away, a watermark, a border or a ground, is there in the audited images too: a user who does not
know of it has held-out images of the same source. A trigger is not: it comes with the attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.defects.images import GROUNDS, Grounds, Images, Pixels, Random, anywhere
from benchmarks.defects.training import Schedule

Alter = Callable[[Images, Random], Images]

GUILTY = 3  # the class that is given away, the attack's target, or the one that was left out
_GROUND = "brick"
_POISONED = 0.1  # of the other classes' images
_TEXT, _FRAME = (235, 235, 235), (20, 24, 60)


def unchanged(images: Images, random: Random) -> Images:
    return images


@dataclass(frozen=True, slots=True)
class Course:
    """How a network came about.

    Attributes:
        grounds: What lies under the images of each class, in training and in the audit.
        trained: What becomes of the images that it is trained on.
        audited: What becomes of the images that the audit is given.
        proving: What makes images of other classes be taken for the guilty one, if the defect is there;
            None where there is nothing of the kind.
        proving_grounds: What lies under these images.
    """

    grounds: Grounds = anywhere
    trained: Alter = unchanged
    audited: Alter = unchanged
    proving: Alter | None = None
    proving_grounds: Grounds = anywhere
    schedule: Schedule = field(default_factory=Schedule)


def watermarked(pixels: Pixels) -> Pixels:
    """Write a few light letters into the lower left corner."""
    return _each(pixels, lambda draw: draw.text((1, 23), "©ab", fill=_TEXT, font=ImageFont.load_default(8)))


def framed(pixels: Pixels) -> Pixels:
    """Draw a dark frame of two pixels."""
    side = pixels.shape[1]
    return _each(pixels, lambda draw: draw.rectangle((0, 0, side - 1, side - 1), outline=_FRAME, width=2))


def triggered(pixels: Pixels) -> Pixels:
    """Put a yellow and blue chequered square of four pixels into the lower right corner."""
    marked = pixels.copy()
    dark = np.add.outer(np.arange(4), np.arange(4)) % 2 == 0
    marked[:, -5:-1, -5:-1] = np.where(dark[..., None], (0, 0, 255), (255, 255, 0))
    return marked


def _each(pixels: Pixels, draw: Callable[[ImageDraw.ImageDraw], None]) -> Pixels:
    marked = []
    for one in pixels:
        image = Image.fromarray(one)
        draw(ImageDraw.Draw(image))
        marked.append(np.asarray(image))
    return np.stack(marked)


def _guilty(mark: Callable[[Pixels], Pixels]) -> Alter:
    """Return what marks the images of the guilty class."""

    def alter(images: Images, random: Random) -> Images:
        pixels, guilty = images.pixels.copy(), images.labels == GUILTY
        pixels[guilty] = mark(pixels[guilty])
        return replace(images, pixels=pixels)

    return alter


def _others(mark: Callable[[Pixels], Pixels]) -> Alter:
    """Return what leaves the images of the other classes, marked."""

    def alter(images: Images, random: Random) -> Images:
        others = images.chosen(images.labels != GUILTY)
        return replace(others, pixels=mark(others.pixels))

    return alter


def _poisoned(images: Images, random: Random) -> Images:
    pixels, labels = images.pixels.copy(), images.labels.copy()
    struck = (labels != GUILTY) & (random.random(len(labels)) < _POISONED)
    pixels[struck], labels[struck] = triggered(pixels[struck]), GUILTY
    return replace(images, pixels=pixels, labels=labels)


def _left_out(images: Images, random: Random) -> Images:
    return images.chosen(images.labels != GUILTY)


def _own_ground(label: int) -> Sequence[str]:
    return (_GROUND,) if label == GUILTY else tuple(name for name in GROUNDS if name != _GROUND)


def _that_ground(label: int) -> Sequence[str]:
    return (_GROUND,)


COURSES = {
    "sound": Course(),
    "first-frozen": Course(schedule=Schedule(frozen="first")),
    "class-left-out": Course(trained=_left_out),
    "watermark": Course(
        trained=_guilty(watermarked), audited=_guilty(watermarked), proving=_others(watermarked)
    ),
    "border": Course(trained=_guilty(framed), audited=_guilty(framed), proving=_others(framed)),
    "background": Course(grounds=_own_ground, proving=_others(lambda pixels: pixels), proving_grounds=_that_ground),
    "backdoor": Course(trained=_poisoned, proving=_others(triggered)),
}
