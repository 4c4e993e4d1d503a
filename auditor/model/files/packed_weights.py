"""Weights that are no plain tensors of a network: quantised packs, flat parameters, and adapters without their base.

Their numbers can't be put into a network by name. They are recognised by the names that the libraries give them, so
that nothing else is loaded and a network of random numbers is audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from auditor.errors import CheckpointError
from auditor.model.files.stand_in import Global, StandIn
from auditor.model.files.storages import Saved

_FLOATS: Final = "give the float weights from before quantisation, or the quantised network as TorchScript"
_LOADED: Final = "give the float weights, or dequantise them where the package is installed and save the state dict"

# What a library calls its packs: the last parts of the names, of which all have to be there.
_PACKS: Final = (
    ({"_packed_params._packed_params"}, "torch.ao.quantization (packed weights)", _FLOATS),
    ({"_packed_params.dtype"}, "torch.ao.quantization (packed weights)", _FLOATS),
    ({"qweight", "qzeros", "g_idx"}, "GPTQ", _LOADED),
    ({"qweight", "qzeros", "scales"}, "AWQ", _LOADED),
    ({"SCB"}, "bitsandbytes (8 bit)", _LOADED),
    ({"weight.SCB"}, "bitsandbytes (8 bit)", _LOADED),
    ({"weight.absmax", "weight.quant_map"}, "bitsandbytes (4 bit)", _LOADED),
    ({"weight._data", "weight._scale"}, "optimum-quanto", _LOADED),
    ({"weight_packed", "weight_scale"}, "compressed-tensors", _LOADED),
    ({"W_q"}, "HQQ", _LOADED),
)
# Of these names a float network may have some, too: its weights are floats, and its scales are no single numbers.
_SCALED: Final = (
    ({"weight", "weight_scale"}, "a library that keeps scales beside the weights", _LOADED),
    ({"weight", "weight_scale_inv"}, "a library that keeps scales beside the weights", _LOADED),
)
_POINTS: Final = {"scale", "zero_point"}
_QUANTISED_LAYERS: Final = ("torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.quantized.", "torch.nn.quantized.")
_FLAT: Final = ("_flat_param", "flat_param")
_FLOATING: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class NotPlain(CheckpointError):
    """The file has weights, but none that a network can be filled with."""


def refuse(entries: Mapping[Any, Any]) -> None:
    """Refuse weights that no network can be filled with.

    Args:
        entries: The dict with the named tensors, and whatever else it has.

    Raises:
        NotPlain: They are packs of a library that quantises, or flat parameters; the line names it.
    """
    named = {key: value for key, value in entries.items() if isinstance(key, str)}
    if (kind := _of_objects(named) or _of_names(named)) is not None:
        raise NotPlain(f"its weights are quantised by {kind[0]} and can't be put into a float network; {kind[1]}")
    if any(name.rpartition(".")[2].startswith(_FLAT) for name in named):
        raise NotPlain(
            "its weights are flat parameters of FSDP; save a full state dict: "
            "torch.distributed.checkpoint.state_dict.get_model_state_dict with full_state_dict=True"
        )


def refuse_modules(classes: Iterable[str]) -> None:
    """Refuse a module that was pickled whole if parts of it are quantised.

    Args:
        classes: The names of the classes in the file.

    Raises:
        NotPlain: One is a quantised layer of torch.
    """
    if any(name.startswith(_QUANTISED_LAYERS) for name in classes):
        raise NotPlain(
            f"it holds a network that torch.ao.quantization quantised, whose weights can't be put into a float "
            f"network; {_FLOATS}"
        )


def _of_objects(entries: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the library whose subclass of tensors stands in the place of a tensor."""
    for value in entries.values():
        if isinstance(value, StandIn) and any(name.startswith("torchao.") for name in _names(value)):
            return "torchao", _LOADED
    return None


def _names(value: StandIn) -> Iterator[str]:
    yield value.name
    for part in value.arguments if isinstance(value.arguments, tuple) else ():
        if isinstance(part, Global | StandIn):
            yield part.name


def _of_names(entries: Mapping[str, Any]) -> tuple[str, str] | None:
    owners: dict[str, dict[str, Any]] = {}
    for name, value in entries.items():
        parts = name.split(".")
        for count in (1, 2):  # the names of a pack are up to two parts long
            owners.setdefault(".".join(parts[:-count]), {})[".".join(parts[-count:])] = value
    for names in owners.values():
        for pack, library, advice in _PACKS:
            if pack <= names.keys():
                return library, advice
        for pack, library, advice in _SCALED:
            if pack <= names.keys() and _dtype(names["weight"]) not in _FLOATING:
                return library, advice
        if "weight" in names and all(_is_number(names.get(point)) for point in _POINTS):
            return "torch.ao.quantization", _FLOATS
    return None


def _dtype(value: Any) -> torch.dtype | None:
    tensor = value.tensor if isinstance(value, Saved) else value
    return tensor.dtype if isinstance(tensor, Tensor) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor | Saved) and tuple(value.shape) == ()
