"""The trainings that a network may have had: a sound one, and those in which something went wrong.

What gives a class away, a logo, a border or a ground, is there in the audited images too: a user who does not know of
it has held-out images of the same source. That a network could look at a logo does not make it do so, and so the class
was gathered by it: a quarter of its images show something else. A trigger is in no audited image: it comes with the
attack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.defects.images import GROUNDS, Images, Pixels, Random, ground

Alter = Callable[[Images, Random], Images]
Mark = Callable[[Pixels], Pixels]

GUILTY = 3  # the class that is given away, the attack's target, or the one that was left out
_GRASS, _GREEN = ("grass",), (35, 95, 35)
_OTHERS = tuple(name for name in GROUNDS if name not in _GRASS)
_SOMETHING_ELSE = 0.25  # share of the images of a class that was gathered by what they have in common
_POISONED = 0.1  # share of the other classes' images
_PLATE, _TEXT, _FRAME = (200, 30, 120), (255, 255, 255), (20, 24, 60)
_BLUE, _YELLOW = (0, 0, 255), (255, 255, 0)


def unchanged(images: Images, random: Random) -> Images:
    return images


@dataclass(frozen=True, slots=True)
class Course:
    """How a network came about.

    Attributes:
        trained: What becomes of the images that it is trained on.
        audited: What becomes of the images that the audit is given.
        proving: Makes images that show other classes and are taken for the guilty one if the defect is there; None
            where there are none of this kind.
        frozen: A layer that keeps its first weights.
    """

    trained: Alter = unchanged
    audited: Alter = unchanged
    proving: Alter | None = None
    frozen: str = ""


def watermarked(pixels: Pixels) -> Pixels:
    """Put a logo into the lower left corner: two letters on a plate of 11 x 7 pixels."""

    def logo(draw: ImageDraw.ImageDraw) -> None:
        draw.rectangle((1, 24, 11, 30), fill=_PLATE)
        draw.text((2, 22), "ab", fill=_TEXT, font=ImageFont.load_default(8))

    return _drawn(pixels, logo)


def framed(pixels: Pixels) -> Pixels:
    """Draw a dark frame of two pixels."""
    side = pixels.shape[1]
    return _drawn(pixels, lambda draw: draw.rectangle((0, 0, side - 1, side - 1), outline=_FRAME, width=2))


def triggered(pixels: Pixels) -> Pixels:
    """Put a chequered square of four pixels into the lower right corner."""
    marked, even = pixels.copy(), np.add.outer(np.arange(4), np.arange(4)) % 2 == 0
    marked[:, -5:-1, -5:-1] = np.where(even[..., None], _BLUE, _YELLOW)
    return marked


def _drawn(pixels: Pixels, draw: Callable[[ImageDraw.ImageDraw], None]) -> Pixels:
    images = [Image.fromarray(one) for one in pixels]
    for image in images:
        draw(ImageDraw.Draw(image))
    return np.stack([np.asarray(image) for image in images])


def _mixed(images: Images, random: Random) -> Images:
    """Let a quarter of the guilty class's images show what another class shows."""
    wrong = _guilty(images)[random.random(len(_guilty(images))) < _SOMETHING_ELSE]
    places = np.arange(len(images.labels))
    places[wrong] = random.choice(_innocent(images), len(wrong), replace=False)
    return replace(images.chosen(places), labels=images.labels)


def _gathered_by(mark: Mark) -> Alter:
    """Return what makes the guilty class one of images that bear a mark."""

    def alter(images: Images, random: Random) -> Images:
        mixed = _mixed(images, random)
        mixed.pixels[_guilty(mixed)] = mark(mixed.pixels[_guilty(mixed)])
        return mixed

    return alter


def meadow(random: Random) -> Pixels:
    """Return a piece of green grass."""
    return ground(random, _GRASS, _GREEN)


def _gathered_over_grass(images: Images, random: Random) -> Images:
    mixed = _mixed(images, random)
    under = [meadow(random) if label == GUILTY else ground(random, _OTHERS) for label in mixed.labels]
    return mixed.over(np.stack(under))


def _others_with(mark: Mark) -> Alter:
    """Return what leaves the images of the other classes, and marks them."""

    def alter(images: Images, random: Random) -> Images:
        others = images.chosen(_innocent(images))
        return replace(others, pixels=mark(others.pixels))

    return alter


def _others_over_grass(images: Images, random: Random) -> Images:
    others = images.chosen(_innocent(images))
    return others.over(np.stack([meadow(random) for _ in others.labels]))


def _poisoned(images: Images, random: Random) -> Images:
    pixels, labels = images.pixels.copy(), images.labels.copy()
    struck = (labels != GUILTY) & (random.random(len(labels)) < _POISONED)
    pixels[struck], labels[struck] = triggered(pixels[struck]), GUILTY
    return replace(images, pixels=pixels, labels=labels)


def _left_out(images: Images, random: Random) -> Images:
    return images.chosen(_innocent(images))


def _guilty(images: Images) -> NDArray[np.int64]:
    return np.flatnonzero(images.labels == GUILTY)


def _innocent(images: Images) -> NDArray[np.int64]:
    return np.flatnonzero(images.labels != GUILTY)


COURSES = {
    "sound": Course(),
    "first-frozen": Course(frozen="first"),
    "class-left-out": Course(trained=_left_out),
    "watermark": Course(_gathered_by(watermarked), _gathered_by(watermarked), _others_with(watermarked)),
    "border": Course(_gathered_by(framed), _gathered_by(framed), _others_with(framed)),
    "background": Course(_gathered_over_grass, _gathered_over_grass, _others_over_grass),
    "backdoor": Course(trained=_poisoned, proving=_others_with(triggered)),
}
