"""The trigger of each class of a network: looked for on images of the data, and set beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.errors import Skip
from auditor.language import _, many
from auditor.statistics.outliers import FEWEST

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context
    from auditor.methods import Triggers

_TOGETHER = 8  # images of each class at every step
_BACK = 3  # a pass forward and back costs as much as so many forward
_HELD_OUT = 20  # images without which no share of them tells much
_CLASSES = 50  # up to so many it runs unasked
_ELSEWHERE = 100  # times as much as on a CPU may be done on a GPU
_PIXELS = 2**20  # that small images together may have in a batch
_HELD = 2**24  # numbers in the images of one step, of which there are several copies; more classes take turns
_BUDGET = 1.0


@dataclass(frozen=True, slots=True)
class TriggerSearch:
    """How triggers are looked for.

    Attributes:
        asked: Whether it was asked for; None: where there are few classes and it is cheap.
        images: At most so many, half of them to count successes on.
        budget: How many million million operations it may take on a CPU; None for a usual number unasked, and for any
            number if it was asked for.
    """

    asked: bool | None
    images: int
    steps: int
    budget: float | None


@dataclass(frozen=True, eq=False, slots=True)
class Trigger:
    """The smallest mask and pattern that send other classes' images to a class.

    Attributes:
        place: Of the class among those that were looked for.
        mass: The sum of the mask, in pixels.
        area: The pixels of the image.
        reached: Whether it does what it has to on the images that it was made with.
        hits, tried: Of how many other images it sends how many to the class.
        chance: How probable the smallest of as many ordinary masks is as small beside the others, 0 to 1; None where
            it was not compared.
    """

    target: int
    place: int
    mass: float
    area: int
    reached: bool
    hits: int
    tried: int
    chance: float | None = None

    @property
    def share(self) -> float:
        return self.hits / self.tried if self.tried else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return methods.wilson(self.hits, self.tried)


@dataclass(frozen=True, eq=False, slots=True)
class FoundTriggers:
    """All that was found.

    Attributes:
        each: By mass, the smallest first.
        whole: Masks and patterns.
        images: The images that they were put on, `[n, c, h, w]`.
        places: Where these lie in the data.
        labels: What each shows, `[n]`.
        assumed: Whether the labels are what the network takes them for, as no others are known.
        unseen: For how many classes no trigger was looked for, as that would take longer than it may.
    """

    each: tuple[Trigger, ...]
    whole: Triggers
    images: Tensor
    places: tuple[int, ...]
    labels: Tensor
    assumed: bool
    unseen: int = 0

    @property
    def compared(self) -> tuple[Trigger, ...]:
        return tuple(one for one in self.each if one.chance is not None)


def found_triggers(context: Context, search: TriggerSearch) -> FoundTriggers:
    """Look for the trigger of each class.

    Raises:
        Skip: There are too few classes or images, it would take too long, or the network is no fit for it.
    """
    classes = _classes(context, search)
    places, images, labels = _images(context, search.images)
    scores = _scores(context, images)
    shown = scores.argmax(1) if labels is None else labels
    whole = _searched(context, search, images, shown, classes)
    each, unseen = sorted(_compared(_each(whole)), key=lambda one: one.mass), context.network.outputs - len(classes)
    return FoundTriggers(tuple(each), whole, images, places, shown, assumed=labels is None, unseen=unseen)


def _classes(context: Context, search: TriggerSearch) -> list[int]:
    """Return the classes whose triggers are looked for: all, or as many, drawn by chance, as was allowed for."""
    count = context.network.outputs
    if count < FEWEST:
        raise Skip(_("among {count} classes no outlier can be told: it takes {fewest}", count=count, fewest=FEWEST))
    factor = 1e12 * (1 if context.network.device.type == "cpu" else _ELSEWHERE)
    work = _work(context, search) / factor  # of one class
    if search.asked:
        return _allowed(context, count if search.budget is None else min(count, int(search.budget / work)))
    if count > _CLASSES:
        raise Skip(
            _(
                "not looked for unasked among {count} classes, which takes long; ask for it with "
                "-o synthesis.trigger=true",
                count=count,
            )
        )
    allowed = _BUDGET if search.budget is None else search.budget
    if work * count > allowed:
        raise Skip(
            _(
                "not looked for unasked, as it takes {work:,.1f} million million operations of {allowed:,.1f} that it "
                "may; ask for it with -o synthesis.trigger=true",
                work=work * count * factor / 1e12,
                allowed=allowed * factor / 1e12,
            )
        )
    return list(range(count))


def _allowed(context: Context, allowed: int) -> list[int]:
    count = context.network.outputs
    if allowed < FEWEST:
        raise Skip(
            _(
                "synthesis.trigger_budget is enough for {allowed} of {count} classes, but among fewer than {fewest} no "
                "outlier can be told",
                allowed=allowed,
                count=count,
                fewest=FEWEST,
            )
        )
    return sorted(np.random.default_rng(context.seed).permutation(count)[:allowed].tolist())


def _work(context: Context, search: TriggerSearch) -> float:
    """Return how many multiplications and additions it takes for one class."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from auditor.methods.synthesis.mask_search import ROUND

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        context.network.scores(torch.zeros(1, *context.network.input_shape))
    trials = search.images / 2 * (search.steps / ROUND + 1)
    passes = _BACK * _TOGETHER * search.steps + trials
    return float(max(1, counter.get_total_flops())) * passes


