"""How a rectifier passes a signal on the way back: the only difference between gradient, deconvnet and guided backprop.

A rectifier sets negative values to 0: ReLU, ReLU6, a clamp or a threshold at zero. Here it is a node in the autograd
graph of a forward pass. So every way to write it is covered: a module, in place or not, a module that is used many
times, a function, a method of a tensor, traced code. The network is not changed. TorchScript may fuse operators and
hide which they are; such nodes are counted, too.

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
from auditor.language import _, joined, marked
from auditor.model.files.sandboxed import SandboxedProgram

if TYPE_CHECKING:
    from torch.autograd.graph import Node as Node
else:
    Node = Any  # some nodes made in C++ are not instances of torch's class

Gradients = tuple[Tensor | None, ...]


class Rule(Enum):
    """How a signal `g` passes a rectifier whose input is `x`."""

    GRADIENT = "g where x > 0"
    DECONVNET = "g where g > 0"
    GUIDED = "g where x > 0 and g > 0"


class NoRectifier(Skip, ValueError):
    """The network has no rectifier that can be reached, so rules for rectifiers are not defined.

    Attributes:
        linear: There is no activation function at all, so a rule for rectifiers would change nothing.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> try:
        ...     methods.guided_backprop(model, torch.rand(1, 3, 8, 8), 5)
        ... except methods.NoRectifier as error:
        ...     error.linear
        True
    """

    def __init__(self, message: str, *, linear: bool = False) -> None:
        super().__init__(message)
        self.linear = linear


@dataclass(frozen=True, slots=True)
class Activations:
    """The activation functions that a signal passes on its way back.

    Attributes:
        rectifiers: Number of calls of rectifiers.
        others: Number of calls of each other activation function, by name. Rules for rectifiers do not change these.
        hidden: Number of nodes of the graph that do not show what they compute.
        sandboxed: Number of those that are programs in a sandbox.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> found = methods.explain(model, torch.rand(1, 3, 8, 8), 5).activations
        >>> found.rectifiers, dict(found.others), found.reached
        (1, {'GELU': 1}, True)
    """

    rectifiers: int
    others: Mapping[str, int]
    hidden: int = 0
    sandboxed: int = 0

    @property
    def reached(self) -> bool:
        """Whether there are rectifiers, and none of them is hidden."""
        return self.rectifiers > 0 and not self.hidden

    def __str__(self) -> str:
        others = [joined(_(name), str(count)) for name, count in sorted(self.others.items())]
        rectifiers = [_("rectifiers {count}", count=self.rectifiers)] if self.rectifiers else []
        fused = self.hidden - self.sandboxed
        hidden = [_("parts fused by TorchScript {count}", count=fused)] if fused else []
        apart = [_("programs in a sandbox {count}", count=self.sandboxed)] if self.sandboxed else []
        return joined(*rectifiers, *others, *hidden, *apart, between=", ")


_SANDBOXED = SandboxedProgram.__name__  # the node of a program that runs in another process
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
    """Return each node of the graph between `start` and `end` once.

    Values that are computed from parameters alone are not included. Without an end, return every node before `start`.
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
    """Return torch's name of the operator that a node differentiates."""
    return _SUFFIX.sub("", node.name())


def is_rectifier(node: Node) -> bool:
    """Return whether this operator set negative values to 0."""
    name = operator(node)
    return name == "Relu" or (name in _LOWER and _is_zero(getattr(node, _LOWER[name])))


def rectified(node: Node) -> Tensor:
    """Return the output of a rectifier in the forward pass."""
    if operator(node) == "Relu":
        return _saved(node, "_saved_result").detach()
    return _saved(node, "_saved_self").detach().clamp(0, _upper(node))


def activations_among(nodes: Sequence[Node], *, scripted: bool) -> Activations:
    """Count the rectifiers among the nodes, and the other activation functions by name.

    Args:
        scripted: A part of the network is TorchScript, which may fuse operators and write over views unseen.
    """
    others = Counter(name for node in nodes if (name := _other(node)))
    hiding = ("DifferentiableGraph", _SANDBOXED, *(("CopySlices",) if scripted else ()))
    hidden = sum(any(word in node.name() for word in hiding) for node in nodes)
    sandboxed = sum(_SANDBOXED in node.name() for node in nodes)
    return Activations(sum(map(is_rectifier, nodes)), others, hidden, sandboxed)


@contextmanager
def applied(rule: Rule, rectifiers: Sequence[Node]) -> Iterator[None]:
    """Let signals pass the rectifiers by a rule, within the block."""
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
        if operator(node) in ("Clamp", "ClampMin", "Maximum"):  # these pass a signal if the input equals the limit
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
        return "" if _SANDBOXED in node.name() else operator(node)
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
