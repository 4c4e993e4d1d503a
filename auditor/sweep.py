"""One pass over the data that fills every collector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from auditor.collectors import Batch, Collector
from auditor.data.dataset import Loaded
from auditor.model.network import Network

Reduced = defaultdict[str, list[Any]]


def sweep(
    network: Network,
    batches: Iterable[Loaded],
    collectors: Sequence[Collector],
    *,
    seen: Callable[[int], None],
    note: Callable[[str], None],
) -> None:
    """Run every image once through the network and let every collector look.

    Where the device runs out of memory the batch is halved and repeated. A collector takes in only
    what a forward pass that succeeded has shown it.

    Args:
        seen: Called after each batch with the number of files that are done.
        note: Called with a sentence when something had to be done otherwise.
    """
    with _Watch(network.module, collectors) as watch, torch.inference_mode():
        for loaded in batches:
            for batch, reduced in _steps(network, loaded, watch, note):
                for collector, what in zip(collectors, reduced, strict=True):
                    collector.update(batch, what)
            seen(len(loaded.indices) + len(loaded.unreadable))


def _steps(
    network: Network, loaded: Loaded, watch: _Watch, note: Callable[[str], None]
) -> Iterator[tuple[Batch, list[Reduced]]]:
    try:
        scores = _scores(network, loaded, watch)
    except torch.OutOfMemoryError:
        count = len(loaded.indices)
        if count < 2:
            raise
        note(f"the device ran out of memory on a batch of {count} images; it was halved and repeated")
        torch.cuda.empty_cache()
        for half in _halves(loaded):
            yield from _steps(network, half, watch, note)
        return
    unreadable = tuple(loaded.unreadable)
    yield Batch(loaded.indices.numpy(), loaded.labels.numpy(), scores, unreadable), watch.take()


def _scores(network: Network, loaded: Loaded, watch: _Watch) -> np.ndarray[Any, np.dtype[np.float32]]:
    watch.take()
    if not len(loaded.indices):
        return np.zeros((0, network.outputs), np.float32)
    return network.scores(loaded.images).cpu().numpy()


def _halves(loaded: Loaded) -> tuple[Loaded, Loaded]:
    middle = len(loaded.indices) // 2
    first = Loaded(loaded.indices[:middle], loaded.images[:middle], loaded.labels[:middle], loaded.unreadable)
    return first, Loaded(loaded.indices[middle:], loaded.images[middle:], loaded.labels[middle:], [])


class _Watch:
    """Shows every collector the outputs that it asked for, as they are computed."""

    def __init__(self, module: nn.Module, collectors: Sequence[Collector]) -> None:
        self._module = module
        self._collectors = collectors
        self._shown: list[Reduced] = []
        self._handles: list[Any] = []
        self.take()

    def __enter__(self) -> Self:
        for tap in sorted({tap for collector in self._collectors for tap in collector.taps}):
            self._handles.append(self._module.get_submodule(tap).register_forward_hook(self._showing(tap)))
        return self

    def __exit__(self, *ended: object) -> None:
        for handle in self._handles:
            handle.remove()

    def take(self) -> list[Reduced]:
        """Return what was shown to each collector since the last call."""
        shown, self._shown = self._shown, [defaultdict(list) for _ in self._collectors]
        return shown

    def _showing(self, tap: str) -> Callable[[nn.Module, Any, Tensor], None]:
        interested = [i for i, collector in enumerate(self._collectors) if tap in collector.taps]

        def show(module: nn.Module, inputs: Any, output: Tensor) -> None:
            for i in interested:
                self._shown[i][tap].append(self._collectors[i].reduce(tap, output))

        return show
