"""One unit of a network, named without loading it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auditor.errors import UsageError

_WRITTEN = re.compile(r"(?P<layer>[^:\s]+):(?P<channel>\d+)(?::(?P<y>\d+):(?P<x>\d+))?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A channel of a layer's own output, at one place or at the most active one of each image.

        Unit("layer3.1.conv2", 17)          # wherever channel 17 is most active
        Unit("layer3.1.conv2", 17, 4, 9)    # row 4, column 9 of its map

    Attributes:
        layer: The module's name, as `named_modules` has it; of a module that runs several times the last run.
        channel: From 0.
        y, x: Row and column of the layer's map, from 0; None for the most active place.

    Raises:
        ValueError: Only one of `y` and `x` is given, or a number is negative or no whole one.
    """

    layer: str
    channel: int
    y: int | None = None
    x: int | None = None

    def __post_init__(self) -> None:
        if (self.y is None) != (self.x is None):
            raise ValueError(f"unit {self.layer}:{self.channel} has only one of y and x; give both, or neither")
        if not all(isinstance(number, int) for number in (self.channel, self.y or 0, self.x or 0)):
            raise ValueError(f"unit {self} has a number that is no whole one")
        if min(self.channel, self.y or 0, self.x or 0) < 0:
            raise ValueError(f"unit {self} has a negative number, but channels and places count from 0")

    def __str__(self) -> str:
        place = "" if self.y is None else f":{self.y}:{self.x}"
        return f"{self.layer}:{self.channel}{place}"

    @classmethod
    def read(cls, text: str) -> Unit:
        """Return the unit written as `layer:channel` or `layer:channel:y:x`.

        Raises:
            UsageError: It is written in another way.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if not found:
            raise UsageError(f"{text!r} names no unit; write layer:channel or layer:channel:y:x, as in layer3.1:17")
        y, x = (None if found[part] is None else int(found[part]) for part in ("y", "x"))
        return cls(found["layer"], int(found["channel"]), y, x)
