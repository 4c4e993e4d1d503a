"""A program from a file, loaded and run in a process without rights, for the audit at the other end of the pipes.

This is the module that `sandbox.start` runs. `sandboxed` has the other end.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.utils.flop_counter import FlopCounterMode

from auditor.errors import AuditorError
from auditor.model.ending import Ending, applied, fed_to_ending
from auditor.model.files import program
from auditor.model.files.description import ATTRIBUTES
from auditor.model.files.exchange import BrokenExchange, Exchange, carried
from auditor.model.files.format import first_line
from auditor.model.frozen import frozen
from auditor.model.gradient_graph import has_no_formula, obstacles
from auditor.model.output import Output
from auditor.process import sandbox
from auditor.process.allocator import keep_freed

_LONGEST_MESSAGE = 1000


def main(descriptors: list[int], seal: sandbox.Seal) -> None:
    """Load the program that the audit asks for, and answer until the audit ends."""
    exchange = _exchange()
    # Parts of torch that are imported later ask for these folders, without writing there.
    tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/"
    keep_freed()
    try:
        said, _tensors = exchange.receive(most=0)
        torch.set_num_threads(said["threads"])
        try:
            held = seal(said["memory"])
        except OSError as error:
            exchange.send({"kind": "unsealed", "message": str(error)})
            return
        try:
            # The descriptor is opened again by its name in /proc, so that torch can map the file.
            server = _Server(frozen(program.loaded(f"/proc/self/fd/{descriptors[0]}", said["format"])))
            description = server.description()
        except Exception as error:
            exchange.send(_failure(error))
            return
        exchange.send({"kind": "program", "held": held, **description}, server.state())
        while True:
            exchange.send(*server.answer(*exchange.receive(most=2**62)))
    except BrokenExchange:  # the audit has ended
        return


def _exchange() -> Exchange:
    """Take the pipes away from standard input and output: what a program prints is dropped."""
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 0)  # standard error leads to /dev/null
    os.dup2(2, 1)
    return Exchange(source, target)


class _Server:
    """The program, with what it keeps between two requests."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._held = {n: t for n, t in (*module.named_parameters(), *module.named_buffers()) if carried(t)}
        self._parameters = {name for name, _ in module.named_parameters()}
        self._before: dict[str, Tensor] = {}  # the buffers before the program ran
        self._ending: Ending | None = None
        self._output = Output()
        self._reached: bool | None = None
        self._graph: tuple[Tensor, Tensor] | None = None  # the images and the scores of the last differentiable run

    def description(self) -> dict[str, Any]:
        """Return the names and the kinds of the modules and tensors."""
        return {
            "name": str(getattr(self._module, "original_name", "")),
            "modules": [[name, _kind(part), _attributes(part)] for name, part in self._module.named_modules()],
            "names": list(self._held),
            "parameters": [name for name in self._held if name in self._parameters],
        }

    def state(self) -> list[Tensor]:
        """Return the tensors, in the order of their names."""
        return list(self._held.values())

    def answer(self, said: dict[str, Any], tensors: list[Tensor]) -> tuple[dict[str, Any], list[Tensor]]:
        """Return the answer to a request."""
        try:
            torch.set_num_threads(said["threads"])
            if said["kind"] == "gradient":
                return {"kind": "gradient"}, [self._gradient(tensors[0])]
            if said["kind"] == "output":
                return self._choose(said, tensors[0]), []
            return self._scores(said, tensors)
        except Exception as error:  # a network may raise any exception
            self._graph = None
            return _failure(error), []

    def _choose(self, said: dict[str, Any], images: Tensor) -> dict[str, Any]:
        """Choose the output that has the scores."""
        self._graph = None
        with torch.enable_grad():
            given = self._module(images.requires_grad_().clone())
        chosen = Output.of(given, name=said["name"], classes=said["classes"])
        return {"kind": "output", "name": chosen.name, "every": list(chosen.every)}

    def _scores(self, said: dict[str, Any], tensors: list[Tensor]) -> tuple[dict[str, Any], list[Tensor]]:
        images, randomness, *changed = tensors
        self._output = Output(said["output"])
        for name, tensor in zip(said["changed"], changed, strict=True):
            self._set(name, tensor)
        if self._module.training != said["training"]:
            self._module.train(said["training"])
        if self._reached is None and not said["training"]:
            self._reached = self._reaches(images)
        torch.set_rng_state(randomness)
        self._graph = None
        self._before = {n: t.detach().clone() for n, t in self._held.items() if n not in self._parameters}
        versions = {name: self._held[name]._version for name in self._parameters & self._held.keys()}
        with ExitStack() as around:
            around.enter_context(torch.set_grad_enabled(said["gradients"]))
            if said["autocast"]:
                around.enter_context(torch.autocast("cpu", getattr(torch, said["autocast"])))
            counter = around.enter_context(FlopCounterMode(display=False)) if said["count"] else None
            scores, ending = self._run(images.requires_grad_(said["gradients"]))
        if said["gradients"] and scores.requires_grad:
            self._graph = images, scores
        written = list(self._written(versions))
        answer = {
            "kind": "scores",
            "ending": ending.name,
            "written": written,
            "depends": scores.requires_grad and self._reached is not False,
            "operations": counter.get_total_flops() if counter else 0,
            "random": not torch.equal(torch.get_rng_state(), randomness),
        }
        return answer, [scores, *(self._held[name] for name in written)]

    def _run(self, images: Tensor) -> tuple[Tensor, Ending]:
        """Return the scores before the ending if the audit can apply the ending itself, else the output as it is."""
        if self._ending is Ending.SCORES:
            return self._output.scores(self._module(images)), Ending.SCORES
        try:
            last, fed, kind = fed_to_ending(self._module, images, self._output.scores)
        except RuntimeError:  # of TorchScript, which loses its message while its operators are watched
            self._output.scores(self._module(images))
            raise
        if self._ending is None:
            self._ending = kind
        if fed is None or fed.shape != last.shape:
            return last, Ending.SCORES
        with torch.no_grad():
            same = torch.allclose(applied(kind, fed), last, equal_nan=True)
        return (fed, kind) if same else (last, Ending.SCORES)

    def _gradient(self, arriving: Tensor) -> Tensor:
        if self._graph is None:
            raise RuntimeError("there is no run to differentiate")
        images, scores = self._graph
        (gradient,) = torch.autograd.grad(scores, images, arriving, retain_graph=True, allow_unused=True)
        return torch.zeros_like(images) if gradient is None else gradient

    def _reaches(self, images: Tensor) -> bool:
        """Return whether a gradient reaches the images: some operators are in the graph and have none.

        It has to be the first run: graphs that TorchScript has optimised give zeros in place of no gradient.
        """
        leaf = images.detach().clone().requires_grad_()
        try:
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                scores, _ending = self._run(leaf)
                if not scores.requires_grad or _is_cut(scores, leaf):
                    return False
                found = torch.autograd.grad(scores.sum(), leaf, allow_unused=True)
        except Exception:  # a network may raise any exception; the run that was asked for reports it
            return True
        return found[0] is not None

    def _set(self, name: str, tensor: Tensor) -> None:
        held = self._held[name]
        if held.stride() == tensor.stride():
            with torch.no_grad():
                held.copy_(tensor)
        else:
            held.data = tensor

    def _written(self, versions: dict[str, int]) -> Iterator[str]:
        """Yield the tensors that the program has changed."""
        for name, held in self._held.items():
            before = self._before.get(name)
            same = held._version == versions[name] if before is None else torch.equal(held, before)
            if not same:
                yield name


def _kind(part: nn.Module) -> str:
    return str(getattr(part, "original_name", type(part).__name__))


def _attributes(part: nn.Module) -> dict[str, Any]:
    found = {name: getattr(part, name, None) for name in ATTRIBUTES}
    return {name: _plain(value) for name, value in found.items() if _plain(value) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return value
    if isinstance(value, tuple | list) and value and all(type(one) is int for one in value):
        return list(value)
    return None


def _is_cut(scores: Tensor, leaf: Tensor) -> bool:
    """Return whether every way to the images leads through operators that torch can't differentiate."""
    end = get_gradient_edge(leaf).node
    return obstacles(get_gradient_edge(scores).node, end, has_no_formula) is not None


def _failure(error: BaseException) -> dict[str, Any]:
    kind = type(error).__name__ if isinstance(error, AuditorError) else ""
    return {"kind": "error", "error": kind, "message": first_line(error)[:_LONGEST_MESSAGE]}
