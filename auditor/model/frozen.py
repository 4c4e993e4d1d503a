"""A network that is only looked at."""

from __future__ import annotations

import torch
from torch import nn


def frozen(module: nn.Module) -> nn.Module:
    """Return the module on the CPU, in float32, in eval mode, without gradients for its parameters."""
    module = module.to("cpu", torch.float32).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module
