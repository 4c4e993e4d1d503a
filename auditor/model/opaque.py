"""Networks that do not show their layers: TorchScript, and programs that run in a sandbox."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from auditor.language import _
from auditor.model.files.sandboxed import Part, Sandboxed, is_script


def is_opaque(module: object) -> bool:
    """Whether the outputs of a module's layers can't be observed, and its operators leave no trace of autograd."""
    return isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction | Part)


def advice(model: Any) -> str:
    """Return what to do where a measurement needs the layers or the operators of such a network."""
    found = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    if isinstance(found, Sandboxed) and not is_script(found):
        return _("with --trust-checkpoint it runs in the process of the audit, which can observe more")
    return _("use the network that was scripted or traced")


def kind_of(model: object) -> str:
    """Return what a model is, for a message: the name of its class, or that it runs in a sandbox."""
    return _("program in a sandbox") if isinstance(model, Part) else type(model).__name__
