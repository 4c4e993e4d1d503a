"""Whether a network has layers whose weights are quantised."""

from __future__ import annotations

from torch import nn

_PACKED = ("LinearPackedParams", "PackedParameter")  # what torch.ao.quantization puts into linear and recurrent layers


def is_quantised(module: nn.Module) -> bool:
    """Return whether linear or recurrent layers are quantised, in TorchScript and in a sandbox, too.

    Layers that torch quantises dynamically take the scale of their inputs from the whole batch.
    """
    return any(getattr(part, "original_name", type(part).__name__) in _PACKED for part in module.modules())
