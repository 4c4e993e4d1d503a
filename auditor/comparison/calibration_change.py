"""Whether confidence means what it says as nearly as before, on the same images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.comparison.accuracy import too_few
from auditor.comparison.pair import Pair
from auditor.comparison.predictions import Common, Flags, common, missing
from auditor.language import _, current, many, marked, some
from auditor.results import Answer, Finding, Table, Verdict
from auditor.statistics.paired import calibration_difference, calibration_errors

CALIBRATION = 0.01  # a difference up to which two calibration errors are the same


def calibration(pair: Pair, few: int, seed: int = 0) -> Iterator[Finding | Table]:
    """Say whether confidence means what it says as nearly as before."""
    rule = "baseline.calibration"
    if reason := missing(pair):
        yield Finding(rule, Verdict.SKIP, reason)
        return
    shared = common(pair)
    known = shared.labelled & np.array([None not in (a.answer, b.answer) for a, b in _both(shared)], bool)
    n = int(known.sum())
    if n < few:
        yield Finding(rule, Verdict.SKIP, too_few(n, few))
        return
    numbers = _numbers(shared, known)
    before, after = calibration_errors(*numbers)
    interval = calibration_difference(*numbers, seed=seed)
    worse = after - before > CALIBRATION and interval[0] > 0
    told = (
        marked("the expected calibration error was {before:.3f} and is {after:.3f}")
        if worse or after <= before
        else marked(
            "the expected calibration error was {before:.3f} and is {after:.3f}, no more than chance and the tolerance "
            "allow"
        )
    )
    yield Finding(
        rule,
        Verdict.WARN if worse else Verdict.PASS,
        _(told, before=before, after=after),
        value=after - before,
        limit=CALIBRATION,
        n=n,
        interval=interval,
        detail=_("Temperature scaling on held-out images mends it without retraining.") if worse else "",
    )
    yield from _calibration_by_class(shared, known, few)


def _both(shared: Common) -> Iterator[tuple[Answer, Answer]]:
    return zip(shared.before, shared.after, strict=True)


Numbers = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _numbers(shared: Common, chosen: Flags | NDArray[np.intp]) -> Numbers:
    """Return how sure both networks are of the chosen images, and whether they are right."""
    (sure, sure_now), (right, right_now) = shared.confidences, shared.right
    return sure[chosen], sure_now[chosen], right[chosen].astype(np.float64), right_now[chosen].astype(np.float64)


def _calibration_by_class(shared: Common, told: Flags, few: int) -> Iterator[Finding | Table]:
    rows, left = [], []
    for name, places in shared.by_class.items():
        own = places[told[places]]
        if (n := len(own)) < few:
            left.append(name)
            continue
        before, after = calibration_errors(*_numbers(shared, own))
        rows.append((name, n, before, after, after - before))
    rows.sort(key=lambda row: (-row[4], row[0]))
    if left:
        reason = many(
            "classes with under {count} image are not judged one by one: {classes}",
            "classes with under {count} images are not judged one by one: {classes}",
            few,
            classes=some(left, 6),
        )
        yield Finding("baseline.calibration", Verdict.SKIP, reason, value=len(left), unit=marked("classes"))
    if rows:
        yield Table(
            _("Calibration class by class"),
            _(
                "Expected calibration error of the images of each class, before and now; what became worse comes "
                "first. On few images it is large by chance, for both networks alike."
            ),
            (_("class"), _("images"), _("before"), _("now"), _("difference")),
            tuple((name, n, *map(current().number, _told(a, b, d))) for name, n, a, b, d in rows),
        )


def _told(before: float, after: float, difference: float) -> tuple[str, ...]:
    return f"{before:.3f}", f"{after:.3f}", f"{difference:+.3f}".replace("-", "−")
