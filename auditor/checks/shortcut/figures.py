"""Pictures of what may give a class away: where the evidence lies, what an exchange does, and which maps are alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor import pictures
from auditor.language import _, many
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.backgrounds import Ground, Grounds
    from auditor.checks.shortcut.clusters import Group
    from auditor.checks.shortcut.places import Suspect, Trial
    from auditor.checks.shortcut.probe import Evidence, Laboratory
    from auditor.context import Context

_PAIRS = 3
_MEMBERS = 8
_SIDE = 112  # pixels of a picture on a sheet


def place_told(lab: Laboratory, suspect: Suspect) -> str:
    """Return a place in words."""
    rows, cols = np.flatnonzero(suspect.place.any(1)), np.flatnonzero(suspect.place.any(0))
    if suspect.window is None:
        inside = ~lab.ring.numpy()
        rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        return _("the outer ring of {rows} rows and {cols} columns of pixels", rows=int(rows[0]), cols=int(cols[0]))
    return _(
        "the window in rows {top} to {bottom}, columns {left} to {right}",
        top=int(rows[0]),
        bottom=int(rows[-1]),
        left=int(cols[0]),
        right=int(cols[-1]),
    )


def mean_maps(context: Context, lab: Laboratory, found: Evidence) -> Gallery:
    """Show where the evidence for a class lies, over the mean of its images."""
    name = context.classes[found.target]
    images = lab.seen.images[lab.seen.of(found.target)]
    mean = context.preprocess.pixels(images.mean(0, keepdim=True))[0]
    about = _("the mean image of {name}", name=name)
    items = (
        Item(pictures.photo(mean), about, role="photo"),
        pictures.overlay_item(mean, _spread(lab, found.occlusion), _("evidence by occlusion"), about),
        pictures.overlay_item(mean, _spread(lab, found.gradient), _("evidence by gradient"), about),
    )
    caption = many(
        "The mean of {images} images; the mean share of each window in what takes the class away, by occlusion over "
        "{count} image. The outer ring takes {ring:.0%} of what the ring and all the rest take away.",
        "The mean of {images} images; the mean share of each window in what takes the class away, by occlusion over "
        "{count} images. The outer ring takes {ring:.0%} of what the ring and all the rest take away.",
        found.n,
        images=len(images),
        ring=found.ring,
    )
    return Gallery(_("{name}: where the evidence lies", name=name), caption, items, about={"class": name})


def counterfactuals(
    context: Context, lab: Laboratory, target: int, trial: Trial, place: str, *, confirmed: bool
) -> Gallery:
    """Show some pairs before and after the exchange, with what is left of the class's probability."""
    import torch

    from auditor.methods.shortcuts.exchange import pasted

    name = context.classes[target]
    flips = trial.exchange.won.astype(int) + trial.exchange.lost
    pairs = np.argsort(-flips, kind="stable")[:_PAIRS]
    own, other = lab.seen.images[trial.own[pairs]], lab.seen.images[trial.other[pairs]]
    places = trial.places[torch.from_numpy(pairs)]
    columns = (own, pasted(own, other, places), other, pasted(other, own, places))
    labels = (
        _("image of {name}", name=name),
        _("with the place of the other image"),
        _("image of another class"),
        _("with the place of {name}", name=name),
    )
    title = _("{name}: {place} exchanged", name=name, place=place)
    sure = _("The answer goes along with the place: a shortcut.")
    unsure = _("The answer does not go along with the place beyond what controls and chance do.")
    caption = _(
        "Below each picture stands the probability of {name}. {said}", name=name, said=sure if confirmed else unsure
    )
    return Gallery(title, caption, _rows(context, lab, columns, target, labels), about={"class": name})


