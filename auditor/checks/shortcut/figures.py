"""Galleries of shortcuts: evidence by position, exchanged places, backgrounds, and clusters of attribution maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor import pictures
from auditor.language import _, many, marked
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.backgrounds import Backgrounds, ClassBackground
    from auditor.checks.shortcut.clusters import Group
    from auditor.checks.shortcut.places import Candidate, PlaceExchange
    from auditor.checks.shortcut.probe import Evidence, Probe

_METHODS = {"occlusion": marked("evidence by occlusion"), "gradient": marked("evidence by gradient")}
_PAIRS = 3
_MEMBERS = 8
_SIDE = 112  # pixels of a picture on a sheet


def mean_maps(probe: Probe, found: Evidence) -> Gallery:
    """Show where the evidence for a class lies, over the mean of its images."""
    name = probe.context.classes[found.target]
    images = probe.seen.images[probe.seen.of(found.target)]
    mean = probe.context.preprocess.pixels(images.mean(0, keepdim=True))[0]
    about = _("the mean image of {name}", name=name)
    items = (
        Item(pictures.photo(mean), about, role="photo"),
        *(
            pictures.overlay_item(mean, _spread(probe, shares), _(_METHODS[method]), about)
            for method, shares in found.by_method.items()
        ),
    )
    caption = many(
        "The mean of {images} images, and the mean share of each window in the evidence for the class; occlusion on "
        "{count} image. The outer ring has {ring:.0%} of the evidence, compared with the inside.",
        "The mean of {images} images, and the mean share of each window in the evidence for the class; occlusion on "
        "{count} images. The outer ring has {ring:.0%} of the evidence, compared with the inside.",
        found.n,
        images=len(images),
        ring=found.ring,
    )
    return Gallery(_("{name}: where the evidence lies", name=name), caption, items, about={"class": name})


def exchange_row(probe: Probe, candidate: Candidate, exchanged: PlaceExchange, *, confirmed: bool) -> Gallery:
    """Show some pairs before and after the exchange of a place, with the probability of the class."""
    import torch

    from auditor.methods.shortcuts.exchange import pasted

    name = probe.context.classes[candidate.target]
    flips = exchanged.outcome.won.astype(int) + exchanged.outcome.lost
    pairs = np.argsort(-flips, kind="stable")[:_PAIRS]
    own, other = probe.seen.images[exchanged.own[pairs]], probe.seen.images[exchanged.other[pairs]]
    places = exchanged.places[torch.from_numpy(pairs)]
    columns = (own, pasted(own, other, places), other, pasted(other, own, places))
    labels = (
        _("image of {name}", name=name),
        _("with the place of the other image"),
        _("image of another class"),
        _("with the place of {name}", name=name),
    )
    title = _("{name}: {place} exchanged", name=name, place=candidate.description)
    shortcut = _("The prediction follows the place: a shortcut.")
    no_shortcut = _("The prediction does not follow the place significantly more often than in the controls.")
    caption = _(
        "Below each picture: the probability of {name}. {conclusion}",
        name=name,
        conclusion=shortcut if confirmed else no_shortcut,
    )
    return Gallery(title, caption, _rows(probe, columns, candidate.target, labels), about={"class": name})


def background_row(probe: Probe, backgrounds: Backgrounds, one: ClassBackground, *, confirmed: bool) -> Gallery:
    """Show some images of a class, their backgrounds, and objects of other classes on these."""
    name, found = probe.context.classes[one.target], one.background
    pairs = np.argsort(-(found.around.astype(int) + found.alone), kind="stable")[:_PAIRS]
    own, other = one.own[pairs], one.other[pairs]
    columns = (
        probe.seen.images[own],
        backgrounds.alone(own),
        probe.seen.images[other],
        backgrounds.around(other, own),
    )
    labels = (
        _("image of {name}", name=name),
        _("its background alone"),
        _("image of another class"),
        _("its object on the background of {name}", name=name),
    )
    title = _("{name}: its background", name=name)
    shortcut = _("The prediction follows the background: a shortcut.")
    no_shortcut = _("The prediction does not follow the background in most pairs, beyond controls and chance.")
    caption = _(
        "Each quarter of a background repeats, mirrored, the cell on its border with the least evidence for the "
        "prediction. An object is the part of an image that suffices for its prediction. Below each picture: the "
        "probability of {name}. {conclusion}",
        name=name,
        conclusion=shortcut if confirmed else no_shortcut,
    )
    return Gallery(title, caption, _rows(probe, columns, one.target, labels), about={"class": name})


def _rows(probe: Probe, columns: Sequence[Tensor], target: int, labels: Sequence[str]) -> tuple[Item, ...]:
    drawn = [_pictured(probe, images, target, label) for images, label in zip(columns, labels, strict=True)]
    return tuple(item for row in zip(*drawn, strict=True) for item in row)


def _pictured(probe: Probe, images: Tensor, target: int, label: str) -> list[Item]:
    shares = probe.probabilities(images)[:, target].tolist()
    pixels = probe.context.preprocess.pixels(images)
    return [
        Item(
            pictures.photo(one),
            _("{label}: {share:.0%}", label=label, share=share),
            value=share,
            alt=_("{label}, probability of the class {share:.1%}.", label=label, share=share),
        )
        for one, share in zip(pixels, shares, strict=True)
    ]


def galleries(probe: Probe, target: int, groups: Sequence[Group]) -> Iterator[Gallery]:
    """Show the clusters of the maps of a class, each as its mean map and a sheet of images."""
    name = probe.context.classes[target]
    clusters = [group for group in groups if group.cluster is not None]
    if not clusters and not any(group.constant and group.exchanged for group in groups):
        return
    items = tuple(item for group in clusters or groups for item in _cluster_items(probe, group))
    caption = _(
        "Images of the class, sorted by the place of the evidence: spectral clustering of the gradient maps, with the "
        "number of clusters at the largest gap between the eigenvalues. The most important window of each image is "
        "outlined. If the maps of one cluster differ, look for what its images share apart from the object."
    )
    yield Gallery(_("{name}: clusters of attribution maps", name=name), caption, items, about={"class": name})


def _cluster_items(probe: Probe, group: Group) -> Iterator[Item]:
    count = len(group.images)
    of_all = many("{count} image", "{count} images", count)
    of_cluster = many("cluster {number}: {count} image", "cluster {number}: {count} images", count, number=group.number)
    name = of_all if group.cluster is None else of_cluster
    label = _("{cluster} (differs most)", cluster=name) if group.odd else name
    yield pictures.heat_item(_spread(probe, group.shares.mean(0)), label, probe.context.classes[group.target])
    pixels = probe.context.preprocess.pixels(probe.seen.images[group.images[:_MEMBERS]])
    boxes = (_box(probe, int(peak)) for peak in group.peaks[:_MEMBERS])
    shown = [pictures.outlined(Image.fromarray(one), box, _SIDE) for one, box in zip(pixels, boxes, strict=True)]
    alt = _("{shown} of the images of {cluster}, each with a window outlined.", shown=len(shown), cluster=name)
    sheet = pictures.sheet(shown, min(4, len(shown)), _SIDE)
    yield Item(sheet, _("images of {cluster}", cluster=name), alt=alt)


def _box(probe: Probe, number: int) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom edges of a window, in pixels."""
    row, col = divmod(number, len(probe.windows.cols))
    top, left = probe.windows.rows[row], probe.windows.cols[col]
    return left, top, left + probe.windows.window[1], top + probe.windows.window[0]


def _spread(probe: Probe, values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a map with the size of the image from one value a window, `[h, w]`."""
    import torch

    return np.asarray(probe.windows.spread(torch.from_numpy(values)[None].float())[0].numpy())
