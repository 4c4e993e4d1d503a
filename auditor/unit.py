"""One unit of a network, named without loading the network."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auditor.errors import UsageError

_WRITTEN = re.compile(r"(?P<layer>[^:\s]+):(?P<channel>\d+)(?::(?P<y>\d+):(?P<x>\d+))?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A channel of a layer's own output, at a given place or at the most active place of each image.

        Unit("layer3.1.conv2", 17)          # channel 17 at its most active place
        Unit("layer3.1.conv2", 17, 4, 9)    # channel 17 at row 4, column 9 of its map

    Attributes:
        layer: The module's name in `named_modules`. If the module runs several times, its last run counts.
        channel: From 0.
        y, x: Row and column of the layer's map, from 0; None for the most active place.

    Raises:
        ValueError: Only one of `y` and `x` is given, or a number is negative or not an integer.

    Examples:
        >>> from auditor.methods import Unit
        >>> str(Unit("layer3.1.conv2", 17, 4, 9))
        'layer3.1.conv2:17:4:9'
        >>> Unit.read("layer3.1:17")
        Unit(layer='layer3.1', channel=17, y=None, x=None)
    """

    layer: str
    channel: int
    y: int | None = None
    x: int | None = None

    def __post_init__(self) -> None:
        if (self.y is None) != (self.x is None):
            raise ValueError(f"unit {self.layer}:{self.channel} has only one of y and x; give both or neither")
        if not all(isinstance(number, int) for number in (self.channel, self.y or 0, self.x or 0)):
            raise ValueError(f"unit {self} has a number that is not an integer")
        if min(self.channel, self.y or 0, self.x or 0) < 0:
            raise ValueError(f"unit {self} has a negative number, but channels, rows and columns count from 0")

    def __str__(self) -> str:
        place = "" if self.y is None else f":{self.y}:{self.x}"
        return f"{self.layer}:{self.channel}{place}"

    @classmethod
    def read(cls, text: str) -> Unit:
        """Return the unit written as `layer:channel` or `layer:channel:y:x`.

        Raises:
            UsageError: The text has another form.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if not found:
            raise UsageError(f"{text!r} is not a unit; write layer:channel or layer:channel:y:x, as in layer3.1:17")
        y, x = (None if found[part] is None else int(found[part]) for part in ("y", "x"))
        return cls(found["layer"], int(found["channel"]), y, x)
