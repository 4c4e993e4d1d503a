"""Whether an estimate is sure to be on its side of a limit.

An estimate from some images is a point in an interval. A limit is compared with the point, unless somebody asks to be
confident: then with the worse end, so that too few images never pass. A limit inside the interval is a close call.
"""

from __future__ import annotations

from auditor.language import _

Interval = tuple[float, float]


def lower(value: float, interval: Interval, *, confident: bool) -> float:
    """Return what has to be over a limit: the estimate, or the lower end of its interval."""
    return interval[0] if confident else value


def upper(value: float, interval: Interval, *, confident: bool) -> float:
    """Return what has to stay under a limit: the estimate, or the upper end of its interval."""
    return interval[1] if confident else value


def is_close(interval: Interval, *limits: float | None) -> bool:
    """Return whether one of the limits lies inside the interval; None is no limit."""
    return any(limit is not None and interval[0] < limit < interval[1] for limit in limits)


def told(interval: Interval, *limits: float | None, confident: bool = False) -> str:
    """Return a sentence about a close call; empty where it is none."""
    if not is_close(interval, *limits):
        return ""
    if confident:
        return _(
            "The limit lies inside the 95 % interval, and to be confident the whole interval has to keep it: more "
            "images make it narrower."
        )
    return _("Close to the limit, which lies inside the 95 % interval: with other images this could turn.")
