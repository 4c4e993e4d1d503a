"""The graph of a network from `torch.export`, with batch norms folded into convolutions."""

from __future__ import annotations

import copy
import inspect
import logging
import operator
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv

from auditor.language import _
from auditor.methods.occlusion.incremental.affine_folding import folded
from auditor.methods.occlusion.incremental.graph import Graph, Node, needed
from auditor.methods.occlusion.incremental.operators import Affine, Number, Opaque, Slot, Source
from auditor.methods.occlusion.incremental.reading import Arguments, operator_of

_IMAGES = 2  # in the example: a graph exported with one image would accept only one
_MOST_IMAGES = 1 << 16
_ENDINGS = ("softmax", "log_softmax", "sigmoid")


class NotExportable(Exception):
    """The network's graph is not available; the text says why.

    Attributes:
        alone: Whether images should be computed one by one, because a batch may change their scores.
    """

    def __init__(self, reason: str, *, alone: bool = False) -> None:
        super().__init__(reason)
        self.alone = alone


class End(NamedTuple):
    """A node that may be the module's scores.

    Attributes:
        ending: The name of the softmax or sigmoid that follows the node; empty if none does.
    """

    graph: Graph
    ending: str


def ends_of(module: nn.Module, images: Float[Tensor, "n c h w"]) -> list[End]:
    """Return the candidates for the module's scores: the outputs, and the inputs of a softmax or sigmoid at an output.

    The module is not changed. Its hooks are ignored, and the graphs share its parameters.

    Raises:
        NotExportable: `torch.export` can't follow the module, it accepts only one number of images, or it changes its
            buffers.
    """
    program = _exported(module, images[:1].expand(_IMAGES, -1, -1, -1).contiguous())
    if program.graph_signature.buffers_to_mutate:
        raise NotExportable(_("the network changes its own buffers"))
    reader = _Reader(program)
    ends = [one for out in program.graph.output_node().args[0] for one in _ends(out)]
    found = [(reader.known[end], ending) for end, ending in ends if isinstance(reader.known.get(end), Node)]
    scores = [(node, ending) for node, ending in found if node.shape and len(node.shape) == 1]
    return [End(folded(needed(node, reader.nodes)), ending) for node, ending in scores]


@torch.inference_mode(False)
@torch.no_grad()
def _exported(module: nn.Module, images: Tensor) -> ExportedProgram:
    with warnings.catch_warnings(), _silence("torch"), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        try:
            shapes = _shapes(module)
            program: ExportedProgram = torch.export.export(_double(module), (images.clone(),), dynamic_shapes=shapes)
            exported, program = program, program.run_decompositions({})
        except GuardOnDataDependentSymNode as error:
            reason = _("the computation depends on the values in the images")
            raise NotExportable(reason, alone=True) from error
        except Exception as error:  # a `forward` can fail in any way
            if "Constraints violated" in str(error):
                reason = _("the computation depends on the number of images")
                raise NotExportable(reason, alone=True) from error
            reason = _("torch.export can't follow the network: {reason}", reason=summary_of(error))
            raise NotExportable(reason) from error
    for one in (exported, program):
        _forget(one)
    return program


def _forget(program: ExportedProgram) -> None:
    """Empty the caches that torch fills while it exports: it keeps them, and each export would add its own."""
    for node in program.graph.nodes:
        shapes = getattr(getattr(node.meta.get("val"), "fake_mode", None), "shape_env", None)
        getattr(shapes, "fake_tensor_cache", {}).clear()
    for one in vars(ShapeEnv).values():
        getattr(one, "cache_clear", lambda: None)()


