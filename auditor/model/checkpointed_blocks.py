"""Blocks that save memory in training by running again on the way back: `torch.utils.checkpoint`.

A re-entrant block gives no gradient to a place inside of the network, and warns on each run without gradients. While
a network is audited such blocks run plainly, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils import checkpoint


class _Plain:
    """What re-entrant checkpoints call, without checkpointing."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve_rng_state: bool, *inputs: Any) -> Any:
        return function(*inputs)


@contextmanager
def run_plainly() -> Iterator[None]:
    """Run re-entrant checkpointed blocks as if they were not checkpointed."""
    kept = checkpoint.CheckpointFunction
    checkpoint.CheckpointFunction = _Plain  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        checkpoint.CheckpointFunction = kept  # type: ignore[misc]
