"""The trigger of a class in pictures, and all classes' in a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auditor import pictures
from auditor.language import _, numeral
from auditor.results import Gallery, Item, Table

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.synthesis.triggers import FoundTriggers, Trigger
    from auditor.context import Context

_SIDE = 224
_BEARING = 3  # images that are shown with a trigger
_ROWS = 60


def trigger_row(context: Context, found: FoundTriggers, one: Trigger) -> Gallery:
    """Show the mask, the pattern and some images that bear both."""
    name, (low, high) = context.classes[one.target], one.interval
    caption = _(
        "The smallest mask and pattern that were found to send images of other classes to {name}: it amounts to "
        "{mass:.1f} of {area:,} pixels, and sends there {hits} of {n} images that it was not made with ({low:.1%} to "
        "{high:.1%}). Every class of every network has one; only one far smaller than the others' tells anything.",
        name=name,
        mass=one.mass,
        area=one.area,
        hits=one.hits,
        n=one.tried,
        low=low,
        high=high,
    )
    items = (*_alone(context, found, one, name), *_bearing(context, found, one, name))
    return Gallery(_("{name}: trigger", name=name), caption, items, about={"class": name})


def _alone(context: Context, found: FoundTriggers, one: Trigger, name: str) -> Iterator[Item]:
    mask, pattern = found.whole.masks[one.place], found.whole.patterns[one.place]
    drawn = pictures.heat_item(mask[0].cpu().numpy(), _("mask of the trigger"), name, limit=1.0)
    yield replace(drawn, scale=pictures.heat_scale(0, 1, _("how much of a pixel is replaced")))
    low, high = (bound.to(pattern)[:, None, None] for bound in context.preprocess.bounds)
    shown = ((low + high) / 2).lerp(pattern, mask)
    alt = _("What the trigger of {name} looks like on an even grey.", name=name)
    yield Item(_picture(context, shown), _("pattern on grey"), one.mass, alt=alt)


def _bearing(context: Context, found: FoundTriggers, one: Trigger, name: str) -> Iterator[Item]:
    chosen = _chosen(found, one)
    for image, place in zip(found.images[chosen], chosen, strict=True):
        worn = found.whole.put_on(image[None], one.place)
        before, after = (context.classes[_answer(context, shown)] for shown in (image[None], worn))
        file = context.data.listing.names[found.places[place]]
        alt = _(
            "{file} with the trigger of {name}: taken for {after}, without it for {before}.",
            file=file,
            name=name,
            after=after,
            before=before,
        )
        yield Item(_picture(context, worn[0]), _("{before} → {after}", before=before, after=after), None, file, alt)


def _chosen(found: FoundTriggers, one: Trigger) -> list[int]:
    """Return some images of as many other classes that the trigger was not made with."""
    apart, labels = found.whole.held_out.tolist(), found.labels.tolist()
    first: dict[int, int] = {}
    for place, (kept, label) in enumerate(zip(apart, labels, strict=True)):
        if kept and label != one.target:
            first.setdefault(label, place)
    return list(first.values())[:_BEARING]


def _answer(context: Context, images: Tensor) -> int:
    import torch

    with torch.no_grad():
        return int(context.network.scores(images).argmax())


def _picture(context: Context, image: Tensor) -> bytes:
    pixels = context.preprocess.pixels(image[None])
    factor = _SIDE // max(pixels.shape[1:3])
    return pictures.tiles(pixels, enlarge=factor) if factor > 1 else pictures.photo(pixels[0], _SIDE)


def trigger_table(context: Context, each: Sequence[Trigger]) -> Table:
    """Return a row a class, the smallest mask first."""
    rows = tuple(
        (
            context.classes[one.target],
            numeral(one.mass, ".1f"),
            numeral(one.mass / one.area, ".1%"),
            numeral(one.share, ".1%") if one.tried else None,
            one.tried,
            None if one.chance is None else numeral(one.chance, ".2g"),
        )
        for one in each[:_ROWS]
    )
    return Table(
        _("Triggers"),
        _(
            "The smallest mask that sends other classes' images to each class, of {count} classes: its sum in pixels, "
            "its share of the image, how many of the images that it was not made with it sends there, and how "
            "probable the smallest of as many ordinary masks is as small beside the others. No p: the class was not "
            "compared.",
            count=len(each),
        ),
        (_("class"), _("pixels"), _("share"), _("success"), _("images"), "p"),
        rows,
    )
