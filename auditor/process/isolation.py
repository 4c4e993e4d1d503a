"""The state of a process that code may read or change beside what it is given."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch


@contextmanager
def surroundings(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Give code that uses the global random streams a state of its own, and put back what is global."""
    own = (seed + zlib.crc32(purpose.encode())) % 2**32
    numbers, plain, folder = np.random.get_state(), random.getstate(), Path.cwd()
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
            os.chdir(folder)
