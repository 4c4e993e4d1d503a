"""Does the answer change when somebody dims the light?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from PIL import Image

from auditor import Check, Context, Finding, Gallery, Item, Range, Share, Steps, Table, at_most, pictures

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Sample

Factor = Annotated[float, Range(0)]


@Check
def brightness(context: Context, *, factors: tuple[Factor, ...] = (0.5, 0.7, 1.4, 2.0), warn: Share = 0.25) -> Steps:
    """Does the answer follow the brightness of the image?

    Every explained image is shown to the network darker and brighter. A network that knows what it sees
    answers as before; the pictures below are those where it did not.

    Args:
        factors: what the brightness is multiplied with; what would be over full intensity is cut off there.
        warn: share of changed answers over which the audit warns.
    Rules:
        brightness.follows: share of answers that change with the brightness; over 25 % a warning.
    """
    samples = context.samples
    answers = {factor: [_answer(context, sample, factor) for sample in samples] for factor in factors}
    changed = {f: [a != s.predicted for a, s in zip(answers[f], samples, strict=True)] for f in factors}
    yield _follows(changed, warn)
    yield Table(
        "Changed answers",
        "How many of the images are answered otherwise at each brightness.",
        ("brightness", "images", "answered otherwise"),
        tuple((f"x {factor:g}", len(samples), sum(changed[factor])) for factor in factors),
    )
    yield from _pictures(context, answers)


def _answer(context: Context, sample: Sample, factor: float) -> int:
    return int(context.network.scores(dimmed(context, sample.tensor, factor)[None]).argmax())


def dimmed(context: Context, image: Tensor, factor: float) -> Tensor:
    """Return an image `[c, h, w]` with every intensity multiplied, at most full intensity."""
    _, height, width = image.shape
    black, white = (context.preprocess.tensor(Image.new("RGB", (width, height), c)) for c in ("black", "white"))
    return (black + factor * (image - black)).minimum(white)


def _follows(changed: Mapping[float, list[bool]], warn: float) -> Finding:
    tried = sum(len(images) for images in changed.values())
    share = sum(sum(images) for images in changed.values()) / tried
    message = f"{share:.0%} of {tried} answers change with the brightness alone"
    return Finding("brightness.follows", at_most(share, warn=warn), message, value=share, limit=warn, n=tried)


def _pictures(context: Context, answers: Mapping[float, list[int]]) -> Iterator[Gallery]:
    for factor, row in answers.items():
        pairs = zip(context.samples, row, strict=True)
        items = tuple(_item(context, sample, answer, factor) for sample, answer in pairs if answer != sample.predicted)
        if items:
            caption = "The new answer after the old one; the network saw exactly these pictures."
            yield Gallery(f"Answered otherwise at brightness x {factor:g}", caption, items)


def _item(context: Context, sample: Sample, answer: int, factor: float) -> Item:
    seen = context.preprocess.pixels(dimmed(context, sample.tensor, factor)[None])[0]
    names = context.classes
    return Item(pictures.photo(seen), f"{names[sample.predicted]} → {names[answer]}", factor, sample.name)
