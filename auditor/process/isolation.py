"""The global state of a process that a check may read, and that it may not leave changed."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auditor.process.functions import Functions
from auditor.process.objects import Objects
from auditor.process.switches import Switches


@contextmanager
def surroundings(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Seed the global random streams for one purpose, and restore the global state afterwards.

    The streams of Python, numpy and torch are seeded from `seed` and `purpose`. They are restored together with
    the gradient mode, the default dtype and the working directory.
    """
    own = (seed + zlib.crc32(purpose.encode())) % 2**32
    numbers, plain, folder = np.random.get_state(), random.getstate(), _working_folder()
    gradients, kind = torch.is_grad_enabled(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(own)
        np.random.seed(own)
        random.seed(own)
        try:
            yield
        finally:
            np.random.set_state(numbers)
            random.setstate(plain)
            torch.set_grad_enabled(gradients)
            torch.set_default_dtype(kind)
            if folder and folder != _working_folder():
                os.chdir(folder)


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


class Isolation:
    """Finds what a check has changed outside of itself, and puts it back.

    Args:
        shared: Objects that all checks share, by name.
    """

    def __init__(self, shared: Mapping[str, Any]) -> None:
        self._functions = Functions()
        self._objects = Objects(shared, lambda kind: kind.__module__.partition(".")[0] == "auditor")

    @contextmanager
    def watching(self, changes: list[str]) -> Iterator[None]:
        """Put back what the block changes: switches, functions, modules and shared objects.

        Args:
            changes: The names of what changed are added to it.
        """
        self._functions.extend()
        switches = Switches()
        try:
            yield
        finally:
            changes += self._functions.restored()  # first: the others call them
            changes += switches.restored()
            changes += self._objects.restored()
