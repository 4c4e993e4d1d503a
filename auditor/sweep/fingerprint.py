"""What shapes the summaries of a pass, as digests: nothing is resumed that would come out otherwise."""

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

_PACKAGE = Path(__file__).parents[1]  # all code that shapes a summary is in it


def fingerprint(context: Context, collectors: Sequence[Collector], loading: Loading) -> dict[str, Any]:
    """Return everything that shapes what is collected: a pass resumes only where all of it is the same."""
    data, network = context.data, context.network
    kinds = [type(collector) for collector in collectors] + [type(module) for module in network.module.modules()]
    return {
        "versions": [__version__, *(metadata.version(name) for name in ("torch", "torchvision", "numpy", "pillow"))],
        "checkpoint": context.checkpoint.sha256,
        "code": _code(kinds),
        "behaviour": _behaviour(context, collectors),
        "data": data.listing.fingerprint,
        "labels": _digest(repr((context.classes, data.labels.indices))),
        "preprocess": context.preprocess.settings(),
        "computing": [context.seed, network.amp, str(network.device), torch.get_num_threads(), loading.batch_size],
        "collectors": [_digest(repr(c.key)) for c in collectors],
    }


def _code(kinds: Iterable[type]) -> str:
    """Return a digest of all code that shapes what is collected."""
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
    """Return a digest of what the network makes of noise and of some images, at its end and where it is observed."""
    network, told = context.network, list[str]()

    def tell(module: nn.Module, inputs: Any, output: Any) -> None:
        told.extend(_digest(one.float().cpu().numpy().tobytes()) for one in [output] if isinstance(one, torch.Tensor))

    taps = dict.fromkeys(tap for collector in collectors for tap in collector.taps)
    handles = []
    noise = torch.randn(network.input_shape, generator=torch.Generator().manual_seed(0))
    shown = [sample.tensor for index in context.chosen[:3] if (sample := context.data[index]).tensor is not None]
    try:
        handles += [network.module.get_submodule(tap).register_forward_hook(tell) for tap in taps]
        with torch.inference_mode(), surroundings(context.seed, "behaviour", network.device):
            told.append(_digest(network.scores(torch.stack([noise, *shown])).cpu().numpy().tobytes()))
    except Exception as error:
        told.append(describe(error))
    finally:
        for handle in handles:
            handle.remove()
    return _digest("".join(told))


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
