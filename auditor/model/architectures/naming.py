"""Other names for the same tensors: with or without prefixes, and former names of torchvision."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from auditor.model.files import parametrizations
from auditor.model.files.parameter_names import unwrapped

Shapes = Mapping[str, tuple[int, ...]]

_RENAMED = (
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),  # vision transformers before 0.13
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),  # DenseNets before 0.3
)


_OPENMMLAB = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^backbone\.layers\.(\d+)\.ln([12])\.", r"encoder.layers.encoder_layer_\1.ln_\2."),
        (r"^backbone\.layers\.(\d+)\.attn\.qkv\.", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
        (r"^backbone\.layers\.(\d+)\.attn\.proj\.", r"encoder.layers.encoder_layer_\1.self_attention.out_proj."),
        (r"^backbone\.layers\.(\d+)\.ffn\.layers\.0\.0\.", r"encoder.layers.encoder_layer_\1.mlp.0."),
        (r"^backbone\.layers\.(\d+)\.ffn\.layers\.1\.", r"encoder.layers.encoder_layer_\1.mlp.3."),
        (r"^backbone\.cls_token$", "class_token"),
        (r"^backbone\.pos_embed$", "encoder.pos_embedding"),
        (r"^backbone\.patch_embed\.projection\.", "conv_proj."),
        (r"^backbone\.ln1\.", "encoder.ln."),
        (r"^head\.layers\.head\.", "heads.head."),
        (r"^head\.fc\.", "fc."),
        (r"^backbone\.", ""),
    )
)
"""Names of mmpretrain and mmcls: ResNets have those of torchvision behind `backbone`, vision transformers others."""


def fitted(tensors: Mapping[str, Tensor], own: Shapes, *, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors under the names with which most of them match the network's names and shapes.

    Names stay as they are where that fits best. Otherwise prefixes are added or removed, the parts of names that
    wrappers leave are removed, and parametrized weights are folded into plain ones.

    Args:
        prefix: The prefix that was removed when the file was read; the network may have it itself.
    """
    found = _renamed(tensors, own, prefix)
    if _fit(found, own) == len(found) or not parametrizations.has_parts(tensors):
        return found
    return max(found, _renamed(parametrizations.folded(tensors), own, prefix), key=lambda names: _fit(names, own))


def fits_better(
    module: torch.nn.Module, first: Mapping[str, Tensor], second: Mapping[str, Tensor], *, prefix: str = ""
) -> bool:
    """Return whether more of a network's tensors are among the first than among the second."""
    own = shapes(module.state_dict())
    one, other = (_fit(fitted(without_values(names), own, prefix=prefix), own) for names in (first, second))
    return one > other


def _fit(names: Mapping[str, Tensor], own: Shapes) -> int:
    return sum(own.get(key) == tuple(tensor.shape) for key, tensor in names.items())


def _renamed(tensors: Mapping[str, Tensor], own: Shapes, prefix: str) -> dict[str, Tensor]:
    best = max(_candidates(tensors, own, prefix), key=lambda names: _fit(names, own))
    if _fit(best, own) == len(best):
        return best
    return max(best, _without_wrappers(tensors, own, prefix), key=lambda names: _fit(names, own))


def _without_wrappers(tensors: Mapping[str, Tensor], own: Shapes, prefix: str) -> dict[str, Tensor]:
    """Return the tensors under the network's names, where these differ in what wrappers put into names, too."""
    plain = {unwrapped(name): tensor for name, tensor in tensors.items()}
    known = {unwrapped(name): name for name in own}
    if len(plain) < len(tensors) or len(known) < len(own):  # then these parts of the names tell tensors apart
        return dict(tensors)
    shapes = {name: own[whole] for name, whole in known.items()}
    best = max(_candidates(plain, shapes, unwrapped(prefix)), key=lambda names: _fit(names, shapes))
    return {known.get(name, name): tensor for name, tensor in best.items()}


def without_values(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without their values, for comparing shapes only."""
    return {name: tensor.to("meta") for name, tensor in tensors.items()}


def is_constant(tensor: Tensor) -> bool:
    """Return whether a buffer is a counter or an index, which training does not change."""
    return not tensor.is_floating_point() and not tensor.is_complex()


def tied(module: torch.nn.Module) -> dict[str, frozenset[str]]:
    """Return the other names of each tensor that a module has under several names."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    for name, value in module.state_dict(keep_vars=True).items():
        names[id(value)].append(name)
    return {name: frozenset(group) - {name} for group in names.values() if len(group) > 1 for name in group}


def shapes(state: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor; lazy tensors, which get their shape in a first call, are left out."""
    return {
        key: tuple(value.shape)
        for key, value in state.items()
        if isinstance(value, Tensor) and not torch.nn.parameter.is_lazy(value)
    }


def _candidates(tensors: Mapping[str, Tensor], own: Shapes, prefix: str) -> Iterator[dict[str, Tensor]]:
    current = {_current(key): tensor for key, tensor in tensors.items()}
    yield dict(tensors)
    yield current
    if any(key.startswith("backbone.") for key in tensors):
        yield {_of_openmmlab(key): tensor for key, tensor in tensors.items()}
    restored = [prefix[i:] for i in range(len(prefix)) if i == 0 or prefix[i - 1] == "."]
    for added in (*restored, *_lacking(current, own)):
        yield {added + key: tensor for key, tensor in current.items()}
    for removed in _superfluous(current, own):
        yield {key.removeprefix(removed): tensor for key, tensor in current.items()}


def _current(name: str) -> str:
    for old, new in _RENAMED:
        name = old.sub(new, name)
    return name


def _of_openmmlab(name: str) -> str:
    for old, new in _OPENMMLAB:
        if old.search(name):
            return old.sub(new, name)
    return name


def _lacking(tensors: Mapping[str, Tensor], own: Shapes) -> list[str]:
    first = next(iter(tensors), "")
    return [key.removesuffix(first) for key in own if first and key.endswith(f".{first}")][:4]


def _superfluous(tensors: Mapping[str, Tensor], own: Shapes) -> list[str]:
    first = next(iter(own), "")
    return [key.removesuffix(first) for key in tensors if first and key.endswith(f".{first}")][:4]
