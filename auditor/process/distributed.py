"""The processes that `torchrun` has started for one audit.

Each process passes over its own part of the data. The first one runs the checks and writes the report. The processes
exchange small summaries in main memory, so the backend is gloo on every device.
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

from auditor.process.peers import watched

_PATIENCE = timedelta(days=1)  # the checks of the first process may take long; `peers` notices a process that ended


class Lost(Exception):
    """Another process of the audit has ended early."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among all.

    Attributes:
        number: The number of this process, from 0.
        count: The number of all processes.
        here: The number of this process on its own machine, from 0.
    """

    number: int = 0
    count: int = 1
    here: int = 0

    @property
    def first(self) -> bool:
        """Whether this process runs the checks and writes the report."""
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device of this process; with several GPUs each process uses its own."""
        if self.count == 1 or asked not in ("auto", "cuda") or not torch.cuda.is_available():
            return asked
        return f"cuda:{self.here % torch.cuda.device_count()}"

    def shared(self, value: Any) -> Any:
        """Return the value that the first process passes; the others wait for it."""
        if self.count == 1:
            return value
        box = [value]
        with _exchanging():
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    @contextmanager
    def offering(self) -> Iterator[Callable[[Any], None]]:
        """Give the block a function that sends one value to the others; if it is not called they receive None."""
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
        """Return the values of all processes in their order to the first process, and [] to the others."""
        if self.count == 1:
            return [value]
        everyones = [None] * self.count if self.first else None
        with _exchanging():
            distributed.gather_object(value, everyones, dst=0)
        return everyones or []


@contextmanager
def _exchanging() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1:] or ["no message"]
        raise Lost(f"another process of the audit ended early ({reason[0]}); there is no verdict") from error


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that `torchrun` has started; without `torchrun` this process is alone."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        yield Processes()
        return
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    number, count = distributed.get_rank(), distributed.get_world_size()
    try:
        with watched(number, count):
            yield Processes(number, count, int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))
    finally:
        distributed.destroy_process_group()
