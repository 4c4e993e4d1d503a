"""A network prepared for many windows of many images."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.language import _, chained, message_of
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

_TRIED = 3  # windows to verify a plan with
_TIMED = 2  # batches of complete images to measure their speed with


@dataclass(frozen=True)
class How:
    """How the scores of windows were computed.

    Attributes:
        dense: Why complete images are computed; empty if only what a window changes is computed.
        saving: The work of computing complete images over the work done, in multiplications and bytes written.
        share: The share of the network, by its multiplications, that is computed on rectangles: 0 to 1.
        stop: The operator without a rule that made the rest complete; empty if there is none.
        batch: Number of images per batch where complete images are computed.
        windows: Number of windows computed so far.
        seconds: Time for these.

    Examples:
        >>> from auditor import methods
        >>> how = methods.How("", saving=8.0, share=0.75, windows=500, seconds=2.0)
        >>> str(how), how.windows_per_second
        ('incremental: 75 % of the network, about 8.0 times less work', 250.0)
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
        summary = _(
            "incremental: {share:.0%} of the network, about {saving:.1f} times less work",
            share=self.share,
            saving=self.saving,
        )
        return chained(summary, self.stop) if self.stop and self.share < 0.5 else summary


class Occluder:
    """Compute the scores of images with each window of a grid filled.

        occluder = Occluder(model, images, window=32, stride=16)
        for some in occluder(images[:1], fill):
            some.numbers, some.scores

    The preparation takes seconds, mostly for exporting the network's graph. It serves all images of this size. The
    network and its buffers are not changed. It runs without gradients, on the device of its parameters.

    Attributes:
        windows: The grid of positions.
        layer: The layer of the last feature maps, whose sums are returned with the scores; empty if it is unknown.
        in_whole: The same with complete images, for comparison.
        how: How the scores are computed, and the speed so far.
        gives_probabilities: Whether scores are probabilities, because the inputs of the softmax are not available.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> images = torch.rand(1, 3, 16, 16)
        >>> occluder = methods.Occluder(lambda images: images.sum((2, 3)), images, window=4, stride=4)
        >>> len(occluder.windows)
        16
        >>> parts = list(occluder(images, torch.zeros_like(images)))
        >>> sum(len(some.scores) for some in parts)  # scores for each window
        16
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
            example: Images of the size to prepare for. The first one is used for tests.
            window: In pixels: one number, or rows and columns.
            stride: In pixels, likewise. A stride larger than the window leaves pixels uncovered.
            incremental: Compute only what a window changes, where this is possible and saves work. On a GPU it also
                has to be faster; this is measured with the second image.
            memory: Bytes to use in addition to the network's parameters. An image that needs more is computed alone.

        Raises:
            ValueError: The images are not floats `[n, c, h, w]`, the window does not fit into them, `memory` is not
                positive, or the model does not return scores `[n, k]`.
        """
        refuse_no_images(example)
        if memory <= 0:
            raise ValueError(f"memory is {memory} bytes, but has to be over 0")
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
        """Return an occluder of the same network for other windows, without exporting it again.

        Raises:
            ValueError: The window does not fit into the image.
        """
        other = copy.copy(self)
        other.windows = Windows.of(self.windows.image, window=window, stride=stride)
        with torch.inference_mode():
            other._prepare()
        return other

    def clean(self, image: Float[Tensor, "1 c h w"]) -> Passed:
        """Return the results for the image itself."""
        with torch.inference_mode():
            return self.in_whole.clean(self._placed(image))

    def __call__(
        self,
        image: Float[Tensor, "1 c h w"],
        fill: Float[Tensor, "1 c h w"],
        wanted: Bool[Tensor, "rows cols"] | None = None,
    ) -> Iterator[Passed]:
        """Yield the results for an image with each of the windows filled, batch by batch, in any order.

        Args:
            fill: The image from which the windows are cut.
            wanted: Which windows; None for all.
        """
        image, fill = self._placed(image), self._placed(fill)
        if self._device.type == "cuda" and self.how.windows and not self._chosen:
            self._choose(image, fill)  # not on a CPU, where two runs have to give identical numbers
        passed, begun = self._way(image, fill, wanted), time.perf_counter()
        while True:
            with torch.inference_mode():  # not while the caller uses the results
                some = next(passed, None)
            if some is None:
                return
            taken = time.perf_counter() - begun
            self.how = replace(self.how, windows=self.how.windows + len(some.numbers), seconds=self.how.seconds + taken)
            yield some
            begun = time.perf_counter()

    def _exported(self) -> Graph | NotExportable:
        """Return the network's graph, or the reason why there is none."""
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
        dense = message_of(reason)
        if direct.mixes:
            dense = _("{reason}; one image at a time, because a batch changes the scores", reason=dense)
        self.how = How(dense, batch=direct.batch)

    def _plan(self, graph: Graph) -> None:
        watched = last_features(graph, self.windows.image)
        self.layer = (watched.layer or watched.name) if watched else ""
        self.in_whole = self._way = Whole(graph, watched, self.windows, self._budget)
        try:
            if not self._incremental:
                raise NothingToSave(_("incremental is off"))
            plan = planned(graph, self.windows, self._budget, watched)
            way = Incremental(plan, watched)
            self._try(way)
        except NothingToSave as error:
            self.how = How(message_of(error), batch=self.in_whole.batch)
        else:
            self._way = way
            self.how = How("", plan.saving, plan.share, plan.stop, self.in_whole.batch)

    def _try(self, way: Incremental) -> None:
        """Compute a few windows, and compare them with complete images.

        Raises:
            NothingToSave: The scores differ.
        """
        image, fill = self._verification.images.split(1)
        some = self.windows.some(_TRIED)
        whole = _in_order(self.in_whole(image, fill, some))
        try:
            same = alike(_in_order(way(image, fill, some)), whole)
        except Exception as error:  # one of thousands of operators may not follow its rule
            reason = _("a window's changes can't be computed alone: {reason}", reason=summary_of(error))
            raise NothingToSave(reason) from error
        if not same:
            raise NothingToSave(_("incremental and complete computation have different scores"))

    def _choose(self, image: Maps, fill: Maps) -> None:
        """Compute complete images from now on if that is faster."""
        self._chosen = True
        if self._way is self.in_whole:
            return
        some = self.windows.some(_TIMED * self.in_whole.batch)
        self._rate(self.in_whole, image, fill, some)  # warm-up; the first image was that of the other
        rate = self._rate(self.in_whole, image, fill, some)
        if rate > self._rate(self._way, image, fill, None):
            self._way = self.in_whole
            self.how = replace(self.how, dense=_("computing complete images is faster here"))

    def _rate(self, way: Way, image: Maps, fill: Maps, wanted: Wanted) -> float:
        """Return the number of windows per second."""
        begun = self._clock()
        with torch.inference_mode():
            done = sum(len(some.numbers) for some in way(image, fill, wanted))
        return done / (self._clock() - begun)

    def _clock(self) -> float:
        """Return the time in seconds after the device has finished."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _placed(self, image: Tensor) -> Tensor:
        return image.detach().to(self._device).contiguous(memory_format=torch.channels_last)


def refuse_no_images(images: Tensor) -> None:
    """Refuse a tensor that is not a batch of images.

    Raises:
        ValueError: It does not have four dimensions, is empty, or is not of floats.
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
