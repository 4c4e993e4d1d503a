"""Compare an estimate, and its interval, with a limit.

By default a limit is compared with the estimate. If the option `confident` is set, it is compared with the worse end of
the 95 % interval, and too few images never pass. A limit inside the interval is a close call.
"""

from __future__ import annotations

from auditor.language import _

Interval = tuple[float, float]


def lower(value: float, interval: Interval, *, confident: bool) -> float:
    """Return the value that has to be over a limit: the estimate, or the lower end of its interval."""
    return interval[0] if confident else value


def upper(value: float, interval: Interval, *, confident: bool) -> float:
    """Return the value that has to stay under a limit: the estimate, or the upper end of its interval."""
    return interval[1] if confident else value


def is_close(interval: Interval, *limits: float | None) -> bool:
    """Return whether one of the limits lies inside the interval; None means no limit."""
    return any(limit is not None and interval[0] < limit < interval[1] for limit in limits)


def told(interval: Interval, *limits: float | None, confident: bool = False) -> str:
    """Return a sentence about a close call; empty if it is none."""
    if not is_close(interval, *limits):
        return ""
    if confident:
        return _(
            "The limit lies inside the 95 % interval, and the whole interval has to keep it (option confident). More "
            "images make the interval narrower."
        )
    return _(
        "Close to the limit, which lies inside the 95 % interval: another sample of images could change this verdict."
    )