def surrounded(context: Context, lab: Laboratory, grounds: Grounds, ground: Ground, *, confirmed: bool) -> Gallery:
    """Show some images of a class, what surrounds their objects, and objects of other classes on that."""
    name, found = context.classes[ground.target], ground.background
    pairs = np.argsort(-(found.around.astype(int) + found.alone), kind="stable")[:_PAIRS]
    own, other = ground.own[pairs], ground.other[pairs]
    columns = (lab.seen.images[own], grounds.alone(own), lab.seen.images[other], grounds.around(other, own))
    labels = (
        _("image of {name}", name=name),
        _("its surroundings alone"),
        _("image of another class"),
        _("its object on the surroundings of {name}", name=name),
    )
    title = _("{name}: what surrounds its objects", name=name)
    sure = _("The answer goes along with the surroundings: a shortcut.")
    unsure = _("The answer does not go along with the surroundings in most pairs, beyond what controls and chance do.")
    caption = _(
        "Each quarter of the surroundings is the cell on its border that speaks for the answer the least, mirrored; "
        "an object is what is enough for the answer to its image. Below each picture stands the probability of {name}. "
        "{said}",
        name=name,
        said=sure if confirmed else unsure,
    )
    return Gallery(title, caption, _rows(context, lab, columns, ground.target, labels), about={"class": name})


def _rows(
    context: Context, lab: Laboratory, columns: Sequence[Tensor], target: int, labels: Sequence[str]
) -> tuple[Item, ...]:
    drawn = [_pictured(context, lab, images, target, label) for images, label in zip(columns, labels, strict=True)]
    return tuple(item for row in zip(*drawn, strict=True) for item in row)


def _pictured(context: Context, lab: Laboratory, images: Tensor, target: int, label: str) -> list[Item]:
    shares = lab.probabilities(images)[:, target].tolist()
    pixels = context.preprocess.pixels(images)
    return [
        Item(
            pictures.photo(one),
            _("{label}: {share:.0%}", label=label, share=share),
            value=share,
            alt=_("{label}, taken for the class with a probability of {share:.1%}.", label=label, share=share),
        )
        for one, share in zip(pixels, shares, strict=True)
    ]


def galleries(context: Context, lab: Laboratory, target: int, groups: Sequence[Group]) -> Iterator[Gallery]:
    """Show the clusters of the maps of a class, each as its mean map and a sheet of images."""
    name = context.classes[target]
    clusters = [group for group in groups if group.cluster is not None]
    if not clusters and not any(group.constant and group.trial for group in groups):
        return
    items = tuple(item for group in clusters or groups for item in _cluster_items(context, lab, group))
    caption = _(
        "Images of a class, sorted by where the gradient puts the evidence: spectral clustering of the maps, as many "
        "clusters as the largest gap between the eigenvalues tells. Outlined is the window that the image needs most. "
        "Where maps of one cluster stand apart, look for what these images share beside the object."
    )
    yield Gallery(_("{name}: clusters of relevance maps", name=name), caption, items, about={"class": name})


def _cluster_items(context: Context, lab: Laboratory, group: Group) -> Iterator[Item]:
    count = len(group.images)
    who = many("cluster {number}: {count} image", "cluster {number}: {count} images", count, number=group.number)
    all_ = many("{count} image", "{count} images", count)
    told = all_ if group.cluster is None else who
    label = _("{told} (the odd one)", told=told) if group.odd else told
    yield pictures.heat_item(_spread(lab, group.shares.mean(0)), label, context.classes[group.target])
    pixels = context.preprocess.pixels(lab.seen.images[group.images[:_MEMBERS]])
    boxes = (_box(lab, int(peak)) for peak in group.peaks[:_MEMBERS])
    shown = [pictures.outlined(Image.fromarray(one), box, _SIDE) for one, box in zip(pixels, boxes, strict=True)]
    alt = _("{shown} of the images of {told}, each with a window outlined.", shown=len(shown), told=told)
    yield Item(pictures.sheet(shown, min(4, len(shown)), _SIDE), _("images of {told}", told=told), alt=alt)


def _box(lab: Laboratory, number: int) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom edges of a window."""
    row, col = divmod(number, len(lab.windows.cols))
    top, left = lab.windows.rows[row], lab.windows.cols[col]
    return left, top, left + lab.windows.window[1], top + lab.windows.window[0]


def _spread(lab: Laboratory, values: NDArray[np.floating]) -> NDArray[np.float32]:
    import torch

    return np.asarray(lab.windows.spread(torch.from_numpy(values)[None].float())[0].numpy())
