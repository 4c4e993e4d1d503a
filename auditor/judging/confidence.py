"""Comparing an estimate and its confidence interval with a limit.

A limit is compared with the estimate. If `confident` is set, it is compared with the worse end of the interval instead,
so too few images never pass. If the limit lies inside the interval, the result is a close call.
"""

from __future__ import annotations

from auditor.language import _

Interval = tuple[float, float]


def lower(value: float, interval: Interval, *, confident: bool) -> float:
    """Return the value that has to be above a limit: the estimate, or the lower end of its interval."""
    return interval[0] if confident else value


def upper(value: float, interval: Interval, *, confident: bool) -> float:
    """Return the value that has to be below a limit: the estimate, or the upper end of its interval."""
    return interval[1] if confident else value


def is_close(interval: Interval, *limits: float | None) -> bool:
    """Return whether one of the limits lies inside the interval. None means no limit."""
    return any(limit is not None and interval[0] < limit < interval[1] for limit in limits)


def close_call(interval: Interval, *limits: float | None, confident: bool = False) -> str:
    """Return a sentence if a limit lies inside the interval; otherwise an empty text."""
    if not is_close(interval, *limits):
        return ""
    if confident:
        return _(
            "The limit lies inside the 95 % interval, and `confident` requires the whole interval to meet it. More "
            "images make the interval narrower."
        )
    return _("The limit lies inside the 95 % interval: another sample of images could change this verdict.")
