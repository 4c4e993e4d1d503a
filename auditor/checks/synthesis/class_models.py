"""Class models: images that maximise the score of a class, by plain and by natural ascent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Advance, Context
    from auditor.methods import Diversity, Preset, Synthesis
    from auditor.methods.synthesis.ascent import Progress
    from auditor.model.network import Network
    from auditor.unit import Unit

_OTHER_STEP_SIZES = (0.1, 10.0)  # as multiples of the one that was chosen


@dataclass(frozen=True, eq=False, slots=True)
class SynthesizedImage:
    """One image that was made for a class or a unit.

    Attributes:
        preset: The method and its settings.
        image: The network's input, `[c, h, w]`.
        pixels: The same as a picture, clipped at black and white, `[h, w, 3]`.
        curve: The score before each step, and at the end, `[steps + 1]`.
        score: The score of the finished image; of a unit its value.
        probabilities: Of all classes for the finished image, `[k]`.
        outside: The share of its values that are darker than black or brighter than white, 0 to 1.
        note: Why it stopped early, or that it never changed; "" if neither.
        several: Whether an image may have several labels, so that the probabilities do not sum to 1.
    """

    preset: Preset
    image: Tensor
    pixels: NDArray[np.uint8]
    curve: NDArray[np.float32]
    score: float
    probabilities: NDArray[np.float64]
    outside: float
    note: str
    several: bool = False

    @property
    def predicted(self) -> int:
        """The class with the highest probability."""
        return int(self.probabilities.argmax())

    def probability(self, target: int) -> float:
        return float(self.probabilities[target])


@dataclass(frozen=True, eq=False, slots=True)
class ClassModel:
    """All images that were made for a class.

    Attributes:
        plain: By the ascent of Simonyan et al.; of several step sizes the one with the highest probability.
        natural: By that of Olah et al., one or several different ones.
    """

    target: int
    plain: SynthesizedImage
    natural: tuple[SynthesizedImage, ...]

    @property
    def best(self) -> SynthesizedImage:
        """The image with the highest probability of its class."""
        return _most_probable((self.plain, *self.natural), self.target)

    def reached(self, limit: float) -> bool:
        """Return whether an image is predicted as its class, or has its label, with at least this probability."""
        alone = self.best.several or self.best.predicted == self.target
        return alone and self.best.probability(self.target) >= limit

    @property
    def moved(self) -> bool:
        """Whether any step changed the score."""
        finite = [one.curve[np.isfinite(one.curve)] for one in (self.plain, *self.natural)]
        return any(len(curve) and curve.max() > curve.min() for curve in finite)


@dataclass(frozen=True, eq=False, slots=True)
class Synthesizer:
    """Makes images for classes and units of a network.

    Attributes:
        network: Used for the ascent; it has the scores of the context's network, and may be faster.
        plain: The settings of plain ascent.
        natural: The settings of natural ascent.
        copies: Natural images of each class.
        diversity: The penalty on the similarity of these.
        limit: Plain ascent is repeated with other step sizes if the probability of the class stays below it.
    """

    context: Context
    network: Network
    plain: Preset
    natural: Preset
    copies: int
    diversity: Diversity | None
    limit: float

    def class_models(self, targets: Sequence[int]) -> Iterator[ClassModel]:
        """Make images for these classes, several classes at once."""
        together = 4 if self.context.network.device.type == "cpu" else self.context.batch_size
        total = (self.plain.steps + self.natural.steps * self.copies) * len(targets)
        with self.context.working(total, "steps") as advance:
            for start in range(0, len(targets), together):
                yield from self._together(targets[start : start + together], advance)

    def visualization(self, unit: Unit) -> SynthesizedImage:
        """Make an image, by natural ascent, that maximises a single unit or the mean of a channel's map."""
        with self.context.working(self.natural.steps, "steps") as advance:

            def progress(count: int, scores: Tensor) -> None:
                advance(count, f"value {scores.max().item():.3g}")

            return self._natural([unit], progress, 1)[0]

    def _together(self, targets: Sequence[int], advance: Advance) -> Iterator[ClassModel]:
        def progress(count: int, scores: Tensor) -> None:
            advance(count, f"score {scores.max().item():.3g}")

        first, natural = self._plain(targets, progress), self._natural(targets, progress, self.copies)
        plain = self._retried(dict(zip(targets, first, strict=True)))
        for number, target in enumerate(targets):
            own = tuple(natural[number * self.copies : (number + 1) * self.copies])
            yield ClassModel(target, plain[target], own)

    def _plain(
        self, targets: Sequence[int], progress: Progress | None = None, *, factor: float = 1.0
    ) -> list[SynthesizedImage]:
        preset = replace(self.plain, step_size=factor * self.plain.step_size)
        network = _HalfRange(self.context, self.network)
        found = methods.synthesize(
            network, list(targets), shape=self.context.network.input_shape, preset=preset, progress=progress
        )
        return self._evaluated(preset, found, network.images(found.images))

    def _retried(self, images: Mapping[int, SynthesizedImage]) -> Mapping[int, SynthesizedImage]:
        """Return the best image of each class over several step sizes: no step size fits all networks."""
        short = [target for target, one in images.items() if not one.probability(target) >= self.limit]
        tries = [self._plain(short, factor=factor) for factor in _OTHER_STEP_SIZES] if short else []
        others = dict(zip(short, zip(*tries, strict=True), strict=False))  # both are empty if no class is short
        return {target: _most_probable((one, *others.get(target, ())), target) for target, one in images.items()}

    def _natural(self, targets: Sequence[int | Unit], progress: Progress, copies: int) -> list[SynthesizedImage]:
        found = methods.synthesize(
            self.network if all(isinstance(target, int) for target in targets) else self.context.network,
            list(targets),
            shape=self.context.network.input_shape,
            preset=self.natural,
            bounds=self.context.preprocess.bounds,
            copies=copies,
            diversity=self.diversity if copies > 1 else None,
            seed=self.context.seed,
            progress=progress,
        )
        return self._evaluated(self.natural, found, found.images)

    def _evaluated(self, preset: Preset, found: Synthesis, images: Tensor) -> list[SynthesizedImage]:
        import torch

        with torch.no_grad():
            probabilities = self.context.probabilities(self.context.network.scores(images).cpu().numpy())
        low, high = (bound.to(images)[:, None, None] for bound in self.context.preprocess.bounds)
        outside = ((images < low) | (images > high)).float().mean((1, 2, 3)).tolist()
        pixels = self.context.preprocess.pixels(images)
        return [
            SynthesizedImage(
                preset,
                images[i],
                pixels[i],
                found.course[i].cpu().numpy(),
                found.scores[i].item(),
                probabilities[i],
                outside[i],
                found.notes[i],
                self.context.task.multilabel,
            )
            for i in range(len(images))
        ]


def _most_probable(images: Sequence[SynthesizedImage], target: int) -> SynthesizedImage:
    """Return the image with the highest probability of a class."""
    return max(images, key=lambda one: np.nan_to_num(one.probability(target)))


class _HalfRange:
    """The network with images in units of half the range of a pixel, so that one step size fits all preprocessings."""

    def __init__(self, context: Context, network: Network) -> None:
        self.module = network.module
        self._scores = network.scores
        low, high = context.preprocess.bounds
        self._half = ((high - low) / 2)[:, None, None].to(network.device)

    def images(self, values: Tensor) -> Tensor:
        return values * self._half

    def __call__(self, values: Tensor) -> Tensor:
        return self._scores(self.images(values))
