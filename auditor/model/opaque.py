"""Networks that do not show their layers: TorchScript, and programs that run in a sandbox."""

from __future__ import annotations

import torch

from auditor.language import _
from auditor.model.files.sandboxed import Part


def is_opaque(module: object) -> bool:
    """Whether the outputs of a module's layers can't be observed, and its operators leave no trace of autograd."""
    return isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction | Part)


def kind_of(model: object) -> str:
    """Return what a model is, for a message: the name of its class, or that it runs in a sandbox."""
    return _("program in a sandbox") if isinstance(model, Part) else type(model).__name__
