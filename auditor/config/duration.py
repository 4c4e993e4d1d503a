"""A time as it is written: `90s`, `10m`, `2h`, or a number of seconds."""

from __future__ import annotations

import math
import re

from auditor.errors import UsageError

HOUR = 3600.0
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": HOUR}


def duration(name: str, value: object) -> float:
    """Return a time in seconds.

    Raises:
        UsageError: It is not a time, or negative. The message names `name`.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(value), re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    if isinstance(value, bool) or not math.isfinite(seconds):
        raise UsageError(f"{name} is {value!r}, but has to be a time, such as 90s, 10m or 2h")
    return seconds
