"""Limits on the work and the memory that a file may ask for."""

from __future__ import annotations


class Exceeded(ValueError):
    """The file asks for more than its size can explain."""


class Budget:
    """What reading one file may still cost.

    A pickle of a few bytes can ask for any number of objects, and a tensor of one element for any size. Every step and
    every copy is charged here before it is made.
    """

    STEPS = 2_000_000
    FLOOR = 64 * 2**20
    RATIO = 16  # weights compress to no less than half; pruned ones, as sparse tensors, grow by about ten

    def __init__(self, size: int) -> None:
        self._steps = self.STEPS
        self._bytes = max(self.FLOOR, self.RATIO * size)

    def step(self, count: int = 1) -> None:
        """Charge operations, and the items of containers that are copied.

        Raises:
            Exceeded: There were more than `STEPS`.
        """
        self._steps -= count
        if self._steps < 0:
            raise Exceeded(f"it takes more than {self.STEPS:,} steps to read; no checkpoint of a network does")

    def memory(self, count: int) -> None:
        """Charge bytes that are not in the file as they are: decompressed, copied or repeated ones.

        Raises:
            Exceeded: They are more than `RATIO` times the file, and more than `FLOOR`.
        """
        self._bytes -= count
        if self._bytes < 0:
            raise Exceeded(f"it would take {count:,} bytes of memory, far more than the file has")
