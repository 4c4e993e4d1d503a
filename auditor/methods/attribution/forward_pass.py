"""One forward pass with its autograd graph, through which many signals can be sent back.

The model is not changed. The hooks on its layers are removed before `record` returns. The rules for rectifiers act on
the graph of this pass only. No gradient of a parameter is computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from auditor.errors import Skip, did_you_mean
from auditor.language import _, message_of
from auditor.methods.attribution.arrangement import Arrangement, may_show
from auditor.methods.attribution.grid import as_maps
from auditor.methods.attribution.in_place_rectifiers import RectifiersOutOfPlace
from auditor.methods.attribution.rectifiers import (
    Activations,
    Node,
    NoRectifier,
    Rule,
    activations_among,
    applied,
    is_rectifier,
    nodes_between,
    operator,
    rectified,
)
from auditor.model.checkpointed_blocks import run_plainly
from auditor.model.gradient_graph import has_no_formula, obstacles
from auditor.model.opaque import is_opaque, kind_of
from auditor.model.output import class_scores
from auditor.model.preserve import buffers_kept
from auditor.statistics.probabilities import are_probabilities

Model = Callable[[Tensor], Tensor]

_FLAT = ("Round", "Floor", "Ceil", "Trunc", "Sign", "Sgn", "FloorDivide")  # the gradient is 0 wherever it exists
_POOLS = ("MaxPool2DWithIndices", "AdaptiveMaxPool2D")


class _ReachedError(BaseException):
    """Ends a forward pass early. It is no `Exception`, so that no `except Exception` of a network catches it."""


class NotDifferentiable(Skip, ValueError):
    """There is no gradient from the scores to the given place."""


@dataclass(frozen=True, eq=False, slots=True)
class Passage:
    """A layer's output in one forward pass.

    Attributes:
        values: The output before any in-place operator changed it.
        edge: Its place in the graph.
        first: Whether channels come before places; None if the graph does not show it.
    """

    values: Tensor
    edge: GradientEdge
    first: bool | None = None

    @property
    def hidden(self) -> bool:
        """Whether the output may be maps of which nothing shows where the channels are."""
        return self.values.ndim == 4 and self.first is None


@dataclass(frozen=True, eq=False, slots=True)
class Subgraph:
    """The nodes of the graph between two places, with their activation functions."""

    nodes: Sequence[Node]
    rectifiers: Sequence[Node]
    activations: Activations


@dataclass(frozen=True, eq=False, kw_only=True)
class PartialRecording:
    """A forward pass up to the watched layers.

    Attributes:
        images: The leaf of the graph, `[n, c, h, w]`.
        passages: The outputs of the watched layers, by name.
        scripted: Whether a part of the network is TorchScript.
    """

    images: Tensor
    passages: Mapping[str, Passage]
    scripted: bool = False
    _subgraphs: dict[Node, Subgraph] = field(default_factory=dict)

    def subgraph(self, start: GradientEdge) -> Subgraph:
        """Return the nodes between `start` and the images."""
        if start.node not in self._subgraphs:
            leaf = get_gradient_edge(self.images).node if self.images.requires_grad else None
            nodes = nodes_between(start.node, leaf)
            met = activations_among(nodes, scripted=self.scripted)
            self._subgraphs[start.node] = Subgraph(nodes, [node for node in nodes if is_rectifier(node)], met)
        return self._subgraphs[start.node]

    def back(self, start: GradientEdge, signal: Tensor, ends: Sequence[GradientEdge], rule: Rule) -> list[Tensor]:
        """Send a signal back from `start`, and return the gradient at each of `ends`.

        Raises:
            NoRectifier: The rule is about rectifiers, and there is none between `start` and the images.
            NotDifferentiable: `start` does not depend on one of `ends`.
        """
        if rule is Rule.GRADIENT:
            arrived = self.reach(start, signal, ends)
        else:
            part = self.subgraph(start)
            if not part.activations.reached:
                raise NoRectifier(_no_rectifier(rule, part.activations), linear=not str(part.activations))
            with applied(rule, part.rectifiers):
                arrived = self.reach(start, signal, ends)
        if any(one is None for one in arrived):
            raise NotDifferentiable(_("the score does not depend on the input of this attribution"))
        return [one.detach() for one in arrived if one is not None]

    def reach(self, start: GradientEdge, signal: Tensor, ends: Sequence[GradientEdge]) -> Sequence[Tensor | None]:
        """Return the gradient at each of `ends`, or None if `start` does not depend on it."""
        return torch.autograd.grad((start,), ends, (signal,), retain_graph=True, allow_unused=True)

    def maps(self, passage: Passage, values: Tensor | None = None) -> Float[Tensor, "n c h w"]:
        """Return a watched layer's output, or other values of its shape, as maps. Half precision becomes float32.

        Raises:
            ValueError: The output is not a stack of maps.
        """
        height, width = self.images.shape[2:]
        shown = passage.values if values is None else values
        maps = as_maps(shown, images=len(self.images), size=(height, width), first=passage.first)
        return maps.to(torch.promote_types(maps.dtype, torch.float32))


@dataclass(frozen=True, eq=False, kw_only=True)
class Recording(PartialRecording):
    """A complete forward pass.

    Attributes:
        scores: The network's output, `[n, k]`.
        scores_edge: The place of the logits in the graph.
        softmax: Whether the network ends in a softmax or a log-softmax.
    """

    scores: Tensor
    scores_edge: GradientEdge
    softmax: bool = False

    def rectifier_after(self, passage: Passage) -> Passage | None:
        """Return the output of the rectifier that follows a layer; None without one, or if the layer feeds others."""
        taker = self._only_taker(passage.edge.node, passage.edge.output_nr)
        while taker is not None and operator(taker) in _POOLS:  # max-pooling and rectifying can be swapped
            taker = self._only_taker(taker, 0)
        if taker is None or not is_rectifier(taker) or operator(taker) == "Threshold":  # its value may be any number
            return None
        return Passage(rectified(taker), GradientEdge(taker, 0), passage.first)

    def _only_taker(self, node: Node, output_nr: int) -> Node | None:
        takers = [taker for taker in self.subgraph(self.scores_edge).nodes if (node, output_nr) in taker.next_functions]
        return takers[0] if len(takers) == 1 else None


def record(
    model: Model,
    images: Float[Tensor, "n c h w"],
    *,
    layers: Sequence[str] = (),
    cut: str | None = None,
    rules: bool = True,
) -> Recording:
    """Run the model, and keep its autograd graph and the outputs of the named layers.

    Args:
        layers: Modules to watch. If one runs several times, its last run counts.
        cut: One of `layers`, where signals end. No graph is built before it, unless only such a graph shows where the
            layer's output has its channels.
        rules: Whether rules for rectifiers will be applied. Rectifiers that autograd hides are then made visible.

    Raises:
        ValueError: The images or the scores do not have the shape or type of a classifier's; a layer does not exist or
            has no tensor as output; or the scores do not depend on the images by differentiable operations.
    """
    modules = _submodules(model, layers)
    if cut is not None and not may_show(modules[cut]):
        cut = None
    recording = _run(model, images, layers, _watching(modules, cut), cut, _mode(rules))
    if cut is not None and recording.passages[cut].hidden:
        return _run(model, images, layers, _watching(modules, None), None, _mode(rules))
    return recording


def record_up_to(
    model: Model, images: Float[Tensor, "n c h w"], layers: Mapping[str, int], *, rules: bool = True
) -> PartialRecording:
    """Run the model up to some layers, and keep the graph up to there and their outputs.

    Args:
        layers: Modules to watch, with the number of their runs. The pass ends with the last of these runs.
        rules: As in `record`.

    Raises:
        ValueError: The images do not have the shape or type of a classifier's; a layer does not exist, or has no tensor
            as output that depends on the images.
    """
    modules = _submodules(model, tuple(layers))
    running = _running(model, images, _watching(modules, None), None, _mode(rules))
    with running as (passages, leaf), suppress(_ReachedError), _ending(modules, layers):
        model(leaf.clone())
    _refuse_missing(layers, passages, _("the images"))
    return PartialRecording(images=leaf, passages=passages, scripted=_is_scripted(model))


def gradient_problem(model: Model, images: Float[Tensor, "n c h w"]) -> str:
    """Return why no gradient of the scores reaches the images; empty if one does.

    Raises:
        ValueError: As `record`.
    """
    try:
        record(model, images[:1], rules=False)
    except NotDifferentiable as reason:
        return message_of(reason)
    return ""


def survey(model: Model, images: Float[Tensor, "n c h w"]) -> Recording:
    """Run the model like `record`, and watch every module, in the order in which their runs end.

    In-place operators may have changed the values of a passage.

    Raises:
        ValueError: As `record`, except that any output of a layer is accepted.
    """
    modules = {name: module for name, module in module_of(model).named_modules() if name and not is_opaque(module)}
    return _run(model, images, (), _watching(modules, None, copy=False), None, RectifiersOutOfPlace())


def module_of(model: Model) -> nn.Module:
    """Return the `nn.Module` of a model, whose layers have names.

    Raises:
        ValueError: The model is another kind of callable, or its modules can't be watched.
    """
    module = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    if not isinstance(module, nn.Module) or is_opaque(module):
        kind = kind_of(module or model)
        raise ValueError(
            _("layers can be named in an nn.Module, but this is a {kind}, which does not show them", kind=kind)
        )
    return module


def _run(
    model: Model,
    images: Tensor,
    layers: Sequence[str],
    watching: AbstractContextManager[dict[str, Passage]],
    cut: str | None,
    mode: AbstractContextManager[object],
) -> Recording:
    with _running(model, images, watching, cut, mode) as (passages, leaf):
        scores = class_scores(model, leaf.clone())  # an in-place operator may come first
    _refuse_missing(layers, passages, _("layer {layer!r}", layer=cut) if cut else _("the images"))
    if not scores.requires_grad:
        raise NotDifferentiable(_("the score does not depend on the images by differentiable operations"))
    _refuse_flat(get_gradient_edge(scores), leaf)
    edge = _before_softmax(scores)
    return Recording(
        images=leaf,
        passages=passages,
        scripted=_is_scripted(model),
        scores=scores.detach(),
        scores_edge=edge,
        softmax=edge.node is not get_gradient_edge(scores).node,
    )


def _refuse_flat(start: GradientEdge, leaf: Tensor) -> None:
    """Refuse a graph in which every way to the images is cut, so that the gradient is 0 everywhere.

    Raises:
        NotDifferentiable: It is so: by rounding, or by operators that torch can't differentiate.
    """
    if not leaf.requires_grad:
        return
    end = get_gradient_edge(leaf).node
    met = obstacles(start.node, end, lambda node: operator(node) in _FLAT or has_no_formula(node))
    flat = dict.fromkeys(operator(node).lower() for node in met or () if not has_no_formula(node))
    if flat:
        names = ", ".join(flat)
        raise NotDifferentiable(
            _("the network rounds ({operators}): its gradient is 0 on every image", operators=names)
        )
    if met:
        raise NotDifferentiable(_("the score does not depend on the images by differentiable operations"))


@contextmanager
def _running(
    model: Model,
    images: Tensor,
    watching: AbstractContextManager[dict[str, Passage]],
    cut: str | None,
    mode: AbstractContextManager[object],
) -> Iterator[tuple[dict[str, Passage], Tensor]]:
    """Yield a dictionary that is filled with passages while the model runs, and the leaf to run it on."""
    if images.ndim != 4 or not images.is_floating_point() or not len(images):
        raise ValueError(f"images are {images.dtype} {list(images.shape)}, but have to be floats [n, c, h, w]")
    gradients = torch.set_grad_enabled(cut is None)
    settings = torch.inference_mode(False), gradients, buffers_kept(model), run_plainly(), mode
    with ExitStack() as around:
        for setting in settings:
            around.enter_context(setting)
        passages = around.enter_context(watching)
        yield passages, images.detach().clone().requires_grad_(cut is None)


def _mode(rules: bool) -> AbstractContextManager[object]:
    return RectifiersOutOfPlace() if rules else nullcontext()


def _refuse_missing(layers: Iterable[str], passages: Mapping[str, Passage], source: str) -> None:
    if missing := [name for name in layers if name not in passages]:
        raise NotDifferentiable(
            _("layer {layer!r} has no tensor as output that depends on {source}", layer=missing[0], source=source)
        )


def _submodules(model: Model, layers: Sequence[str]) -> dict[str, nn.Module]:
    if not layers:
        return {}
    known = {name: part for name, part in module_of(model).named_modules(remove_duplicate=False) if name}
    for name in layers:
        if name not in known:
            raise ValueError(f"the network has no layer {name!r}{did_you_mean(name, known)}")
        if is_opaque(known[name]):
            raise ValueError(f"layer {name!r} is part of a program, which does not show its output")
    return {name: known[name] for name in layers}


@contextmanager
def _watching(modules: Mapping[str, nn.Module], cut: str | None, *, copy: bool = True) -> Iterator[dict[str, Passage]]:
    passages: dict[str, Passage] = {}
    arrangement = Arrangement(from_images=cut is None)
    with ExitStack() as hooks:
        for name, module in modules.items():
            if name == cut:
                hooks.callback(module.register_forward_pre_hook(_begin_graph).remove)
            hook = _watch(name, passages, arrangement, cut=name == cut, copy=copy)
            hooks.callback(module.register_forward_hook(hook).remove)
        yield passages


def _begin_graph(module: nn.Module, inputs: Any) -> Any:
    """Build a graph from here on, which `_running` ends: inside a layer it shows where the channels are."""
    torch.set_grad_enabled(True)
    return tuple(
        one.detach().requires_grad_().clone() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )  # in-place operators can't change a leaf


def _watch(
    name: str, passages: dict[str, Passage], arrangement: Arrangement, *, cut: bool, copy: bool
) -> Callable[[nn.Module, Any, Any], Tensor | None]:
    def watch(module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        edge = get_gradient_edge(output) if output.requires_grad else None
        first = arrangement.channels_first(edge, certain=cut) if edge else None
        if cut:
            torch.set_grad_enabled(True)
            output = output.detach().requires_grad_().clone()
            if first is not None:
                arrangement.fix(get_gradient_edge(output), first=first)
        if output.requires_grad:
            values = output.detach()
            passages.pop(name, None)  # the last of several runs counts
            passages[name] = Passage(values.clone() if copy else values, get_gradient_edge(output), first)
        return output if cut else None

    return watch


@contextmanager
def _ending(modules: Mapping[str, nn.Module], runs: Mapping[str, int]) -> Iterator[None]:
    """End the forward pass once each module has run as often as given. Hooks that were added before see every run."""
    left = dict(runs)

    def counting(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def count(module: nn.Module, inputs: Any, output: Any) -> None:
            left[name] -= 1
            if max(left.values()) <= 0:
                raise _ReachedError

        return count

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_hook(counting(name)).remove)
        yield


def _is_scripted(model: Model) -> bool:
    found = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    parts = found.modules() if isinstance(found, nn.Module) else ()
    return any(is_opaque(part) for part in (found, *parts))


def _before_softmax(scores: Tensor) -> GradientEdge:
    edge = get_gradient_edge(scores)
    if operator(edge.node) in ("Softmax", "LogSoftmax"):
        node, output_nr = edge.node.next_functions[0]
        return edge if node is None else GradientEdge(node, output_nr)
    if are_probabilities(scores.detach()):
        warnings.warn(
            "the scores are probabilities, and their softmax is hidden: gradients are those of the probability, "
            "not of the logit",
            stacklevel=5,
        )
    return edge


def _no_rectifier(rule: Rule, met: Activations) -> str:
    name = _("guided backprop") if rule is Rule.GUIDED else _("deconvnet")
    if met.sandboxed:
        return _(
            "{method} can't reach the rectifiers of a program in a sandbox; with --trust-checkpoint it runs in the "
            "process of the audit, which may reach them",
            method=name,
        )
    if met.hidden:
        return _(
            "{method} can't reach the rectifiers that TorchScript hides; use the network that was scripted or traced",
            method=name,
        )
    return _(
        "{method} is defined for ReLU, and this network has none ({functions})",
        method=name,
        functions=str(met) or _("no known activation function"),
    )
