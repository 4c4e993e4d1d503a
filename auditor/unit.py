"""One unit of a network, named without loading it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auditor.errors import UsageError

_WRITTEN = re.compile(r"(?P<layer>[^:\s]+):(?P<channel>\d+)(?::(?P<y>\d+):(?P<x>\d+))?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A channel of a layer's own output, at one position or at the most active position of each image.

        Unit("layer3.1.conv2", 17)          # wherever channel 17 is most active
        Unit("layer3.1.conv2", 17, 4, 9)    # row 4, column 9 of its map

    Attributes:
        layer: The module's name in `named_modules`; if the module runs several times, the last run counts.
        channel: Counted from 0.
        y, x: Row and column of the layer's map, counted from 0; None for the most active position.

    Raises:
        ValueError: Only one of `y` and `x` is given, or a number is negative or not an integer.
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
            raise ValueError(f"unit {self} has a negative number; channels and positions count from 0")

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
            raise UsageError(
                f"{text!r} is not a unit; write layer:channel or layer:channel:y:x, for example layer3.1:17"
            )
        y, x = (None if found[part] is None else int(found[part]) for part in ("y", "x"))
        return cls(found["layer"], int(found["channel"]), y, x)
