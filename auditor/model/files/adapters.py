"""Low-rank adapters beside the weights that they change, merged into them.

E. Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022. The names are those of peft.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor
from torch.nn import functional

from auditor.model.files.packed_weights import NotPlain
from auditor.model.files.settings_objects import mapping, plain

_A: Final = re.compile(r"(?P<owner>.*?)\.?(?P<part>lora_A|lora_embedding_A)(?:\.(?P<adapter>\w+))?(?:\.weight)?")
_MERGE: Final = "load it with peft, call merge_and_unload() and save the state dict of the result"


def merged(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors with low-rank adapters merged into the weights that they change; without any, as they are.

    Args:
        said: What the file says beside its tensors; `lora_alpha` is looked for in it.

    Raises:
        NotPlain: The file has an adapter and no weights to change, or does not say how it is scaled.
    """
    found = {key: match for key in tensors if (match := _A.fullmatch(key)) and _b_of(key) in tensors}
    if not found:
        return dict(tensors)
    owners = {match["owner"] for match in found.values()}
    if not any(f"{owner}{base}.weight" in tensors for owner in owners for base in ("", ".base_layer")):
        raise NotPlain(f"it is a LoRA adapter, which only changes another network's weights; {_MERGE}")
    alpha, rooted = _said(said)
    if alpha is None or len({match["adapter"] for match in found.values()}) > 1:
        what = "does not say lora_alpha, which scales them" if alpha is None else "has several of them"
        raise NotPlain(f"it holds LoRA adapters that are not merged into its weights, and {what}; {_MERGE}")
    plain = {_plain_name(key): tensor for key, tensor in tensors.items() if not _is_no_weight(key)}
    for key, match in found.items():
        a, b = tensors[key].float(), tensors[_b_of(key)].float()
        name = f"{match['owner']}.weight"
        if name not in plain:
            raise NotPlain(f"it holds a LoRA adapter for {match['owner']!r} without its weights; {_MERGE}")
        plain[name] = _changed(plain[name], a, b, alpha / (math.sqrt(len(a)) if rooted else len(a)))
    return plain


def _b_of(key: str) -> str:
    return key.replace("lora_A", "lora_B").replace("lora_embedding_A", "lora_embedding_B")


def _is_no_weight(key: str) -> bool:
    """Return whether a name is that of a part of an adapter, or of what a newly trained module replaces."""
    return ".lora_" in f".{key}" or ".original_module." in key


def _plain_name(key: str) -> str:
    """Return a name without the parts that peft puts into it."""
    name = key.replace(".base_layer.", ".")
    return re.sub(r"\.modules_to_save\.\w+\.", ".", name)


def _changed(weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Return the weight of a linear layer or of a convolution with the product of two small ones added."""
    if a.ndim == 2 and b.ndim == 2 and weight.ndim == 2 and (len(b), a.shape[1]) == tuple(weight.shape):
        change = b @ a
    elif a.ndim == 4 and b.ndim == 4 and weight.ndim == 4:
        change = functional.conv2d(a.permute(1, 0, 2, 3), b).permute(1, 0, 2, 3)
    else:
        raise NotPlain(f"it holds a LoRA adapter whose shapes don't fit its weights; {_MERGE}")
    if change.shape != weight.shape:
        raise NotPlain(f"it holds a LoRA adapter whose shapes don't fit its weights; {_MERGE}")
    return weight.float() + scale * change


def _said(said: Mapping[str, Any]) -> tuple[float | None, bool]:
    """Return `lora_alpha`, None if the file does not say it, and whether the scale has the root of the rank."""
    places = [said, *(place for value in said.values() if (place := mapping(value)) is not None)]
    places += [inside for place in places[1:] for value in place.values() if (inside := mapping(value)) is not None]
    for place in places:
        alpha = plain(place.get("lora_alpha"))
        if isinstance(alpha, int | float) and math.isfinite(alpha):
            return float(alpha), bool(plain(place.get("use_rslora")))
    return None, False
