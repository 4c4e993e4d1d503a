"""The expected calibration error before and now, on the same images."""

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

TOLERANCE = 0.01  # difference up to which two calibration errors are the same


def calibration(pair: Pair, few: int, seed: int = 0) -> Iterator[Finding | Table]:
    """Compare the expected calibration errors, overall and per class.

    Args:
        pair: The baseline and the audit that is compared with it.
        few: Number of images under which nothing is judged.
        seed: Seed of the bootstrap.
    """
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
    worse = after - before > TOLERANCE and interval[0] > 0
    message = (
        marked("calibration error {after:.3f}, before {before:.3f}")
        if worse or after <= before
        else marked(
            "calibration error {after:.3f}, before {before:.3f}; the increase is within chance or the tolerance of "
            "{tolerance:g}"
        )
    )
    yield Finding(
        rule,
        Verdict.WARN if worse else Verdict.PASS,
        _(message, before=before, after=after, tolerance=TOLERANCE),
        value=after - before,
        limit=TOLERANCE,
        n=n,
        interval=interval,
        detail=_("Temperature scaling on held-out images corrects this without retraining.") if worse else "",
    )
    yield from _per_class(shared, known, few)


def _both(shared: Common) -> Iterator[tuple[Answer, Answer]]:
    return zip(shared.before, shared.after, strict=True)


Numbers = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _numbers(shared: Common, chosen: Flags | NDArray[np.intp]) -> Numbers:
    """Return confidence before and after, and correctness (0 or 1) before and after, of the chosen images."""
    (old, new), (was_correct, is_correct) = shared.confidences, shared.correct
    return old[chosen], new[chosen], was_correct[chosen].astype(np.float64), is_correct[chosen].astype(np.float64)


def _per_class(shared: Common, known: Flags, few: int) -> Iterator[Finding | Table]:
    rows, left = [], []
    for name, places in shared.by_class.items():
        own = places[known[places]]
        if (n := len(own)) < few:
            left.append(name)
            continue
        before, after = calibration_errors(*_numbers(shared, own))
        rows.append((name, n, before, after, after - before))
    rows.sort(key=lambda row: (-row[4], row[0]))
    if left:
        reason = many(
            "classes with fewer than {count} image are not compared: {classes}",
            "classes with fewer than {count} images are not compared: {classes}",
            few,
            classes=some(left, 6),
        )
        yield Finding("baseline.calibration", Verdict.SKIP, reason, value=len(left), unit=marked("classes"))
    if rows:
        yield Table(
            _("Calibration per class"),
            _(
                "Expected calibration error of each class, before and now. Increases come first. With few images the "
                "error is large by chance, in both audits."
            ),
            (_("class"), _("images"), _("before"), _("now"), _("difference")),
            tuple((name, n, *map(current().number, _decimals(a, b, d))) for name, n, a, b, d in rows),
        )


def _decimals(before: float, after: float, difference: float) -> tuple[str, ...]:
    return f"{before:.3f}", f"{after:.3f}", f"{difference:+.3f}".replace("-", "−")
