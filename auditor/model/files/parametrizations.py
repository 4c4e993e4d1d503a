"""Weights that a file holds as a parametrization: weight norm, spectral norm and pruning, folded into plain weights.

Weight norm: T. Salimans, D. Kingma, NeurIPS 2016. Spectral norm: T. Miyato et al., ICLR 2018. The formulas are those of
`torch.nn.utils` in eval mode, old (`weight_g`, `weight_v`) and new (`parametrizations.weight.original0`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

import torch
from torch import Tensor

_NEW: Final = "parametrizations."


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with plain weights in the places of parametrized ones; the others as they are."""
    found, used = dict[str, Tensor](), set[str]()
    for owner, name in _parametrized(tensors):
        plain = _of_new(tensors, owner, name) or _of_old(tensors, owner, name)
        if plain is not None:
            weight, parts = plain
            found[f"{owner}{name}"] = weight
            used |= parts
    if not found:
        return dict(tensors)
    return {key: tensor for key, tensor in tensors.items() if key not in used} | found


def has_parts(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether some names are those of the parts of a parametrized tensor."""
    return next(_parametrized(tensors), None) is not None


def plain_name(name: str, names: Container[str]) -> str:
    """Return the name of the plain tensor whose shape a part has; other names as they are."""
    owner, found, rest = name.rpartition(_NEW)
    if found:
        tensor, _dot, part = rest.partition(".")
        return owner + tensor if part in ("original", "original1") else name
    whole = name.removesuffix("_orig").removesuffix("_v")
    is_part = name.endswith("_orig") or (name.endswith("_v") and f"{whole}_g" in names)
    return whole if is_part else name


def _parametrized(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield the prefix of each module that has a parametrized tensor, and the tensor's name."""
    seen = set[tuple[str, str]]()
    for key in tensors:
        owner, found, rest = key.rpartition(_NEW)
        name = rest.partition(".")[0] if found and (not owner or owner.endswith(".")) else ""
        if not name:
            owner, _dot, last = key.rpartition(".")
            owner = f"{owner}." if owner else ""
            name = next((last.removesuffix(end) for end in ("_g", "_orig") if last.endswith(end)), "")
        if name and (owner, name) not in seen:
            seen.add((owner, name))
            yield owner, name


def _of_old(tensors: Mapping[str, Tensor], owner: str, name: str) -> tuple[Tensor, set[str]] | None:
    """Return the plain tensor and the names of its parts, as the hooks of `torch.nn.utils` have them."""
    whole = f"{owner}{name}"
    g, v, original, u, mask = (tensors.get(f"{whole}_{end}") for end in ("g", "v", "orig", "u", "mask"))
    if g is not None and v is not None:
        return _weight_norm(g, v), {f"{whole}_g", f"{whole}_v"}
    if original is not None and mask is not None and mask.shape == original.shape:
        return original * mask.to(original.dtype), {f"{whole}_orig", f"{whole}_mask"}
    if original is not None and u is not None and v is not None:
        weight = _spectral_norm(original, u, v)
        return None if weight is None else (weight, {f"{whole}_orig", f"{whole}_u", f"{whole}_v"})
    return None


def _of_new(tensors: Mapping[str, Tensor], owner: str, name: str) -> tuple[Tensor, set[str]] | None:
    """Return the plain tensor and the names of its parts, as `torch.nn.utils.parametrizations` has them."""
    start = f"{owner}{_NEW}{name}."
    parts = {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}
    names = {start + key for key in parts}
    if set(parts) == {"original0", "original1"}:
        return _weight_norm(parts["original0"], parts["original1"]), names
    if set(parts) == {"original", "0._u", "0._v"}:
        weight = _spectral_norm(parts["original"], parts["0._u"], parts["0._v"])
        return None if weight is None else (weight, names)
    if set(parts) == {"original", "0.mask"} and parts["0.mask"].shape == parts["original"].shape:
        return parts["original"] * parts["0.mask"].to(parts["original"].dtype), names
    return None


def _weight_norm(g: Tensor, v: Tensor) -> Tensor:
    """Return `g v / |v|`, with the norm over all dimensions in which `g` has the size 1."""
    if g.ndim != v.ndim:  # one norm of all: `dim=None`
        whole: Tensor = torch.linalg.vector_norm(v)
        return v * (g / whole)
    over = [i for i in range(v.ndim) if g.shape[i] == 1]
    norm: Tensor = torch.linalg.vector_norm(v, dim=over, keepdim=True) if over else v.abs()
    return v * (g / norm)


def _spectral_norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor | None:
    """Return the weight over its largest singular value, which is `u W v`.

    The rows of the matrix are the outputs, whose dimension the file does not name: 0, and 1 where a convolution is
    transposed. If both fit, it is the one in which `u` is the direction of `W v`, as power iteration leaves it.
    """
    fits = [weight.movedim(i, 0).flatten(1) for i, size in enumerate(weight.shape) if u.shape == (size,)]
    fits = [matrix for matrix in fits if v.shape == (matrix.shape[1],)]
    if not fits:
        return None
    matrix = fits[0] if weight.is_meta or len(fits) == 1 else max(fits, key=lambda m: _cosine(m @ v, u))
    largest: Tensor = torch.dot(u, matrix @ v)
    return weight / largest


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))
