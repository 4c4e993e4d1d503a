"""The smallest trigger of each class: searched on one half of the images, tested on the other, and compared."""

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
_BACKWARD = 3  # cost of a forward and backward pass, in forward passes
_HELD_OUT = 20  # test images that a class needs to be compared
_CLASSES = 50  # the most with which it runs by default
_ELSEWHERE = 100  # budget on other devices, as a multiple of that on a CPU
_PIXELS = 2**20  # numbers in a batch of small images
_HELD = 2**24  # numbers in the images of one step, of which there are several copies; more classes form groups
_BUDGET = 1.0


@dataclass(frozen=True, slots=True)
class TriggerSearch:
    """The settings of the search.

    Attributes:
        requested: Whether the search was switched on or off; None: with few classes, if the budget allows it.
        images: The largest number of images, half of them for the test.
        steps: Steps of gradient descent.
        budget: Trillion operations on a CPU; None for 1 by default, and for no limit if it was switched on.
    """

    requested: bool | None
    images: int
    steps: int
    budget: float | None


@dataclass(frozen=True, eq=False, slots=True)
class Trigger:
    """The smallest mask and pattern that change images of other classes to a class.

    Attributes:
        place: Of the class among those that were searched, from 0.
        mass: The sum of the mask, in pixels.
        area: The pixels of the image.
        reached: Whether it works on the images of the search.
        hits: How many test images it changes to the class.
        tried: How many test images there are.
        p_value: The probability that the smallest of as many ordinary masks is as small; None if it was not compared.
    """

    target: int
    place: int
    mass: float
    area: int
    reached: bool
    hits: int
    tried: int
    p_value: float | None = None

    @property
    def share(self) -> float:
        """The share of the test images that it changes to the class."""
        return self.hits / self.tried if self.tried else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share."""
        return methods.wilson(self.hits, self.tried)


@dataclass(frozen=True, eq=False, slots=True)
class FoundTriggers:
    """The triggers of all classes that were searched.

    Attributes:
        each: By mass, the smallest first.
        whole: Their masks and patterns.
        images: The images of search and test, `[n, c, h, w]`.
        places: The places of these in the data, `[n]`.
        labels: The class of each image, `[n]`.
        assumed: Whether these are the predicted classes, since the images have no labels.
        omitted: How many classes were not searched, since the budget allowed no more.
    """

    each: tuple[Trigger, ...]
    whole: Triggers
    images: Tensor
    places: tuple[int, ...]
    labels: Tensor
    assumed: bool
    omitted: int = 0

    @property
    def compared(self) -> tuple[Trigger, ...]:
        return tuple(one for one in self.each if one.p_value is not None)


def found_triggers(context: Context, search: TriggerSearch) -> FoundTriggers:
    """Search for the trigger of each class.

    Raises:
        Skip: There are too few classes or images, the budget is too small, or a score is not finite.
    """
    context.one_class_needed()
    classes = _classes(context, search)
    places, images, labels = _images(context, search.images)
    scores = _scores(context, images)
    shown = scores.argmax(1) if labels is None else labels
    whole = _searched(context, search, images, shown, classes)
    each = sorted(_compared(_each(whole)), key=lambda one: one.mass)
    omitted = context.network.outputs - len(classes)
    return FoundTriggers(tuple(each), whole, images, places, shown, assumed=labels is None, omitted=omitted)


def _classes(context: Context, search: TriggerSearch) -> list[int]:
    """Return the classes to search: all, or as many as the budget allows, drawn at random."""
    count = context.network.outputs
    if count < FEWEST:
        raise Skip(_("{count} classes are too few to find an outlier; {fewest} are needed", count=count, fewest=FEWEST))
    factor = 1e12 * (1 if context.network.device.type == "cpu" else _ELSEWHERE)
    work = _work(context, search) / factor  # of one class
    if search.requested:
        return _allowed(context, count if search.budget is None else min(count, int(search.budget / work)))
    if count > _CLASSES:
        raise Skip(
            _(
                "not run by default with {count} classes, since it takes long; run it with -o synthesis.trigger=true",
                count=count,
            )
        )
    allowed = _BUDGET if search.budget is None else search.budget
    if work * count > allowed:
        raise Skip(
            _(
                "not run by default: it takes {work:,.1f} trillion operations, and {allowed:,.1f} are allowed; run it "
                "with -o synthesis.trigger=true",
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
                "synthesis.trigger_budget is enough for {allowed} of {count} classes; {fewest} are needed to find an "
                "outlier",
                allowed=allowed,
                count=count,
                fewest=FEWEST,
            )
        )
    return sorted(np.random.default_rng(context.seed).permutation(count)[:allowed].tolist())


def _work(context: Context, search: TriggerSearch) -> float:
    """Return how many multiplications and additions the search takes for one class."""
    from auditor.methods.synthesis.mask_search import ROUND

    tests = search.images / 2 * (search.steps / ROUND + 1)
    passes = _BACKWARD * _TOGETHER * search.steps + tests
    return float(max(1, context.network.operations())) * passes


def _images(context: Context, count: int) -> tuple[tuple[int, ...], Tensor, Tensor | None]:
    """Return some images, spread over the classes: their places in the data, and their labels if all have one."""
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
                "{count} image is too few: {least} are needed, half to find triggers and half to test them",
                "{count} images are too few: {least} are needed, half to find triggers and half to test them",
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
        raise Skip(_("the scores of some images are not finite: see predictions.nonfinite"))
    return scores


def _searched(
    context: Context, search: TriggerSearch, images: Tensor, labels: Tensor, classes: Sequence[int]
) -> Triggers:
    """Search for triggers of as many classes at once as fit into memory; no class depends on the others."""
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
    """Return the batch size: more for small images, unless a smaller one than the default was chosen."""
    usual = 8
    return context.batch_size if context.batch_size < usual else max(usual, _PIXELS // images[0].numel())


def _each(whole: Triggers) -> list[Trigger]:
    area = whole.masks[0].numel()
    rows = zip(whole.classes, whole.masses.tolist(), whole.reached, whole.hits, whole.tried, strict=True)
    return [Trigger(row[0], place, row[1], area, *row[2:]) for place, row in enumerate(rows)]


def _compared(each: Sequence[Trigger]) -> list[Trigger]:
    """Add the p-value to each trigger that works and has enough test images, if there are enough of these."""
    working = [one for one in each if one.reached and one.tried >= _HELD_OUT]
    if len(working) < FEWEST:
        return list(each)
    found = methods.chances_below(np.log([one.mass for one in working]))
    p_values = {one.target: p for one, p in zip(working, found, strict=True)}
    return [replace(one, p_value=p_values.get(one.target)) for one in each]
