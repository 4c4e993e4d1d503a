"""The processes that `torchrun` has started for one audit.

All pass over their own part of the data; the first one runs the checks and writes the report. What they tell each
other are small summaries in main memory, so that gloo carries them, whatever device the networks run on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

_PATIENCE = timedelta(days=1)  # the first one's own checks may take long, and torchrun ends all when one dies


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among all.

    Attributes:
        number: Of this one, from 0.
        count: How many there are.
        here: The number of this one on its own machine.
    """

    number: int = 0
    count: int = 1
    here: int = 0

    @property
    def first(self) -> bool:
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device of this process; of several GPUs each takes its own."""
        if self.count == 1 or asked not in ("auto", "cuda") or not torch.cuda.is_available():
            return asked
        return f"cuda:{self.here % torch.cuda.device_count()}"

    def shared(self, value: Any) -> Any:
        """Return what the first process has given; the others wait for it."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    @contextmanager
    def offering(self) -> Iterator[Callable[[Any], None]]:
        """Hand out a function that shares one value with the others; if it is not called they receive None."""
        sent = False

        def send(value: Any) -> None:
            nonlocal sent
            self.shared(value)
            sent = True

        try:
            yield send
        finally:
            if not sent:
                self.shared(None)

    def gathered(self, value: Any) -> list[Any]:
        """Return to the first process what each has given, in their order; to the others nothing."""
        if self.count == 1:
            return [value]
        everyones = [None] * self.count if self.first else None
        distributed.gather_object(value, everyones, dst=0)
        return everyones or []


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that `torchrun` has started, if it has started this one."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        yield Processes()
        return
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Processes(
            distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
        )
    finally:
        distributed.destroy_process_group()
