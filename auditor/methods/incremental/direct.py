"""The scores for all windows of an image by the network itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from auditor.methods.incremental.inference import Maps, Passed, Wanted, occluded
from auditor.methods.incremental.room import Room
from auditor.methods.incremental.trial import Trial
from auditor.methods.recording import Model
from auditor.methods.windows import Windows

_ALIVE = 4  # times the largest value is about what a network holds at once


class Direct:
    """Runs the network, of whose graph nothing is known, on each image in whole."""

    def __init__(self, model: Model, trial: Trial, windows: Windows, room: Room) -> None:
        self._model, self._windows = model, windows
        with _Largest() as seen:  # type: ignore[no-untyped-call]
            model(trial.images[:1])
        self.batch = 1 if trial.mixes else room.whole(_ALIVE * seen.size, seen.size)

    def clean(self, image: Maps) -> Passed:
        """Return the scores of the image itself, as those of window 0."""
        return self._passed(torch.zeros(1, dtype=torch.int64, device=image.device), image)

    def __call__(self, image: Maps, fill: Maps, wanted: Wanted = None) -> Iterator[Passed]:
        """Return the scores of the image with each of the wanted windows filled."""
        for numbers, filled in occluded(image, fill, self._windows, self.batch, wanted):
            yield self._passed(numbers, filled)

    def _passed(self, numbers: Tensor, images: Tensor) -> Passed:
        return Passed(numbers, self._model(images), images.new_zeros(len(images), 0))


class _Largest(TorchDispatchMode):
    """Sees how many bytes the largest value takes that an operator makes."""

    size = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for value in output if isinstance(output, list | tuple) else (output,):
            if isinstance(value, Tensor) and not func.is_view:
                self.size = max(self.size, value.numel() * value.element_size())
        return output
