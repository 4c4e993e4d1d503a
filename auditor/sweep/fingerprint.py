"""The fingerprint of a pass: digests of everything that its summaries depend on.

A pass is resumed only if its fingerprint is the same, so that it gives what an uninterrupted pass gives.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditor.collectors import Collector
from auditor.context import Context
from auditor.data.dataset import Loading
from auditor.errors import describe
from auditor.process.isolation import surroundings
from auditor.version import __version__

_PACKAGE = Path(__file__).parents[1]  # the summaries depend on code in all of it


def fingerprint(context: Context, collectors: Sequence[Collector], loading: Loading) -> dict[str, Any]:
    """Return everything that the collected summaries depend on, as JSON can hold it."""
    data, network = context.data, context.network
    kinds = [type(collector) for collector in collectors] + [type(module) for module in network.module.modules()]
    return {
        "versions": [__version__, *(metadata.version(name) for name in ("torch", "torchvision", "numpy", "pillow"))],
        "checkpoint": context.checkpoint.sha256,
        "code": _code(kinds),
        "behaviour": _behaviour(context, collectors),
        "data": data.listing.fingerprint,
        "labels": _digest(repr((context.classes, data.labels.indices, data.labels.sets, data.labels.partial))),
        "preprocess": context.preprocess.settings(),
        "computing": [context.seed, network.amp, str(network.device), torch.get_num_threads(), loading.batch_size],
        "collectors": [_digest(repr(c.key)) for c in collectors],
    }


def _code(kinds: Iterable[type]) -> str:
    """Return a digest of this package and of the code of some classes."""
    return _digest("".join(_digest(path.read_bytes()) for path in _files(kinds)))


def _files(kinds: Iterable[type]) -> list[Path]:
    """Return the files of this package, those that define some classes, and what was imported from their folders."""
    sources = {Path(file) for kind in set(kinds) if (file := _file(kind))}
    folders = {source.parent for source in sources}
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    siblings = {path for path in loaded if path.parent in folders}
    return [path for path in sorted({*_PACKAGE.rglob("*.py"), *sources, *siblings}) if path.is_file()]


def _file(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None


def _behaviour(context: Context, collectors: Sequence[Collector]) -> str:
    """Return a digest of the scores and of the outputs at the collectors' taps, for noise and some images."""
    network, digests = context.network, list[str]()

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            digests.append(_digest(output.float().cpu().numpy().tobytes()))

    taps = dict.fromkeys(tap for collector in collectors for tap in collector.taps)
    handles = []
    noise = torch.randn(network.input_shape, generator=torch.Generator().manual_seed(0))
    shown = [sample.tensor for index in context.chosen[:3] if (sample := context.data[index]).tensor is not None]
    try:
        handles += [network.module.get_submodule(tap).register_forward_hook(record) for tap in taps]
        with torch.inference_mode(), surroundings(context.seed, "behaviour", network.device):
            digests.append(_digest(network.scores(torch.stack([noise, *shown])).cpu().numpy().tobytes()))
    except Exception as error:
        digests.append(describe(error))
    finally:
        for handle in handles:
            handle.remove()
    return _digest("".join(digests))


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
