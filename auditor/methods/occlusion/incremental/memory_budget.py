"""How many images to compute at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Budget:
    """The memory to use, in bytes.

    Attributes:
        memory: The limit.
        rectangles: Best size of the largest layer for a group of windows: about that of the caches.
        maps: The same where complete maps are computed.
        most: Largest number of windows in a group.
    """

    memory: int
    rectangles: int
    maps: int
    most: int

    @classmethod
    def on(cls, device: torch.device, memory: int) -> Budget:
        """Return the sizes that measured best for a kind of device."""
        if device.type == "cpu":
            return cls(memory, rectangles=10_000_000, maps=25_000_000, most=32)
        return cls(memory, rectangles=1 << 28, maps=1 << 29, most=1024)

    def group(self, alive: int, layer: int) -> int:
        """Return the number of windows in a group, from the bytes of each in memory and in its largest layer."""
        return max(1, min(self.most, self.rectangles // max(layer, 1), self.memory // max(alive, 1)))

    def whole(self, alive: int, layer: int) -> int:
        """Return the number of complete images to compute at once."""
        return max(1, min(1024, self.maps // max(layer, 1), self.memory // max(alive, 1)))