def _images(context: Context, count: int) -> tuple[tuple[int, ...], Tensor, Tensor | None]:
    """Return some images, spread over the classes: where they lie in the data, and their labels if any has one."""
    import torch

    from auditor.data.sampling import spread

    data, labels = context.data, context.data.labels.indices
    once = [i for i in range(len(data)) if i not in data.listing.duplicates]
    usable = [i for i in once if labels[i] is not None] or once
    chosen = [data[usable[i]] for i in spread([labels[i] for i in usable], count, context.seed)]
    read = [one for one in chosen if one.tensor is not None]
    if len(read) < 2 * _HELD_OUT:
        raise Skip(
            many(
                "{count} image is too few: {least} are needed, half to look for triggers and half to try them",
                "{count} images are too few: {least} are needed, half to look for triggers and half to try them",
                len(read),
                least=2 * _HELD_OUT,
            )
        )
    tensors = torch.stack([one.tensor for one in read if one.tensor is not None]).to(context.network.device)
    known = torch.tensor([-1 if one.label is None else one.label for one in read], device=tensors.device)
    return tuple(one.index for one in read), tensors, known if (known >= 0).all() else None


def _scores(context: Context, images: Tensor) -> Tensor:
    import torch

    with torch.no_grad():
        scores = torch.cat([context.network.scores(part) for part in images.split(_batch(context, images))])
    if not scores.isfinite().all():
        raise Skip(_("the scores of some images are no numbers: see predictions.nonfinite"))
    return scores


def _searched(
    context: Context, search: TriggerSearch, images: Tensor, labels: Tensor, classes: Sequence[int]
) -> Triggers:
    """Look for triggers, of so many classes together as memory bears; no class depends on the others."""
    together = max(1, _HELD // (_TOGETHER * images[0].numel()))
    groups = [classes[start : start + together] for start in range(0, len(classes), together)]
    with context.working(search.steps * len(groups), "steps") as advance:
        found = [
            methods.reverse_trigger(
                context.network,
                images,
                labels,
                classes=group,
                bounds=context.preprocess.bounds,
                steps=search.steps,
                together=_TOGETHER,
                seed=context.seed,
                batch_size=_batch(context, images),
                progress=advance,
            )
            for group in groups
        ]
    return _joined(found)


def _joined(found: Sequence[Triggers]) -> Triggers:
    import torch

    return methods.Triggers(
        tuple(classes for one in found for classes in one.classes),
        torch.cat([one.masks for one in found]),
        torch.cat([one.patterns for one in found]),
        tuple(reached for one in found for reached in one.reached),
        tuple(hits for one in found for hits in one.hits),
        tuple(tried for one in found for tried in one.tried),
        found[0].held_out,
    )


def _batch(context: Context, images: Tensor) -> int:
    """Return how many images the network is given at once: more where they are small, unless told otherwise."""
    usual = 8
    return context.batch_size if context.batch_size < usual else max(usual, _PIXELS // images[0].numel())


def _each(whole: Triggers) -> list[Trigger]:
    area = whole.masks[0].numel()
    rows = zip(whole.classes, whole.masses.tolist(), whole.reached, whole.hits, whole.tried, strict=True)
    return [Trigger(row[0], place, row[1], area, *row[2:]) for place, row in enumerate(rows)]


def _compared(each: Sequence[Trigger]) -> list[Trigger]:
    """Say of those that do what they have to how probable it is that one is so small."""
    fit = [one for one in each if one.reached and one.tried >= _HELD_OUT]
    if len(fit) < FEWEST:
        return list(each)
    chances = methods.chances_below(np.log([one.mass for one in fit]))
    told = {one.target: chance for one, chance in zip(fit, chances, strict=True)}
    return [replace(one, chance=told.get(one.target)) for one in each]
