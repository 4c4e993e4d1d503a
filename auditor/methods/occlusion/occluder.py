"""A network made ready to be asked about many windows of many images."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.language import _, chained
from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.incremental.direct import Direct
from auditor.methods.occlusion.incremental.export import NotExportable, summary_of
from auditor.methods.occlusion.incremental.features import last_features
from auditor.methods.occlusion.incremental.graph import Graph
from auditor.methods.occlusion.incremental.memory_budget import Budget
from auditor.methods.occlusion.incremental.plan import NothingToSave, planned
from auditor.methods.occlusion.incremental.verification import Verification
from auditor.methods.occlusion.incremental.window_scores import Incremental, Maps, Passed, Wanted, Whole
from auditor.methods.occlusion.windows import Size, Windows
from auditor.statistics.closeness import alike
from auditor.statistics.probabilities import are_probabilities

Way = Callable[[Maps, Maps, Wanted], Iterator[Passed]]

_TRIED = 3  # windows, to see whether a plan gives the right scores
_TIMED = 2  # batches in whole, to see how fast that is


@dataclass(frozen=True)
class How:
    """How the scores of many windows came about.

    Attributes:
        dense: Why each image is computed in whole; empty where only what a window changes is.
        saving: The work of computing each image in whole over what is done, in multiplications and bytes written.
        share: How much of the network is computed on rectangles, by the multiplications that it takes.
        stop: Which operator without a rule made the rest whole; empty if none did.
        batch: How many images go together where they are computed in whole.
        windows: How many windows have been computed.
        seconds: How long that took.
    """

    dense: str
    saving: float = 1.0
    share: float = 0.0
    stop: str = ""
    batch: int = 1
    windows: int = 0
    seconds: float = 0.0

    @property
    def windows_per_second(self) -> float:
        return self.windows / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        if self.dense:
            return _("dense: {reason}", reason=self.dense)
        told = _(
            "incremental: {share:.0%} of the network, about {saving:.1f} times less work",
            share=self.share,
            saving=self.saving,
        )
        return chained(told, self.stop) if self.stop and self.share < 0.5 else told


class Occluder:
    """Gives the scores of images with each window of a grid filled.

        occluder = Occluder(model, images, window=32, stride=16)
        for some in occluder(images[:1], fill):
            some.numbers, some.scores

    Making one takes seconds, most of them for exporting the network's graph; it then serves all images of this size.
    The network is not changed, nor what it keeps in buffers. It is run without gradients, on the device of its
    parameters.

    Attributes:
        windows: The grid.
        layer: The layer of the last maps of features, whose totals come out beside the scores; empty where they
            are not known.
        in_whole: The same with each image computed in whole, to compare with.
        how: How the scores come about, and how fast so far.
        gives_probabilities: Whether scores are probabilities, as what feeds the softmax can't be had.
    """

    def __init__(
        self,
        model: Model,
        example: Float[Tensor, "n c h w"],
        *,
        window: Size,
        stride: Size,
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
            ValueError: The images are no images, the window does not fit into them, there is no memory, or the
                model gives no scores `[n, k]`.
        """
        refuse_no_images(example)
        if memory <= 0:
            raise ValueError(f"memory is {memory} bytes, but something is needed to compute with")
        height, width = example.shape[2:]
        self.windows = Windows.of((height, width), window=window, stride=stride)
        self.how = How("")
        self._device = _device_of(model, example)
        self._budget = Budget.on(self._device, memory)
        with torch.inference_mode():
            self._model, self._verification = model, Verification.of(model, self._placed(example[:1]))
            self._incremental, self._graph = incremental, self._exported()
            self._prepare()

    def at(self, *, window: Size, stride: Size) -> Occluder:
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
        image, fill = self._placed(image), self._placed(fill)
        if self._device.type == "cuda" and self.how.windows and not self._chosen:
            self._choose(image, fill)  # not on a CPU, so that two runs give the same numbers to the last bit
        passed, begun = self._way(image, fill, wanted), time.perf_counter()
        while True:
            with torch.inference_mode():  # not while the caller is busy with what it got
                some = next(passed, None)
            if some is None:
                return
            taken = time.perf_counter() - begun
            self.how = replace(self.how, windows=self.how.windows + len(some.numbers), seconds=self.how.seconds + taken)
            yield some
            begun = time.perf_counter()

    def _exported(self) -> Graph | NotExportable:
        """Return the network's graph, or why there is none."""
        try:
            graph, scores = self._verification.graph(self._model)
        except NotExportable as error:
            self.gives_probabilities = are_probabilities(self._verification.scores)
            return error
        self.gives_probabilities = are_probabilities(scores)
        return graph

    def _prepare(self) -> None:
        self.layer, self._chosen = "", False
        self.in_whole: Whole | Direct
        self._way: Whole | Direct | Incremental
        if isinstance(self._graph, Graph):
            self._plan(self._graph)
        else:
            self._do_without(self._graph)

    def _do_without(self, reason: NotExportable) -> None:
        direct = Direct(self._model, self._verification, self.windows, self._budget, alone=reason.alone)
        self.in_whole = self._way = direct
        told = str(reason)
        if direct.mixes:
            told = _("{reason}; one image at a time, since together they have other scores", reason=reason)
        self.how = How(told, batch=direct.batch)

    def _plan(self, graph: Graph) -> None:
        watched = last_features(graph, self.windows.image)
        self.layer = (watched.layer or watched.name) if watched else ""
        self.in_whole = self._way = Whole(graph, watched, self.windows, self._budget)
        try:
            if not self._incremental:
                raise NothingToSave(_("as asked"))
            plan = planned(graph, self.windows, self._budget, watched)
            way = Incremental(plan, watched)
            self._try(way)
        except NothingToSave as error:
            self.how = How(str(error), batch=self.in_whole.batch)
        else:
            self._way = way
            self.how = How("", plan.saving, plan.share, plan.stop, self.in_whole.batch)

    def _try(self, way: Incremental) -> None:
        """Compute a few windows, and compare with computing each in whole.

        Raises:
            NothingToSave: The scores are others.
        """
        asked = (*self._verification.images.split(1), self.windows.some(_TRIED))
        whole = _in_order(self.in_whole(*asked))
        try:
            same = alike(_in_order(way(*asked)), whole)
        except Exception as error:  # an operator of thousands whose rectangles are not what its rule says
            reason = _("what a window changes can't be computed alone: {reason}", reason=summary_of(error))
            raise NothingToSave(reason) from error
        if not same:
            raise NothingToSave(_("computing only what a window changes gives other scores"))

    def _choose(self, image: Maps, fill: Maps) -> None:
        """Go on with each image in whole if that is faster."""
        self._chosen = True
        if self._way is self.in_whole:
            return
        some = self.windows.some(_TIMED * self.in_whole.batch)
        self._rate(self.in_whole, image, fill, some)  # warms up, as the first image did the other
        rate = self._rate(self.in_whole, image, fill, some)
        if rate > self._rate(self._way, image, fill, None):
            self._way = self.in_whole
            self.how = replace(self.how, dense=_("computing each image in whole is faster here"))

    def _rate(self, way: Way, image: Maps, fill: Maps, wanted: Wanted) -> float:
        """Return how many windows a second are computed."""
        begun = self._clock()
        with torch.inference_mode():
            done = sum(len(some.numbers) for some in way(image, fill, wanted))
        return done / (self._clock() - begun)

    def _clock(self) -> float:
        """Return the time in seconds once the device has done all that it was told."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _placed(self, image: Tensor) -> Tensor:
        return image.detach().to(self._device).contiguous(memory_format=torch.channels_last)


def refuse_no_images(images: Tensor) -> None:
    """Refuse what is no batch of images.

    Raises:
        ValueError: It has other than four dimensions, no image, or whole numbers.
    """
    if images.ndim != 4 or not images.is_floating_point() or not len(images):
        raise ValueError(f"images are {images.dtype} {list(images.shape)}, but have to be floats [n, c, h, w], n > 0")


def _in_order(passed: Iterator[Passed]) -> Tensor:
    """Return the scores in the order of the windows."""
    found = list(passed)
    return torch.cat([one.scores for one in found])[torch.cat([one.numbers for one in found]).argsort()]


def _device_of(model: Model, example: Tensor) -> torch.device:
    module = getattr(model, "module", model)
    parameters = module.parameters() if isinstance(module, torch.nn.Module) else iter(())
    first = next(iter(parameters), None)
    return example.device if first is None else first.device
