"""A network whose program runs in a process without rights: TorchScript and torch.export from somebody unknown.

The process gives the scores and their gradients with respect to the images, on the CPU. Parameters and buffers live
here, and are sent when they have changed, so that a check can change and restore them like those of any network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.ending import applied
from auditor.model.files.description import Description, Tensors
from auditor.model.files.format import Format
from auditor.model.files.program_process import TRUST, ProgramProcess, Run
from auditor.model.output import Output
from auditor.process import sandbox
from auditor.process.regular_files import opened


def network(path: Path, kind: Format) -> Sandboxed:
    """Start a process for the program in a file, and return the network.

    Raises:
        UnsafeCheckpoint: This system has no sandbox, or the program reaches beyond tensors.
        CheckpointError: The program can't be loaded within the limits on time and memory.
    """
    if not sandbox.available():
        raise UnsafeCheckpoint(
            f"{path} is a program ({kind}), and this system has no sandbox to run it in: it needs Linux with seccomp "
            f"on x86_64 or aarch64; {TRUST}"
        )
    try:
        process = ProgramProcess(path, kind, opened(path))
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    return Sandboxed(process, *process.start())


class Part(nn.Module):
    """A module inside of a program: its tensors, the name of its class, and plain attributes, but nothing to run."""

    def __init__(self, original_name: str, attributes: Mapping[str, Any]) -> None:
        super().__init__()
        self.original_name = original_name
        vars(self).update(attributes)


class Sandboxed(Part):
    """A network whose program runs in a process without rights.

    It has few attributes of its own: any other name may be that of a module in the program.
    """

    def __init__(self, process: ProgramProcess, said: Description, tensors: Tensors) -> None:
        super().__init__(said.name, {})
        self._sandboxed = process, said, tuple(tensors)
        for name, (kind, attributes) in said.modules.items():
            if name:
                _put(self, name, "_modules", Part(kind, attributes))
        for name, tensor in tensors.items():
            if name in said.parameters:
                _put(self, name, "_parameters", nn.Parameter(tensor, requires_grad=False))
            else:
                _put(self, name, "_buffers", tensor)
        for name, tensor in _state(self).items():
            process.holds(name, tensor)
        self.train(mode=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the program, `[n, k]`."""
        if torch.is_grad_enabled() and images.requires_grad:
            scores, ending = SandboxedProgram.apply(images, self)  # type: ignore[no-untyped-call]
        else:
            found = _run(self, images, torch.get_rng_state())
            scores, ending = found.scores, found.ending
        return applied(ending, scores)


class SandboxedProgram(torch.autograd.Function):
    """The scores of a program, differentiable once. Its node in a graph of autograd hides all operators."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, module: Sandboxed) -> Any:
        ctx.randomness, ctx.module = torch.get_rng_state(), module
        found = _run(module, images, ctx.randomness, gradients=True)
        ctx.run = module._sandboxed[0].run
        if not found.depends:
            ctx.mark_non_differentiable(found.scores)
        ctx.save_for_backward(images)
        return found.scores, found.ending

    @staticmethod
    def backward(ctx: Any, arriving: Tensor, _ending: None = None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(f"a program in a sandbox has no second derivatives; {TRUST}")
        (images,) = ctx.saved_tensors
        process = ctx.module._sandboxed[0]
        if process.run != ctx.run:  # the process keeps the graph of the last run only
            _run(ctx.module, images, ctx.randomness, gradients=True)
            ctx.run = process.run
        return process.gradient(arriving, images).to(images.device), None


def measures(module: nn.Module | None) -> tuple[str, ...]:
    """Return the measures of the sandbox in which a network runs, none if it runs in this process."""
    return module._sandboxed[1].held if isinstance(module, Sandboxed) else ()


def is_script(module: object) -> bool:
    """Whether it is TorchScript, in this process or in a sandbox."""
    if isinstance(module, Sandboxed):
        return module._sandboxed[0].kind == "TorchScript"
    return isinstance(module, torch.jit.ScriptModule)


def choose_output(module: Sandboxed, images: Tensor, *, name: str | None, classes: int | None) -> Output:
    """Choose the output of the program that has the scores: `Sandboxed` gives that one alone from now on.

    Raises:
        ArchitectureError: The program has no such output, or several that may be the scores.
    """
    found, every = module._sandboxed[0].choose(images.detach().cpu(), name=name, classes=classes)
    return Output(found, every, alone=True)


def operations(module: Sandboxed, images: Tensor) -> int:
    """Return the number of multiplications and additions of the program for some images."""
    return _run(module, images, torch.get_rng_state(), count=True).operations


def _run(module: Sandboxed, images: Tensor, randomness: Tensor, *, gradients: bool = False, count: bool = False) -> Run:
    process, state = module._sandboxed[0], _state(module)
    found = process.scores(
        images.detach(), state, randomness=randomness, gradients=gradients, training=module.training, count=count
    )
    with torch.no_grad():
        for name, values in found.written.items():
            state[name].copy_(values)
            process.holds(name, state[name])
    if found.random and torch.equal(torch.get_rng_state(), randomness):
        torch.rand(1)  # so that the next run draws other numbers
    return replace(found, scores=found.scores.to(images.device))


def _state(module: Sandboxed) -> Tensors:
    every = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: every[name] for name in module._sandboxed[2] if name in every}


def _put(root: nn.Module, name: str, kind: str, value: nn.Module | Tensor) -> None:
    """Register a module or a tensor under its name, and make the modules above it if they are missing."""
    *above, leaf = name.split(".")
    owner = root
    for part in above:
        owner = owner._modules.setdefault(part, Part("Module", {}))  # type: ignore[assignment]
    vars(owner).pop(leaf, None)  # a plain attribute would hide it
    getattr(owner, kind)[leaf] = value
