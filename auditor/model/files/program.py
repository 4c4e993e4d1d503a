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
from auditor.model.files import hazards
from auditor.model.files.format import first_line


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


def script(path: Path, *, trust: bool) -> tuple[nn.Module, bool]:
    """Return the module of a TorchScript file, and whether loading it required trust.

    Raises:
        UnsafeCheckpoint: Its code does more than compute with tensors, and `trust` is False.
        CheckpointError: The file is damaged.
    """
    hazard = next(hazards.in_script(path), None)
    _need_trust(path, hazard, trust=trust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends torch.export
        try:
            module: nn.Module = torch.jit.load(path, map_location="cpu")
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"{path} is damaged or truncated TorchScript: {first_line(error)}") from error
    hazard = hazard or next(hazards.in_graphs(module), None)
    _need_trust(path, hazard, trust=trust)
    return module, hazard is not None


def exported(path: Path, *, trust: bool) -> tuple[nn.Module, bool]:
    """Return a torch.export program as a module that takes any batch size, and whether loading required trust.

    Raises:
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
        CheckpointError: The file is damaged, or the program does not take one batch of images.
    """
    hazard = next(hazards.in_export(path), None)
    _need_trust(path, hazard, trust=trust)
    program, unpickled = _program(path, trust=trust)
    try:
        return _fed_in_batches(program), hazard is not None or unpickled
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None


def _need_trust(path: Path, hazard: str | None, *, trust: bool) -> None:
    if hazard and not trust:
        raise UnsafeCheckpoint(f"{path} {hazard}; pass --trust-checkpoint if you trust its author")


def _program(path: Path, *, trust: bool) -> tuple[torch.export.ExportedProgram, bool]:
    """Return the program, and whether loading required trust.

    Its pickles are first read as tensors only; if that fails and `trust` is True, they are read without limits.
    """
    with _quietly():
        try:
            with _weights_only():
                return torch.export.load(path), False
        except Exception as error:  # a damaged archive may raise any exception
            refused = error
        try:
            if trust:
                return torch.export.load(path), True
        except Exception as error:
            refused = error
    raise CheckpointError(f"{path} can't be read as a torch.export program: {first_line(refused)}") from refused


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
