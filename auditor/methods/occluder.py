"""A network made ready to be asked about many windows of many images."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.methods.incremental.direct import Direct
from auditor.methods.incremental.export import NotExportable
from auditor.methods.incremental.features import last_features
from auditor.methods.incremental.graph import Graph
from auditor.methods.incremental.inference import Incremental, Passed, Whole
from auditor.methods.incremental.plan import NothingToSave, planned
from auditor.methods.incremental.room import Room
from auditor.methods.incremental.trial import Trial
from auditor.methods.recording import Model
from auditor.methods.windows import Windows


@dataclass(frozen=True)
class How:
    """How the scores of many windows came about.

    Attributes:
        dense: Why each image is computed in whole; empty where only what a window changes is.
        saving: The multiplications of computing each image in whole over those that are done.
        share: How much of the network is computed on rectangles, by the multiplications that it takes.
        batch: How many images go together where they are computed in whole.
        windows: How many windows have been computed.
        seconds: How long that took.
    """

    dense: str
    saving: float = 1.0
    share: float = 0.0
    batch: int = 1
    windows: int = 0
    seconds: float = 0.0

    @property
    def windows_per_second(self) -> float:
        return self.windows / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        if self.dense:
            return f"dense: {self.dense}"
        return f"incremental: {self.share:.0%} of the network, {self.saving:.1f} times fewer multiplications"


class Occluder:
    """Gives the scores of images with each window of a grid filled.

        occluder = Occluder(model, images, window=32, stride=16)
        for some in occluder(images[:1], fill):
            some.numbers, some.scores

    Making one takes seconds, most of them for exporting the network's graph; it then serves all images of this size.
    The network is not changed. It is run in inference mode, on the device of its parameters.

    Attributes:
        windows: The grid.
        layer: The layer of the last maps of features, whose totals come out beside the scores; empty where they
            are not known.
        in_whole: The same with each image computed in whole, to compare with.
        how: How the scores come about, and how fast so far.
    """

    def __init__(
        self,
        model: Model,
        example: Float[Tensor, "n c h w"],
        *,
        window: int | Sequence[int],
        stride: int | Sequence[int],
        incremental: bool = True,
        memory: int = 2**30,
    ) -> None:
        """Prepare a network.

        Args:
            model: In eval mode.
            example: Images of the size that will be asked about; the first is used to try things out.
            window: Pixels: one number, or rows and columns.
            stride: The same; one larger than the window leaves pixels between windows that none covers.
            incremental: Compute only what a window changes, where that is possible and saves something; on a GPU
                where it is faster, too, which the second image tells.
            memory: Bytes that may be used beside the network's parameters; an image that needs more by itself is
                computed alone.

        Raises:
            ValueError: The window does not fit into the image, or the model gives no scores `[n, k]`.
        """
        height, width = example.shape[2:]
        self.windows = Windows.of((height, width), window=window, stride=stride)
        self.how = How("")
        self._device = _device_of(model, example)
        self._room = Room.on(self._device, memory)
        with torch.inference_mode():
            self._model, self._trial = model, Trial.of(model, self._placed(example[:1]))
            self._incremental, self._graph = incremental, self._exported()
            self._prepare()

    def at(self, *, window: int | Sequence[int], stride: int | Sequence[int]) -> Occluder:
        """Return the same network made ready for other windows, without exporting it again.

        Raises:
            ValueError: The window does not fit into the image.
        """
        other = copy.copy(self)
        other.windows = Windows.of(self.windows.image, window=window, stride=stride)
        with torch.inference_mode():
            other._prepare()
        return other

    def clean(self, image: Float[Tensor, "1 c h w"]) -> Passed:
        """Return what comes out for an image as it is."""
        with torch.inference_mode():
            return self.in_whole.clean(self._placed(image))

    def __call__(
        self,
        image: Float[Tensor, "1 c h w"],
        fill: Float[Tensor, "1 c h w"],
        wanted: Bool[Tensor, "rows cols"] | None = None,
    ) -> Iterator[Passed]:
        """Return what comes out for an image with each of the windows filled, some at a time, in any order.

        Args:
            fill: The image of which the windows are cut.
            wanted: Which windows; None for all.
        """
        if self._device.type == "cuda" and self.how.windows:
            self._choose(image, fill)  # not on a CPU, so that two runs give the same numbers to the last bit
        passed, begun = self._way(self._placed(image), self._placed(fill), wanted), time.perf_counter()
        while True:
            with torch.inference_mode():  # not while the caller is busy with what it got
                some = next(passed, None)
            if some is None:
                return
            taken = time.perf_counter() - begun
            self.how = replace(self.how, windows=self.how.windows + len(some.numbers), seconds=self.how.seconds + taken)
            yield some
            begun = time.perf_counter()

    def _exported(self) -> Graph | str:
        """Return the network's graph, or why there is none."""
        try:
            return self._trial.graph(self._model)
        except NotExportable as error:
            return str(error)

    def _prepare(self) -> None:
        self.layer = ""
        self.in_whole: Whole | Direct
        self._way: Whole | Direct | Incremental
        if isinstance(self._graph, Graph):
            self._plan(self._graph)
        else:
            self.in_whole = self._way = Direct(self._model, self._trial, self.windows, self._room)
            self.how = How(self._graph, batch=self.in_whole.batch)

    def _plan(self, graph: Graph) -> None:
        watched = last_features(graph, self.windows.image)
        self.layer = (watched.layer or watched.name) if watched else ""
        self.in_whole = self._way = Whole(graph, watched, self.windows, self._room)
        try:
            if not self._incremental:
                raise NothingToSave("as asked")
            plan = planned(graph, self.windows, self._room, watched)
        except NothingToSave as error:
            self.how = How(str(error), batch=self.in_whole.batch)
        else:
            self._way = Incremental(plan, watched)
            self.how = How("", plan.saving, plan.share, self.in_whole.batch)

    def _choose(self, image: Tensor, fill: Tensor) -> None:
        """Go on with each image in whole if that is faster than the first images were, on some of the windows."""
        if not isinstance(self._way, Incremental):
            return
        wanted = torch.zeros(self.windows.grid, dtype=torch.bool)
        wanted.view(-1)[: 2 * self.in_whole.batch] = True
        with torch.inference_mode():
            for _ in range(2):  # the first time warms up
                begun = time.perf_counter()
                done = sum(
                    len(some.scores.cpu()) for some in self.in_whole(self._placed(image), self._placed(fill), wanted)
                )
                rate = done / (time.perf_counter() - begun)
        if rate > self.how.windows_per_second:
            self._way = self.in_whole
            self.how = replace(self.how, dense=f"{rate:.0f} windows a second are more than incrementally here")

    def _placed(self, image: Tensor) -> Tensor:
        return image.detach().to(self._device).contiguous(memory_format=torch.channels_last)


def _device_of(model: Model, example: Tensor) -> torch.device:
    module = getattr(model, "module", model)
    parameters = module.parameters() if isinstance(module, torch.nn.Module) else iter(())
    first = next(iter(parameters), None)
    return example.device if first is None else first.device
