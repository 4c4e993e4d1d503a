"""The global state of a process that a check may read or change."""

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
    """Seed the global random streams for one purpose, and restore the global state afterwards.

    The streams of Python, numpy and torch are seeded from `seed` and `purpose`. They are restored together with
    the gradient mode, the default dtype and the working directory.
    """
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
