"""Verification of a network on two images, before it is run on many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auditor.language import _
from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.incremental.export import End, NotExportable, summary_of
from auditor.methods.occlusion.incremental.graph import Cell, Graph, Node
from auditor.methods.occlusion.incremental.last_export import last_ends, new_ends
from auditor.methods.occlusion.incremental.operators import Opaque, Slot
from auditor.methods.occlusion.incremental.steps import Values, whole
from auditor.model.opaque import is_opaque
from auditor.model.output import class_scores
from auditor.model.preserve import buffers_kept
from auditor.statistics.closeness import alike

_NORMALISED = ("softmax", "log_softmax")


@dataclass(frozen=True, eq=False)
class Verification:
    """Two images, and the scores of each computed alone.

    Attributes:
        random: Whether the same image has other scores the second time.
        mixes: Whether the scores differ if both images are in one batch.
    """

    images: Float[Tensor, "2 c h w"]
    scores: Float[Tensor, "2 k"]
    random: bool
    mixes: bool

    @classmethod
    def of(cls, model: Model, image: Float[Tensor, "1 c h w"]) -> Verification:
        """Run the model on the image, and on another one derived from it.

        Raises:
            ValueError: The model does not return scores `[n, k]`.
        """
        image = _finite(image)
        first = scores_of(model, image)
        random = not alike(scores_of(model, image), first)
        other, second = _other(model, image) or (image, first)
        images, scores = torch.cat([image, other]), torch.cat([first, second])
        return cls(images, scores, random, not _together(model, images, scores))

    @property
    def alone(self) -> bool:
        """Whether a batch may change the scores of its images."""
        return self.random or self.mixes

    def graph(self, model: Model) -> tuple[Graph, Tensor]:
        """Return the exported graph of the logits, or of the scores without a softmax, and its output.

        Raises:
            NotExportable: No graph gives the scores of the model.
        """
        if self.random:
            reason = _("the same image has other scores each time: check for random numbers and dropout")
            raise NotExportable(reason, alone=True)
        if self.mixes:
            raise NotExportable(_("the scores of an image depend on the other images of its batch"), alone=True)
        module = _exportable(model)
        try:
            for ends_of in (last_ends, new_ends):
                for end in ends_of(module, self.images[:1]):
                    graph, scores = self._computed(end.graph)
                    if self._are_given(scores, end):
                        return graph, scores
        except NotExportable:
            raise
        except Exception as error:  # one of thousands of operators can fail in any way
            reason = _("the exported graph can't be computed: {reason}", reason=summary_of(error))
            raise NotExportable(reason) from error
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
        raise NotExportable(
            _("the exported graph, which ignores hooks, has other scores than the model")
            if hooked
            else _("the exported graph has other scores than the model")
        )

    def _computed(self, graph: Graph) -> tuple[Graph, Tensor]:
        if graph.scores.shape == (1,) and self.scores.shape[1] == 2:
            graph = _two_classes(graph)
        values: Values = {Cell(graph.images): self.images}
        for step in whole(graph.nodes[1:]):
            step(values, {}, len(self.images))
        return graph, values[Cell(graph.scores)]

    def _are_given(self, scores: Tensor, end: End) -> bool:
        """Return whether the model's scores are these, or their softmax."""
        made = getattr(scores, end.ending)(1) if end.ending in _NORMALISED else scores
        return alike(scores, self.scores) or alike(made, self.scores)


def scores_of(model: Model, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """Run the model without changing the images or the model's buffers.

    Raises:
        ValueError: The model does not return scores `[n, k]`.
    """
    with torch.inference_mode(False), torch.no_grad(), buffers_kept(model):  # the model may store tensors
        return class_scores(model, images.clone())  # an in-place operator may come first


def _finite(image: Tensor) -> Tensor:
    """Return the image with non-finite values replaced by its smallest finite one."""
    finite = image.isfinite()
    return image if finite.all() or not finite.any() else image.where(finite, image[finite].min())


def _other(model: Model, image: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return another image in the range of the first one that the model accepts, and its scores."""
    for other in ((image.flip(3) + image.min()) / 2, image.flip(3)):
        with suppress(Exception):  # a network that accepts only some images can raise anything
            return other, scores_of(model, other)
    return None


def _together(model: Model, images: Tensor, scores: Tensor) -> bool:
    """Return whether images have the same scores in a batch as alone."""
    try:
        return alike(scores_of(model, images), scores)
    except Exception:  # a network that accepts only single images can raise anything
        return False


def _exportable(model: Model) -> nn.Module:
    """Return the network itself, without wrappers.

    Raises:
        NotExportable: `torch.export` does not accept it.
    """
    module: Any = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    while isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(module, "_orig_mod"):
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module  # from torch.compile
    if isinstance(module, torch.jit.ScriptModule):
        raise NotExportable(_("TorchScript does not show its graph; use the network that was scripted or traced"))
    if is_opaque(module):
        raise NotExportable(
            _(
                "a program in a sandbox does not show its graph; with --trust-checkpoint it runs in the process of the "
                "audit, which can observe more"
            )
        )
    if not isinstance(module, nn.Module):
        kind = type(module or model).__name__
        raise NotExportable(_("only an nn.Module shows its graph, and this is a {kind}", kind=kind))
    return module


def _two_classes(graph: Graph) -> Graph:
    """Return the graph with its single score split into two classes of opposite sign."""
    last = graph.scores

    def shared(score: Tensor) -> Tensor:
        return torch.cat([-score / 2, score / 2], 1)

    return Graph((*graph.nodes, Node("two_classes", Opaque(shared, (Slot(0),), {}), (last,), (2,), 2 * last.size)))
