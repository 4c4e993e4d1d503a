"""What is said of a network whose answers fit the classes better in another order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.judging import confidence
from auditor.language import _, many, some
from auditor.results import Finding, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.methods import Reordered

_RULE = "predictions.permuted"
_ERROR = 0.01
_LISTED = 100
_NUMBER = re.compile(r"(\d+)")

Confusion = NDArray[np.int64]


def order_findings(
    confusion: Confusion, classes: Sequence[str], *, few: int, warn: float, fail: float, seed: int
) -> Iterator[Finding | Table]:
    """Say whether the answers fit the classes better in another order.

    Args:
        confusion: Images by true class (rows) and answer (columns).
        few: A quarter of it are the images of a class under which it is left where it is: it is all images together
            that the order is tested on.
        warn, fail: How much larger the accuracy has to be in the other order.
    """
    least = max(2, few // 4)
    judged = np.flatnonzero(confusion.sum(1) >= least)
    if len(judged) < 2:
        told = many(
            "{count} class has at least {few} images; without two the order of the classes can't be judged",
            "{count} classes have at least {few} images; without two the order of the classes can't be judged",
            len(judged),
            few=least,
        )
        yield Finding(_RULE, Verdict.SKIP, told)
        return
    found = methods.reordered(confusion, judged, seed=seed)
    gain = found.better - found.given
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
        detail=" ".join(part for part in (advice, close) if part),
    )


def _message(found: Reordered, judged: int, verdict: Verdict) -> str:
    if verdict >= Verdict.WARN:
        return _(
            "the answers fit another order of the classes: in that order {better:.1%} of {n} images are right, in the "
            "given one {given:.1%} (the order was chosen on other images)",
            better=found.better,
            given=found.given,
            n=found.tested,
        )
    return _(
        "no other order of the {count} classes fits the answers much better: the best one has {better:.1%} of {n} "
        "images right, the given one {given:.1%} (the order was chosen on other images)",
        count=judged,
        better=found.better,
        given=found.given,
        n=found.tested,
    )


def _advice(found: Reordered, classes: Sequence[str]) -> str:
    names = [classes[c] for c in found.order]
    told = _(
        "Name the classes in the order in which the network was trained: --classes takes a file of one name a line. "
        "By these images its lines would be: {names}.",
        names=some(names, 20),
    )
    return " ".join(part for part in (told, _known_order(found, names, classes)) if part)


def _known_order(found: Reordered, names: Sequence[str], classes: Sequence[str]) -> str:
    """Return what the other order is called, if it is one that often comes about by mistake."""
    if list(classes) == sorted(classes) and list(names) == sorted(classes, key=_as_numbers):
        return _("That is the order of the numbers in the names; the given one is that of their letters.")
    if list(names) == sorted(classes):
        return _("That is the order of the letters of the names.")
    moved = np.flatnonzero(found.order != np.arange(len(names)))
    steps = np.unique((found.order[moved] - moved) % len(names))
    if len(steps) != 1 or len(moved) < 3:
        return ""
    step = int(steps[0]) if 2 * steps[0] <= len(names) else int(steps[0]) - len(names)
    return _("All classes that move are {step:+d} places off: does one list begin with another class?", step=step)


def _as_numbers(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _NUMBER.split(name) if part]


def _table(found: Reordered, confusion: Confusion, classes: Sequence[str]) -> Table:
    moved = np.flatnonzero(found.order != np.arange(len(found.order)))
    given, better = np.diag(confusion), confusion[found.order, np.arange(len(found.order))]
    caption = _(
        "Each answer that would mean another class: how many of its images show the class as given, and how many the "
        "other one, in the order that fits all images best."
    )
    if len(moved) > _LISTED:
        caption += " " + _("Of {count} these {shown}.", count=len(moved), shown=_LISTED)
    return Table(
        _("Classes that another order moves"),
        caption,
        (_("answer"), _("would mean"), _("images as given"), _("images if moved")),
        tuple((classes[a], classes[found.order[a]], int(given[a]), int(better[a])) for a in moved[:_LISTED]),
    )
