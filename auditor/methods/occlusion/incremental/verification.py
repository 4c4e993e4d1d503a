"""What a network does with two images, tried out before it is asked about many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auditor.language import _
from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.incremental.export import End, NotExportable, ends_of, summary_of
from auditor.methods.occlusion.incremental.graph import Cell, Graph, Node
from auditor.methods.occlusion.incremental.operators import Opaque, Slot
from auditor.methods.occlusion.incremental.steps import Values, whole
from auditor.model.preserve import buffers_kept
from auditor.statistics.closeness import alike

_NORMALISED = ("softmax", "log_softmax")


@dataclass(frozen=True, eq=False)
class Verification:
    """Two images, and the scores that the model gives for each by itself.

    Attributes:
        random: Whether the scores of an image are others when it comes again.
        mixes: Whether the scores are others when both images come together.
    """

    images: Float[Tensor, "2 c h w"]
    scores: Float[Tensor, "2 k"]
    random: bool
    mixes: bool

    @classmethod
    def of(cls, model: Model, image: Float[Tensor, "1 c h w"]) -> Verification:
        """Run the model on the image, and on another one made of it.

        Raises:
            ValueError: It gives no scores `[n, k]`.
        """
        image = _finite(image)
        first = scores_of(model, image)
        random = not alike(scores_of(model, image), first)
        other, second = _other(model, image) or (image, first)
        images, scores = torch.cat([image, other]), torch.cat([first, second])
        return cls(images, scores, random, not _together(model, images, scores))

    @property
    def alone(self) -> bool:
        """Whether the images of a batch can't be told to be computed each by itself."""
        return self.random or self.mixes

    def graph(self, model: Model) -> tuple[Graph, Tensor]:
        """Return the exported graph of the scores, before a softmax if there is one, and what it gives.

        Raises:
            NotExportable: There is none that gives the scores of the model.
        """
        if self.random:
            reason = _("the network gives other scores each time: does it draw random numbers, or is dropout on?")
            raise NotExportable(reason, alone=True)
        if self.mixes:
            raise NotExportable(_("the network does not compute the images of a batch each by itself"), alone=True)
        module = _exportable(model)
        try:
            for end in ends_of(module, self.images[:1]):
                graph, scores = self._computed(end.graph)
                if self._are_given(scores, end):
                    return graph, scores
        except NotExportable:
            raise
        except Exception as error:  # an operator of thousands that is called in an unforeseen way
            raise NotExportable(
                _("its exported graph can't be computed: {reason}", reason=summary_of(error))
            ) from error
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
        raise NotExportable(
            _("its exported graph (without its hooks) does not give the scores of the model")
            if hooked
            else _("its exported graph does not give the scores of the model")
        )

    def _computed(self, graph: Graph) -> tuple[Graph, Tensor]:
        if graph.scores.shape == (1,) and self.scores.shape[1] == 2:
            graph = _two_classes(graph)
        values: Values = {Cell(graph.images): self.images}
        for step in whole(graph.nodes[1:]):
            step(values, {}, len(self.images))
        return graph, values[Cell(graph.scores)]

    def _are_given(self, scores: Tensor, end: End) -> bool:
        """Return whether the model gives these scores, or makes its own of them by a softmax."""
        made = getattr(scores, end.behind)(1) if end.behind in _NORMALISED else scores
        return alike(scores, self.scores) or alike(made, self.scores)


def scores_of(model: Model, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """Run the model, and leave the images and its buffers as they are.

    Raises:
        ValueError: It gives no scores `[n, k]`.
    """
    with torch.inference_mode(False), torch.no_grad(), buffers_kept(model):  # what it keeps may get a gradient later
        scores = model(images.clone())  # an in-place operator may come first
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(images):
        shape = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"the model gives {shape} for {len(images)} images, but has to give scores [n, k]")
    return scores


def _finite(image: Tensor) -> Tensor:
    """Return the image with a value of its own wherever there is no number."""
    finite = image.isfinite()
    return image if finite.all() or not finite.any() else image.where(finite, image[finite].min())


def _other(model: Model, image: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return another image that the model takes, of values between those of the first, and its scores."""
    for other in ((image.flip(3) + image.min()) / 2, image.flip(3)):
        with suppress(Exception):  # one that is particular about its images may refuse it in any way
            return other, scores_of(model, other)
    return None


def _together(model: Model, images: Tensor, scores: Tensor) -> bool:
    """Return whether images have the same scores in a batch as each by itself."""
    try:
        return alike(scores_of(model, images), scores)
    except Exception:  # one that takes a single image only may fail in any way with two
        return False


def _exportable(model: Model) -> nn.Module:
    """Return the network itself, without what has been put around it.

    Raises:
        NotExportable: It is none that `torch.export` takes.
    """
    module: Any = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    while isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(module, "_orig_mod"):
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module  # of torch.compile
    if isinstance(module, torch.jit.ScriptModule):
        raise NotExportable(_("TorchScript does not show its graph; use the network that it was made from"))
    if not isinstance(module, nn.Module):
        kind = type(module or model).__name__
        raise NotExportable(_("only an nn.Module shows its graph, and this is a {kind}", kind=kind))
    return module


def _two_classes(graph: Graph) -> Graph:
    """Return the graph with its single score shared out to two classes, with opposite signs."""
    last = graph.scores

    def shared(score: Tensor) -> Tensor:
        return torch.cat([-score / 2, score / 2], 1)

    return Graph((*graph.nodes, Node("two_classes", Opaque(shared, (Slot(0),), {}), (last,), (2,), 2 * last.size)))
