"""What a network does with two images, tried out before it is asked about many."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.methods.incremental.export import NotExportable, graphs_of
from auditor.methods.incremental.graph import Cell, Graph, Node
from auditor.methods.incremental.operators import Opaque, Slot
from auditor.methods.incremental.steps import Values, whole
from auditor.methods.recording import Model, module_of

_CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4}


@dataclass(frozen=True, eq=False)
class Trial:
    """Two images, and the scores that the model gives for each by itself.

    Attributes:
        mixes: Whether their scores are others when they come together.
    """

    images: Float[Tensor, "2 c h w"]
    scores: Float[Tensor, "2 k"]
    mixes: bool

    @classmethod
    def of(cls, model: Model, image: Float[Tensor, "1 c h w"]) -> Trial:
        """Run the model on the image, and on another one made of it.

        Raises:
            ValueError: It gives no scores `[n, k]`.
        """
        images = torch.cat([image, image.flip(3) + 1])
        scores = torch.cat([_scores(model, one) for one in images.split(1)])
        try:
            mixes = not alike(_scores(model, images), scores)
        except Exception:  # one that takes a single image only may fail in any way with two
            mixes = True
        return cls(images, scores, mixes)

    def graph(self, model: Model) -> Graph:
        """Return the exported graph that gives the same scores.

        Raises:
            NotExportable: There is none.
        """
        if self.mixes:
            raise NotExportable("the network does not compute the images of a batch each by itself")
        try:
            module = module_of(model)
        except ValueError as error:
            raise NotExportable(str(error)) from None
        for found in graphs_of(module, self.images[:1]):
            graph = _two_classes(found) if found.scores.shape == (1,) and self.scores.shape[1] == 2 else found
            if alike(_computed(graph, self.images), self.scores):
                return graph
        raise NotExportable("its exported graph does not give the scores of the model")


def alike(some: Tensor, others: Tensor) -> bool:
    """Return whether scores differ by no more than rounding."""
    if some.shape != others.shape or some.dtype != others.dtype:
        return False
    rough = some.is_cuda and torch.backends.cudnn.allow_tf32
    close = 1e-2 if rough else _CLOSE.get(some.dtype, 1e-2)
    return bool((some - others).abs().max() <= close * others.abs().max().clamp(min=1))


def _scores(model: Model, images: Tensor) -> Tensor:
    scores = model(images)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(images):
        shape = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"the model gives {shape} for {len(images)} images, but has to give scores [n, k]")
    return scores


def _computed(graph: Graph, images: Tensor) -> Tensor:
    values: Values = {Cell(graph.images): images}
    for step in whole(graph.nodes[1:]):
        step(values, {}, len(images))
    scores: Tensor = values[Cell(graph.scores)]
    return scores


def _two_classes(graph: Graph) -> Graph:
    """Return the graph with its single score shared out to two classes, with opposite signs."""
    last = graph.scores

    def shared(score: Tensor) -> Tensor:
        return torch.cat([-score / 2, score / 2], 1)

    return Graph((*graph.nodes, Node("two_classes", Opaque(shared, (Slot(0),), {}), (last,), (2,), 2 * last.size)))
