"""Files that hold a program instead of tensors alone: TorchScript and torch.export.

`torch.export.load` unpickles, evaluates expressions and opens compiled libraries where a file asks for it. What an
ordinary image network needs is none of that, so a file that asks is refused before it is opened.
"""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.format import told

_CALLS = re.compile(r"\)\s*\(|(?:^|[^\w])[a-z_]\w*\s*\(|\.\s*[A-Za-z_]|__")
_TOUCHES_FILES = re.compile(rb"\b(?:torch|aten)\.(?:save|from_file)\(")


class Batches(nn.Module):
    """An exported program, fed in pieces of a size that it accepts; the last is filled up with its last image."""

    def __init__(self, program: nn.Module, *, smallest: int, largest: int | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.program = program
        self.smallest = smallest
        self.largest = largest
        self.dtype = dtype
        self.train(mode=False)

    def forward(self, images: Tensor) -> Tensor:
        pieces = images.split(self.largest) if self.largest else (images,)
        return torch.cat([self._outputs(piece) for piece in pieces])

    def train(self, mode: bool = True) -> Batches:
        """Note the mode and no more: an exported program has none, and refuses to be asked."""
        for module in self.modules():
            module.training = mode
        return self

    def _outputs(self, images: Tensor) -> Tensor:
        lacking = max(0, self.smallest - len(images))
        filled = torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)]) if lacking else images
        return _first_tensor(self.program(filled.to(self.dtype)))[: len(images)].float()


def script(path: Path, *, trust: bool) -> nn.Module:
    """Load TorchScript.

    Raises:
        UnsafeCheckpoint: Its code reads or writes other files, and `trust` is False.
        CheckpointError: The file is damaged.
    """
    if not trust:
        _refuse_file_access(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have torch.export
        try:
            module: nn.Module = torch.jit.load(path, map_location="cpu")
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"{path} is damaged or truncated TorchScript: {told(error)}") from error
    return module


def exported(path: Path, *, trust: bool) -> nn.Module:
    """Load a program of torch.export as a module that takes batches of any size.

    Raises:
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
        CheckpointError: The file is damaged, or the program is none that classifies images.
    """
    reasons = list(_reasons_to_refuse(path)) if not trust else []
    if reasons:
        raise UnsafeCheckpoint(f"{path} {reasons[0]}; pass --trust-checkpoint if you trust who wrote it")
    with _quietly(), _weights_only(not trust):
        try:
            program = torch.export.load(path)
        except Exception as error:  # a damaged archive may raise anything
            raise CheckpointError(f"{path} can't be read as a torch.export program: {told(error)}") from error
    try:
        return _fed_in_batches(program)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None


def _refuse_file_access(path: Path) -> None:
    for name, content in _records(path, "code/"):
        if name.endswith(".py") and (found := _TOUCHES_FILES.search(content)):
            call = found[0].decode().rstrip("(")
            raise UnsafeCheckpoint(
                f"{path} is TorchScript that touches other files: it calls {call}; "
                "pass --trust-checkpoint if you trust who wrote it"
            )


def _records(path: Path, folder: str = "") -> Iterator[tuple[str, bytes]]:
    """Read an archive with torch's own reader, so that what is inspected is what is then loaded."""
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        for name in reader.get_all_records():
            if name.startswith(folder) and name.endswith((".py", ".json")):
                yield name, reader.get_record(name)
            elif name.startswith(folder):
                yield name, b""
    except RuntimeError as error:
        raise CheckpointError(f"{path} is damaged or truncated: {told(error)}") from error


def _reasons_to_refuse(path: Path) -> Iterator[str]:
    for name, content in _records(path):
        if name.startswith("data/aotinductor/"):
            yield "brings a compiled library"
        if not name.endswith(".json"):
            continue
        try:
            said = json.loads(content)
        except ValueError:
            raise CheckpointError(f"{path} is damaged: {name} is no JSON") from None
        for key, value in _entries(said):
            if key == "path_name" and str(value).startswith("opaque_obj"):
                yield "brings a pickle that would run code"
            if key == "expr_str" and _CALLS.search(str(value)):
                yield f"brings an expression that would run code: {str(value)[:60]!r}"


def _entries(said: Any) -> Iterator[tuple[str, Any]]:
    rest = [said]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            yield from value.items()
            rest += value.values()
        elif isinstance(value, list):
            rest += value


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep torch from logging tracebacks of what is told in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _weights_only(wanted: bool) -> Iterator[None]:
    """Hold every `torch.load` inside `torch.export.load` to tensors: torch's own switch overrules its callers."""
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(switch)
    try:
        if wanted:
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
        raise CheckpointError(f"is a program of {len(wanted)} inputs, expected one batch of images [n, c, h, w]")
    if any(_trains(node) for node in program.graph.nodes):
        raise CheckpointError("was exported in training mode; call model.eval() and export it again")
    smallest, largest = _bounds(program, inputs[0].shape[0])
    return Batches(program.module(), smallest=smallest, largest=largest, dtype=inputs[0].dtype)


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
