"""The scores of all windows of an image, computed by the network itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.incremental.memory_budget import Budget
from auditor.methods.occlusion.incremental.verification import Verification, scores_of
from auditor.methods.occlusion.incremental.window_scores import Maps, Passed, Wanted, occluded
from auditor.methods.occlusion.windows import Windows
from auditor.process.dispatch import Operators
from auditor.statistics.closeness import alike

_ALIVE = 4  # a network needs about this many times the memory of its largest value
_COMPARED = 16  # images of a batch to compare


class Direct:
    """Run the network on complete images, without its graph.

    Attributes:
        batch: Number of images per batch.
        mixes: Whether images had other scores in a batch than alone. Each is then computed alone.
    """

    def __init__(self, model: Model, verified: Verification, windows: Windows, budget: Budget, *, alone: bool) -> None:
        """Measure the network's memory, and check that batches do not change the scores.

        Args:
            alone: Put only one image into a batch.
        """
        self._model, self._windows = model, windows
        with _Largest() as seen:
            scores_of(model, verified.images[:1])
        self.batch = 1 if alone else min(len(windows), budget.whole(_ALIVE * seen.size, seen.size))
        self.mixes = self.batch > 1 and not self._as_alone(verified)
        if self.mixes:
            self.batch = 1

    def clean(self, image: Maps) -> Passed:
        """Return the scores of the image itself, as those of window 0."""
        return self._passed(torch.zeros(1, dtype=torch.int64, device=image.device), image)

    def __call__(self, image: Maps, fill: Maps, wanted: Wanted = None) -> Iterator[Passed]:
        """Yield the scores of the image with each of the wanted windows filled."""
        for numbers, filled in occluded(image, fill, self._windows, self.batch, wanted):
            yield self._passed(numbers, filled)

    def _passed(self, numbers: Tensor, images: Tensor) -> Passed:
        return Passed(numbers, scores_of(self._model, images), images.new_zeros(len(images), 0))

    def _as_alone(self, verified: Verification) -> bool:
        """Return whether images with windows from all over the image have the same scores in a batch as alone."""
        wanted = self._windows.some(self.batch)
        image, fill = verified.images.split(1)
        _, filled = next(occluded(image, fill, self._windows, self.batch, wanted))
        try:
            together = scores_of(self._model, filled)
        except Exception:  # a network that does not accept the batch can raise anything
            return False
        step = -(-len(filled) // _COMPARED)
        apart = [scores_of(self._model, one) for one in filled[::step].split(1)]
        return alike(together[::step], torch.cat(apart))


class _Largest(Operators):
    """Record the size in bytes of the largest output of an operator."""

    size = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for value in output if isinstance(output, list | tuple) else (output,):
            if isinstance(value, Tensor) and not func.is_view:
                self.size = max(self.size, value.numel() * value.element_size())
        return output
