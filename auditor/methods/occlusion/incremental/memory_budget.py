"""How many images are computed at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Budget:
    """What may be used, in bytes, and what is best used.

    Attributes:
        memory: What may be used.
        rectangles: Of the largest layer, for a group of windows: about what the caches hold.
        maps: The same where maps are computed in whole.
        most: Windows in a group.
    """

    memory: int
    rectangles: int
    maps: int
    most: int

    @classmethod
    def on(cls, device: torch.device, memory: int) -> Budget:
        """Return what has been found best for a kind of device."""
        if device.type == "cpu":
            return cls(memory, rectangles=10_000_000, maps=25_000_000, most=32)
        return cls(memory, rectangles=1 << 28, maps=1 << 29, most=1024)

    def group(self, alive: int, layer: int) -> int:
        """Return how many windows a group may have, each with so many bytes alive and in its largest layer."""
        return max(1, min(self.most, self.rectangles // max(layer, 1), self.memory // max(alive, 1)))

    def whole(self, alive: int, layer: int) -> int:
        """Return how many images may be computed in whole at once."""
        return max(1, min(1024, self.maps // max(layer, 1), self.memory // max(alive, 1)))
