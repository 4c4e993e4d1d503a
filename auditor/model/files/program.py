"""Files that hold a program: TorchScript and torch.export.

`torch.export.load` can unpickle objects, evaluate expressions and open compiled libraries that a file names. An image
network needs none of these, so such a file is refused before torch loads it.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.files import hazards, sandboxed
from auditor.model.files.format import Format, first_line
from auditor.model.files.program_process import TRUST


class Batches(nn.Module):
    """An exported program that takes batches of any size: they are split, and the last part is padded."""

    def __init__(self, program: nn.Module, *, smallest: int, largest: int | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.program = program
        self.smallest = smallest
        self.largest = largest
        self.dtype = dtype
        self.train(mode=False)

    def forward(self, images: Tensor) -> Tensor:
        pieces = images.split(self.largest) if self.largest else (images,)
        outputs = [self._outputs(piece) for piece in pieces]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)  # a copy would hide the network's ending

    def train(self, mode: bool = True) -> Batches:
        """Set the flags only: an exported program has no modes, and its own method raises."""
        for module in self.modules():
            module.training = mode
        return self

    def _outputs(self, images: Tensor) -> Tensor:
        lacking = max(0, self.smallest - len(images))
        filled = torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)]) if lacking else images
        return _first_tensor(self.program(filled.to(self.dtype)))[: len(images)].float()


def read(path: Path, kind: Format, *, trust: bool) -> nn.Module:
    """Return the network of a file that holds a program.

    With trust it runs in this process. Without trust it runs in a process without rights, see `sandboxed`.

    Raises:
        UnsafeCheckpoint: It would reach beyond tensors, or this system has no sandbox, and `trust` is False.
        CheckpointError: The file is damaged, or the program does not take one batch of images.
    """
    if trust:
        try:
            return loaded(path, kind, trust=True)
        except CheckpointError as error:
            raise CheckpointError(f"{path} {error}") from error
    hazard = next(hazards.in_script(path) if kind == "TorchScript" else hazards.in_export(path), None)
    if hazard:
        raise UnsafeCheckpoint(f"{path} {hazard}; {TRUST}")
    return sandboxed.network(path, kind)


def loaded(source: str | Path, kind: Format, *, trust: bool = False) -> nn.Module:
    """Load a program into this process, which runs its code.

    Args:
        trust: Its pickles may run code, too.

    Raises:
        UnsafeCheckpoint: Its graphs have operators that reach beyond tensors, and `trust` is False.
        CheckpointError: The file is damaged, or the program does not take one batch of images. The message goes on
            after the name of the file.
    """
    return _script(source, trust=trust) if kind == "TorchScript" else _exported(source, trust=trust)


def _script(source: str | Path, *, trust: bool) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends torch.export
        try:
            module: nn.Module = torch.jit.load(source, map_location="cpu")
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"is damaged or truncated TorchScript: {first_line(error)}") from error
    hazard = None if trust else next(hazards.in_graphs(module), None)
    if hazard:
        raise UnsafeCheckpoint(hazard)
    return module


def _exported(source: str | Path, *, trust: bool) -> nn.Module:
    """Return a torch.export program as a module that takes any batch size.

    Its pickles are first read as tensors only; if that fails and `trust` is True, they are read without limits.
    """
    with _quietly():
        try:
            with _weights_only():
                return _fed_in_batches(torch.export.load(source))
        except CheckpointError:
            raise
        except Exception as error:  # a damaged archive may raise any exception
            refused = error
        try:
            if trust:
                return _fed_in_batches(torch.export.load(source))
        except CheckpointError:
            raise
        except Exception as error:
            refused = error
    raise CheckpointError(f"can't be read as a torch.export program: {first_line(refused)}") from refused


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence torch's logs and warnings inside the block; an error is reported in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Limit every `torch.load` inside `torch.export.load` to tensors; torch's own switch overrides its callers."""
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(switch)
    try:
        os.environ[switch] = "1"
        yield
    finally:
        if before is None:
            os.environ.pop(switch, None)
        else:
            os.environ[switch] = before


def _fed_in_batches(program: torch.export.ExportedProgram) -> Batches:
    wanted = program.graph_signature.user_inputs
    inputs = [n.meta["val"] for n in program.graph.nodes if n.op == "placeholder" and n.name in wanted]
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].dim() != 4:
        raise CheckpointError(f"is a program with {len(wanted)} inputs; expected one batch of images [n, c, h, w]")
    if any(_trains(node) for node in program.graph.nodes):
        raise CheckpointError("was exported in training mode; call model.eval() and export it again")
    smallest, largest = _bounds(program, inputs[0].shape[0])
    module = program.module(check_guards=False)  # guards are source code that torch would execute
    return Batches(module, smallest=smallest, largest=largest, dtype=inputs[0].dtype)


def _trains(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return False
    named = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | node.kwargs
    return named.get("train") is True or named.get("training") is True


def _bounds(program: torch.export.ExportedProgram, size: int | torch.SymInt) -> tuple[int, int | None]:
    if isinstance(size, int):
        return size, size
    allowed = program.range_constraints.get(size.node.expr)
    if allowed is None:
        return 1, None
    largest = int(allowed.upper) if allowed.upper.is_Integer else None
    return max(1, int(allowed.lower)), largest


def _first_tensor(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        output = next(iter(output.values() if isinstance(output, dict) else output))
    return output
