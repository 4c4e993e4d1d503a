"""What a rectifier lets through on the way back: the one thing in which three methods differ.

A rectifier cuts off what is below zero: ReLU, ReLU6, a clamp or a threshold at zero. Here it is a node of
the autograd graph of a forward pass that has run. So it counts however the network writes it: a module in
place or not, one module used many times, a function, a tensor's method, traced code, and nothing of the
network is exchanged. Where TorchScript has joined operators, what they were is hidden: that is counted, too.

M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014.
J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller: Striving for Simplicity: The All Convolutional
Net. ICLR workshop 2015.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from auditor.errors import Skip
from auditor.language import _, marked

if TYPE_CHECKING:
    from torch.autograd.graph import Node as Node
else:
    Node = Any  # some nodes made in C++ are no instances of it

Gradients = tuple[Tensor | None, ...]


class Rule(Enum):
    """How a signal `g` passes a rectifier of the input `x`."""

    GRADIENT = "g where x > 0"
    DECONVNET = "g where g > 0"
    GUIDED = "g where x > 0 and g > 0"


class NoRectifier(Skip, ValueError):
    """The network has no rectifier that can be reached, so that a rule for rectifiers is not defined.

    Attributes:
        linear: No activation function at all lies on the way: a rule for rectifiers has nothing to change.
    """

    def __init__(self, message: str, *, linear: bool = False) -> None:
        super().__init__(message)
        self.linear = linear


@dataclass(frozen=True, slots=True)
class Activations:
    """The activation functions that a signal meets.

    Attributes:
        rectifiers: How many calls cut off what is below zero.
        others: How often each other activation function was called, by name: the rules leave these alone.
        hidden: How many parts of the graph don't tell what they compute.
    """

    rectifiers: int
    others: Mapping[str, int]
    hidden: int = 0

    @property
    def reached(self) -> bool:
        """Whether a rule for rectifiers has something to act on, and can act on all of it."""
        return self.rectifiers > 0 and not self.hidden

    def __str__(self) -> str:
        others = [f"{_(name)} {count}" for name, count in sorted(self.others.items())]
        rectifiers = [_("rectifiers {count}", count=self.rectifiers)] if self.rectifiers else []
        hidden = [_("parts that TorchScript has joined {count}", count=self.hidden)] if self.hidden else []
        return ", ".join([*rectifiers, *others, *hidden])


_OTHERS = {
    "Celu": "CELU",
    "Elu": "ELU",
    "Gelu": "GELU",
    "Glu": "GLU",
    "Hardshrink": marked("hard shrink"),
    "Hardtanh": marked("hard tanh"),
    "Hardsigmoid": marked("hard sigmoid"),
    "Hardswish": marked("hard swish"),
    "LeakyRelu": marked("leaky ReLU"),
    "LogSigmoid": marked("log-sigmoid"),
    "Mish": "Mish",
    "PreluKernel": "PReLU",
    "RreluWithNoise": "RReLU",
    "Sigmoid": marked("sigmoid"),
    "Silu": "SiLU",
    "Softplus": marked("softplus"),
    "Softshrink": marked("soft shrink"),
    "Tanh": "tanh",
}
_LOWER = {
    "Clamp": "_saved_min",
    "ClampMin": "_saved_min",
    "Hardtanh": "_saved_min_val",
    "Maximum": "_saved_other",
    "Threshold": "_saved_threshold",
}
_UPPER = {"Clamp": "_saved_max", "Hardtanh": "_saved_max_val"}
_SUFFIX = re.compile(r"Backward\d*$")


def nodes_between(start: Node, end: Node | None) -> list[Node]:
    """Return every node of the graph that lies on a way from `start` down to `end`, each once.

    What is computed from parameters alone lies on none. Without an end, every node behind `start`.
    """
    takers: dict[Node, list[Node]] = {start: []}
    waiting = [start]
    while waiting:
        taker = waiting.pop()
        for node, _place in taker.next_functions:
            if node is None:
                continue
            if node not in takers:
                takers[node] = []
                waiting.append(node)
            takers[node].append(taker)
    return list(takers) if end is None else _reached(end, takers)


def _reached(end: Node, takers: Mapping[Node, Sequence[Node]]) -> list[Node]:
    reached, waiting = dict.fromkeys([end]), [end]
    while waiting:
        for taker in takers.get(waiting.pop(), ()):
            if taker not in reached:
                reached[taker] = None
                waiting.append(taker)
    return list(reached)


def operator(node: Node) -> str:
    """Return the name of the operator that a node differentiates, in torch's words."""
    return _SUFFIX.sub("", node.name())


def is_rectifier(node: Node) -> bool:
    """Return whether this operator cut off what was below zero."""
    name = operator(node)
    return name == "Relu" or (name in _LOWER and _is_zero(getattr(node, _LOWER[name])))


def rectified(node: Node) -> Tensor:
    """Return what a rectifier gave when it ran."""
    if operator(node) == "Relu":
        return _saved(node, "_saved_result").detach()
    return _saved(node, "_saved_self").detach().clamp(0, _upper(node))


def activations_among(nodes: Sequence[Node], *, scripted: bool) -> Activations:
    """Return how many of the nodes are rectifiers, and which other activation functions there are.

    Args:
        scripted: Some of the network is TorchScript, which may join operators, and write over views unseen.
    """
    others = Counter(name for node in nodes if (name := _other(node)))
    hiding = ("DifferentiableGraph", "CopySlices") if scripted else ("DifferentiableGraph",)
    hidden = sum(any(word in node.name() for word in hiding) for node in nodes)
    return Activations(sum(map(is_rectifier, nodes)), others, hidden)


@contextmanager
def applied(rule: Rule, rectifiers: Sequence[Node]) -> Iterator[None]:
    """Let signals pass the rectifiers by a rule, for as long as the block lasts."""
    with ExitStack() as hooks:
        for node in rectifiers:
            for handle in _hooked(rule, node):
                hooks.callback(handle.remove)
        yield


def _hooked(rule: Rule, node: Node) -> Iterator[Any]:
    if rule is Rule.DECONVNET:
        yield node.register_hook(_positive_arriving)
    elif rule is Rule.GUIDED:
        yield node.register_prehook(_positive)
        if operator(node) in ("Clamp", "ClampMin", "Maximum"):  # which lets a signal pass where it touched its limits
            yield node.register_hook(_open_inside(node))


def _positive(arriving: Gradients) -> Gradients:
    return tuple(None if signal is None else signal.clamp(min=0) for signal in arriving)


def _positive_arriving(passed: Gradients, arriving: Gradients) -> Gradients:
    return (*_positive(arriving)[:1], *(None for _ in passed[1:]))


def _open_inside(node: Node) -> Callable[[Gradients, Gradients], Gradients]:
    taken, upper = _saved(node, "_saved_self").detach(), _upper(node)
    inside = taken > 0 if upper is None else (taken > 0) & (taken < upper)

    def gate(passed: Gradients, arriving: Gradients) -> Gradients:
        return tuple(None if signal is None else signal * inside for signal in passed)

    return gate


def _other(node: Node) -> str:
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        return operator(node)
    return "" if is_rectifier(node) else _OTHERS.get(operator(node), "")


def _upper(node: Node) -> Any:
    name = operator(node)
    return getattr(node, _UPPER[name]) if name in _UPPER else None


def _saved(node: Node, name: str) -> Tensor:
    saved: Tensor = getattr(node, name)
    return saved


def _is_zero(limit: Any) -> bool:
    if isinstance(limit, Tensor):
        return not limit.any()
    return limit is not None and limit == 0
