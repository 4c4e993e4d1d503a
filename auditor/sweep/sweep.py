"""One pass over the data that fills every collector."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.collectors import Batch, Collector
from auditor.collectors.reductions import shared
from auditor.data.dataset import Loaded
from auditor.data.decoding.traits import Traits
from auditor.errors import describe
from auditor.language import _
from auditor.model.network import Network
from auditor.model.preserve import buffers_kept
from auditor.process.isolation import surroundings
from auditor.statistics.closeness import alike

Key = tuple[Any, ...]

_OUTPUT = 24 * 2**20  # bytes of the largest output of a layer, for the images of a part
_WEIGHTS = 32 * 2**20  # bytes of weights that are read for each image of a part, at most
_FEWEST = 4


def sweep(
    network: Network,
    batches: Iterable[Loaded],
    collectors: Sequence[Collector],
    *,
    seen: Callable[[int], None],
    note: Callable[[str], None],
    settled: Callable[[], None] = lambda: None,
    numbers: Iterable[int] = (),
    seed: int = 0,
) -> dict[Key, Exception]:
    """Run every image through the network once, and update every collector.

    On a CPU a large batch is run in parts, which is faster. If the device runs out of memory, a part is
    halved and repeated. A collector is updated only after a forward pass that succeeded. A collector that
    raises is not updated again; the others continue.

    Args:
        seen: Called after each batch with the number of files that are done.
        note: Called with a sentence when something was done otherwise than asked.
        settled: Called after each batch that is completely in all collectors.
        numbers: The number of each batch among all batches, if these are not all. A network that draws random
            numbers draws the same ones for a batch, whichever process runs it.

    Returns:
        The exceptions by the key of the collector.
    """
    recorders = [_Recorder(collector) for collector in collectors]
    with surroundings(seed, "parts", network.device):
        most = at_once(network)
    with _Hooks(network.module, recorders), torch.inference_mode():
        for number, loaded in zip(numbers or itertools.count(), batches, strict=False):
            with surroundings(seed, f"batch {number}", network.device):
                for part in parts(loaded, most):
                    _step(network, part, recorders, note)
            seen(len(loaded.indices) + len(loaded.unreadable))
            if not any(recorder.error for recorder in recorders):
                settled()
    return {recorder.collector.key: recorder.error for recorder in recorders if recorder.error}


def at_once(network: Network) -> int | None:
    """Return how many images are computed at once, None for whole batches.

    On a CPU an output of more than about 30 MB does not fit into a cache, and its memory is allocated again for each
    pass: EfficientNet-Lite0 takes 1.5 times as long with 16 images at once as with 4. With few images a network of
    large layers waits for its weights: VGG-16 takes 1.08 times as long with 4 images as with 16. The number does not
    depend on the machine, so that all processes of an audit form the same parts.
    """
    if network.device.type != "cpu" or _mixes(network):
        return None
    largest = max((math.prod(layer.output) for layer in network.layers), default=1)
    weights = sum(parameter.nbytes for parameter in network.module.parameters())
    return max(_FEWEST, _OUTPUT // (4 * largest), weights // _WEIGHTS)


def _mixes(network: Network) -> bool:
    """Return whether the scores of an image depend on chance, or on the other images of its batch."""
    noise = torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(0))
    noise[1] *= 4  # otherwise both would have the same mean and variance
    try:
        with torch.no_grad(), buffers_kept(network.module):
            return not alike(network.scores(noise)[:1], network.scores(noise[:1]))
    except Exception:  # a network that does not take a single image may raise any exception
        return True


def parts(loaded: Loaded, most: int | None) -> list[Loaded]:
    """Return a batch in parts of at most `most` images; the first part has the unreadable files and the traits."""
    count = max(1, math.ceil(len(loaded.indices) / most)) if most else 1
    columns = (loaded.indices, loaded.images, loaded.labels)
    shares = zip(*(column.tensor_split(count) for column in columns), strict=True)
    targets = [None] * count if loaded.targets is None else loaded.targets.tensor_split(count)
    return [
        Loaded(
            indices,
            images,
            labels,
            *(([], Traits()) if number else (loaded.unreadable, loaded.traits)),
            targets[number],
        )
        for number, (indices, images, labels) in enumerate(shares)
    ]


def _step(network: Network, loaded: Loaded, recorders: Sequence[_Recorder], note: Callable[[str], None]) -> None:
    count = len(loaded.indices)
    try:
        scores = _scores(network, loaded, recorders)
    except torch.OutOfMemoryError:
        if count < 2:
            raise
        scores = None  # the memory of the failed pass is freed only outside of this block
    if scores is None:
        note(_("the device ran out of memory on a batch of {n} images; it was halved and repeated", n=count))
        torch.cuda.empty_cache()
        for half in parts(loaded, math.ceil(count / 2)):
            _step(network, half, recorders, note)
        return
    targets = None if loaded.targets is None else loaded.targets.numpy()
    batch = Batch(
        loaded.indices.numpy(), loaded.labels.numpy(), scores, tuple(loaded.unreadable), loaded.traits, targets
    )
    for recorder in recorders:
        recorder.update(batch)


def _scores(network: Network, loaded: Loaded, recorders: Sequence[_Recorder]) -> NDArray[np.float32]:
    for recorder in recorders:
        recorder.forget()
    if not len(loaded.indices):
        return np.zeros((0, network.outputs), np.float32)
    return np.asarray(network.scores(loaded.images).cpu().numpy())


class _Recorder:
    """A collector during the pass: its reductions of the current batch, and the exception that stopped it."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.error: Exception | None = None
        self._reduced: defaultdict[str, list[Any]] = defaultdict(list)

    def forget(self) -> None:
        self._reduced = defaultdict(list)

    def reduce(self, tap: str, output: Tensor) -> None:
        self.guarded(lambda: self._reduced[tap].append(self.collector.reduce(tap, output)))

    def update(self, batch: Batch) -> None:
        self.guarded(lambda: self.collector.update(batch, self._reduced))

    def guarded(self, act: Callable[[], None]) -> None:
        if self.error:
            return
        try:
            act()
        except (torch.OutOfMemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            self.error = error
        except BaseException as error:  # a plugin may call sys.exit
            self.error = RuntimeError(describe(error))


class _Hooks:
    """Gives each collector the outputs of its taps as they are computed."""

    def __init__(self, module: nn.Module, recorders: Sequence[_Recorder]) -> None:
        self._module = module
        self._recorders = recorders
        self._by_tap: defaultdict[str, list[_Recorder]] = defaultdict(list)
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for recorder in self._recorders:
            recorder.guarded(partial(self._register, recorder))
        return self

    def __exit__(self, *ended: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _register(self, recorder: _Recorder) -> None:
        for tap in dict.fromkeys(recorder.collector.taps):
            module = self._module.get_submodule(tap)
            if tap not in self._by_tap:
                self._handles.append(module.register_forward_hook(partial(_record, self._by_tap[tap], tap)))
            self._by_tap[tap].append(recorder)


def _record(recorders: Sequence[_Recorder], tap: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    with shared(output):
        for recorder in recorders:
            recorder.reduce(tap, output)