def summary_of(error: Exception) -> str:
    """Return the error's type and first sentence. Its advice only helps the author of the code that raised it."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0].partition("! ")[0]
    return f"{type(error).__name__}: {first}"[:120]


@contextmanager
def _silence(name: str) -> Iterator[None]:
    """Disable a logger and those below it. The exception has the information."""
    known = {key: one for key, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    loud = [one for key, one in known.items() if f"{key}.".startswith(f"{name}.") and not one.disabled]
    for logger in loud:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loud:
            logger.disabled = False


def _shapes(module: nn.Module) -> tuple[Any, ...]:
    """Return the dynamic shapes for `torch.export`: there may be any number of images."""
    images = {0: Dim("images", min=1, max=_MOST_IMAGES)}
    first = next(iter(inspect.signature(module.forward).parameters.values()))
    return ((images,),) if first.kind is first.VAR_POSITIONAL else (images,)


def _double(module: nn.Module) -> nn.Module:
    """Return a copy with the same tensors and without hooks: exporting replaces attributes and calls hooks."""
    same: dict[int, Any] = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    for part in module.modules():
        same.update({id(hooks): OrderedDict() for hooks in (part._forward_hooks, part._forward_pre_hooks)})
    return copy.deepcopy(module, same)


def _ends(output: Any) -> list[tuple[fx.Node, str]]:
    """Return the input of the softmax or sigmoid at an output of the program, with its name, and the output."""
    if not isinstance(output, fx.Node):
        return []
    packet = getattr(getattr(output.target, "overloadpacket", None), "__name__", "")
    fed = [(output.args[0], packet)] if packet in _ENDINGS and isinstance(output.args[0], fx.Node) else []
    return [*fed, (output, "")]


class _Reader:
    """Translate an exported program, node by node.

    Attributes:
        known: The value of each of the program's nodes: a node, a tensor of the network, or a number.
        nodes: All nodes.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.known: dict[fx.Node, Any] = {}
        self.nodes: list[Node] = []
        held, given = _tensors(program), program.graph_signature.user_inputs[0]
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self.known[node] = self._images(node) if node.name == given else held[node.name]
            elif node.op == "call_function":
                self.known[node] = self._called(node)
            elif node.op != "output":
                raise NotExportable(_("the graph contains another graph, {name}", name=node.name))

    def _images(self, node: fx.Node) -> Node:
        self._images_symbol = node.meta["val"].shape[0]
        return self._added(node, Source(), (), node.meta["val"])

    def _called(self, node: fx.Node) -> Any:
        if isinstance(node.meta.get("val"), torch.SymInt):
            return self._number(node.meta["val"])
        arguments = Arguments.of(node, self._value)
        if node.target is operator.getitem and isinstance(arguments.nodes[0].operator, Affine):
            return arguments.nodes[0]  # batch norm returns its statistics, too
        if not arguments.nodes and not arguments.numbers:
            return _computed(node, arguments)
        found = operator_of(node, arguments)
        if isinstance(found, Node):  # the output is the input
            return found
        value = node.meta["val"][0] if isinstance(found, Affine) else node.meta.get("val")
        return self._added(node, found or _opaque(node, arguments), tuple(arguments.nodes), value, arguments.weights)

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, torch.SymInt):
            return self._number(argument)
        return self.known[argument] if isinstance(argument, fx.Node) else argument

    def _number(self, value: torch.SymInt) -> Number:
        expression, symbol = value.node.expr, self._images_symbol.node.expr
        return Number(lambda count: int(expression.subs({symbol: count})))

    def _added(self, node: fx.Node, computes: Any, inputs: tuple[Node, ...], value: Any, weights: int = 0) -> Node:
        layer = list((node.meta.get("nn_module_stack") or {"": ("",)}).values())[-1][0]
        made = Node(node.name, computes, inputs, self._shape(value), _size(value), weights, layer)
        self.nodes.append(made)
        return made

    def _shape(self, value: Any) -> tuple[int, ...] | None:
        """Return the shape for one image if images are the first dimension; None otherwise, and for several values."""
        if not isinstance(value, Tensor) or not value.ndim or not value.is_floating_point():
            return None
        images, *rest = value.shape
        if str(images) != str(self._images_symbol) or any(isinstance(one, torch.SymInt) for one in rest):
            return None
        return tuple(rest)


def _tensors(program: ExportedProgram) -> Mapping[str, Tensor | None]:
    """Return the network's tensors by their names in the program."""
    held = {**program.state_dict, **program.constants}
    specs = program.graph_signature.input_specs
    return {spec.arg.name: _detached(held.get(spec.target)) for spec in specs if spec.target is not None}


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _computed(node: fx.Node, arguments: Arguments) -> Any:
    """Return a value that does not depend on the images, computed once."""
    with torch.no_grad():
        return node.target(*arguments.positional, **arguments.named)  # type: ignore[operator]


def _opaque(node: fx.Node, arguments: Arguments) -> Opaque:
    def slotted(value: Any) -> Any:
        if isinstance(value, Node):
            return Slot(arguments.nodes.index(value))
        return [slotted(one) for one in value] if isinstance(value, list | tuple) else value

    positional = tuple(slotted(value) for value in arguments.positional)
    return Opaque(arguments.target, positional, {name: slotted(value) for name, value in arguments.named.items()})


def _size(value: Any) -> int:
    """Return the bytes of a value for one image."""
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    if not isinstance(value, Tensor):
        return 0
    count = value.numel()
    whole = count.node.hint if isinstance(count, torch.SymInt) else count
    return int(whole) * value.element_size() // _IMAGES
