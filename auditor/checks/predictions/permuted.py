"""Judge whether the predictions fit the classes better in another order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.checks.predictions import numbered
from auditor.judging import confidence
from auditor.judging.grounds import ANSWERS
from auditor.language import _, joined, many, some
from auditor.results import Finding, Table, Verdict, at_most
from auditor.statistics.confusion import Confusion

if TYPE_CHECKING:
    from auditor.data.orders import Alternative
    from auditor.methods import Reordered

_RULE = "predictions.permuted"
_ERROR = 0.01
_FEWEST = 2  # images of a class, and classes
_MOST = 2000  # classes: the time that the order takes grows with their cube
_LISTED = 100
_FILE_LINES = 20
_NUMBER = re.compile(r"(\d+)")


def order_findings(
    confusion: Confusion,
    classes: Sequence[str],
    *,
    few: int,
    warn: float,
    fail: float,
    seed: int,
    alternatives: Sequence[Alternative] = (),
) -> Iterator[Finding | Table]:
    """Judge whether the predictions fit the classes better in another order.

    Args:
        confusion: Number of images by true and by predicted class.
        classes: Names of the classes in the given order.
        few: A class with fewer than a quarter of this number of images keeps its place. A quarter is enough, since
            the order is tested on the images of all classes together.
        warn, fail: Gains in accuracy by another order over which the audit warns or fails.
        seed: Seed of the random halves of the images.
        alternatives: Other meanings of labels that are numbers. They are tested on all images, however few.
    """
    numbers = numbered.best(confusion, alternatives)
    least = max(_FEWEST, few // 4)
    counts = confusion.by_true
    judged = np.flatnonzero(counts >= least)
    judged = np.sort(judged[np.argsort(-counts[judged], kind="stable")[:_MOST]])
    if len(judged) < _FEWEST:
        if numbers:
            yield numbered.finding(numbers, warn=warn, fail=fail)
            return
        message = many(
            "{count} class has at least {few} images; the order of classes needs 2 of them",
            "{count} classes have at least {few} images; the order of classes needs 2 of them",
            len(judged),
            few=least,
        )
        yield Finding(_RULE, Verdict.SKIP, message)
        return
    found = methods.reordered(confusion.among(judged), np.arange(len(judged)), seed=seed)
    order = np.arange(confusion.classes)
    order[judged] = judged[found.order[:-1]]
    found = replace(found, order=order)
    gain = found.better - found.given
    if numbers and not (found.p < _ERROR and found.interval[0] > numbers.better - numbers.given):
        yield numbered.finding(numbers, warn=warn, fail=fail)
        return
    verdict = at_most(gain, warn=warn, fail=fail) if found.p < _ERROR else Verdict.PASS
    yield _finding(found, len(judged), verdict, (warn, fail), classes)
    if verdict >= Verdict.WARN:
        yield _table(found, confusion, classes)


def _finding(
    found: Reordered, judged: int, verdict: Verdict, limits: tuple[float, float], classes: Sequence[str]
) -> Finding:
    advice = _advice(found, classes) if verdict >= Verdict.WARN else ""
    close = confidence.close_call(found.interval, *limits) if found.better > found.given else ""
    return Finding(
        _RULE,
        verdict,
        _message(found, judged, verdict),
        value=found.better - found.given,
        limit=limits[1] if verdict is Verdict.FAIL else limits[0],
        n=found.tested,
        interval=found.interval,
        detail=joined(advice, close),
        ends=(ANSWERS,) if verdict is Verdict.FAIL else (),
    )


def _message(found: Reordered, judged: int, verdict: Verdict) -> str:
    if verdict >= Verdict.WARN:
        return _(
            "another order of the classes fits better: top-1 accuracy {better:.1%} instead of {given:.1%} (n = {n}, "
            "the order was chosen on other images)",
            better=found.better,
            given=found.given,
            n=found.tested,
        )
    return _(
        "no other order of {count} classes fits clearly better: top-1 accuracy {better:.1%} in the best one, "
        "{given:.1%} in the given order (n = {n}, the order was chosen on other images)",
        count=judged,
        better=found.better,
        given=found.given,
        n=found.tested,
    )


def _advice(found: Reordered, classes: Sequence[str]) -> str:
    names = [classes[c] for c in found.order]
    advice = _(
        "Name the classes in the order of training: --classes takes a file with one name a line. The order that fits "
        "these images: {names}.",
        names=some(names, _FILE_LINES),
    )
    return joined(advice, _known_order(found, names, classes))


def _known_order(found: Reordered, names: Sequence[str], classes: Sequence[str]) -> str:
    """Return the name of the other order, if it is one of the usual mistakes; empty otherwise."""
    if list(classes) == sorted(classes) and list(names) == sorted(classes, key=_as_numbers):
        return _("This is the numerical order of the names; the given order is alphabetical.")
    if list(names) == sorted(classes):
        return _("This is the alphabetical order of the names.")
    moved = np.flatnonzero(found.order != np.arange(len(names)))
    steps = np.unique((found.order[moved] - moved) % len(names))
    if len(steps) != 1 or len(moved) < 3:
        return ""
    step = int(steps[0]) if 2 * steps[0] <= len(names) else int(steps[0]) - len(names)
    return _(
        "All classes that move are shifted by {step:+d}. Check whether one list begins with another class.", step=step
    )


def _as_numbers(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _NUMBER.split(name) if part]


def _table(found: Reordered, confusion: Confusion, classes: Sequence[str]) -> Table:
    moved = np.flatnonzero(found.order != np.arange(len(found.order)))
    given, better = confusion.at(moved, moved), confusion.at(found.order[moved], moved)
    caption = _(
        "Each predicted class that is another class in the order that fits all images best. The last two columns count "
        "its images whose label is the given class, and the class of the other order."
    )
    if len(moved) > _LISTED:
        caption = joined(caption, _("The first {shown} of {count} are listed.", count=len(moved), shown=_LISTED))
    return Table(
        _("Classes that another order moves"),
        caption,
        (_("predicted class"), _("other class"), _("images of given class"), _("images of other class")),
        tuple(
            (classes[a], classes[found.order[a]], int(given[place]), int(better[place]))
            for place, a in enumerate(moved[:_LISTED])
        ),
    )
