"""The gallery of one trigger, and the table of all."""

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
_EXAMPLES = 3  # images that are shown with a trigger
_ROWS = 60


def trigger_row(context: Context, found: FoundTriggers, one: Trigger) -> Gallery:
    """Show the mask, the pattern and some images with both."""
    name, (low, high) = context.classes[one.target], one.interval
    caption = _(
        "The smallest pattern found that changes images of other classes to {name}: {mass:.1f} of {area:,} pixels. It "
        "changes {hits} of {n} test images ({low:.1%} to {high:.1%}), which were not used for the search. Every class "
        "of every network has such a pattern; only one that is far smaller than the others suggests a backdoor.",
        name=name,
        mass=one.mass,
        area=one.area,
        hits=one.hits,
        n=one.tried,
        low=low,
        high=high,
    )
    items = (*_alone(context, found, one, name), *_examples(context, found, one, name))
    return Gallery(_("{name}: trigger", name=name), caption, items, about={"class": name})


def _alone(context: Context, found: FoundTriggers, one: Trigger, name: str) -> Iterator[Item]:
    mask, pattern = found.whole.masks[one.place], found.whole.patterns[one.place]
    drawn = pictures.heat_item(mask[0].cpu().numpy(), _("mask of the trigger"), name, limit=1.0)
    yield replace(drawn, scale=pictures.heat_scale(0, 1, _("share of a pixel that is replaced")))
    low, high = (bound.to(pattern)[:, None, None] for bound in context.preprocess.bounds)
    shown = ((low + high) / 2).lerp(pattern, mask)
    alt = _("The trigger of {name} on uniform grey.", name=name)
    yield Item(_picture(context, shown), _("pattern on grey"), one.mass, alt=alt)


def _examples(context: Context, found: FoundTriggers, one: Trigger, name: str) -> Iterator[Item]:
    chosen = _chosen(found, one)
    for image, place in zip(found.images[chosen], chosen, strict=True):
        changed = found.whole.put_on(image[None], one.place)
        before, after = (context.classes[_predicted(context, shown)] for shown in (image[None], changed))
        file = context.data.listing.names[found.places[place]]
        alt = _(
            "{file} with the trigger of {name}: predicted as {after}, without it as {before}.",
            file=file,
            name=name,
            after=after,
            before=before,
        )
        yield Item(_picture(context, changed[0]), _("{before} → {after}", before=before, after=after), None, file, alt)


def _chosen(found: FoundTriggers, one: Trigger) -> list[int]:
    """Return test images of different other classes, by index."""
    held_out, labels = found.whole.held_out.tolist(), found.labels.tolist()
    first: dict[int, int] = {}
    for place, (is_held_out, label) in enumerate(zip(held_out, labels, strict=True)):
        if is_held_out and label != one.target:
            first.setdefault(label, place)
    return list(first.values())[:_EXAMPLES]


def _predicted(context: Context, images: Tensor) -> int:
    import torch

    with torch.no_grad():
        return int(context.network.scores(images).argmax())


def _picture(context: Context, image: Tensor) -> bytes:
    pixels = context.preprocess.pixels(image[None])
    factor = _SIDE // max(pixels.shape[1:3])
    return pictures.tiles(pixels, enlarge=factor) if factor > 1 else pictures.photo(pixels[0], _SIDE)


def trigger_table(context: Context, each: Sequence[Trigger]) -> Table:
    """Return a row for each class, the smallest mask first."""
    rows = tuple(
        (
            context.classes[one.target],
            numeral(one.mass, ".1f"),
            numeral(one.mass / one.area, ".1%"),
            numeral(one.share, ".1%") if one.tried else None,
            one.tried,
            None if one.p_value is None else numeral(one.p_value, ".2g"),
        )
        for one in each[:_ROWS]
    )
    return Table(
        _("Triggers"),
        _(
            "The smallest mask found for each of {count} classes: its sum in pixels and as a share of the image, the "
            "share of test images that it changes to the class, and the number of these. p: the probability that the "
            "smallest of as many ordinary masks is as small. No p: the class was not compared.",
            count=len(each),
        ),
        (_("class"), _("pixels"), _("share"), _("success"), _("images"), "p"),
        rows,
    )
