"""Images made for a class, in two ways, and what the network says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.statistics.softmax import softmax

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Advance, Context
    from auditor.methods import Diversity, Preset, Synthesis
    from auditor.methods.synthesis.ascent import Progress
    from auditor.model.network import Network
    from auditor.unit import Unit

_OTHER_PACES = (0.1, 10.0)


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """One image that was made for a class.

    Attributes:
        preset: How.
        image: What the network was given, `[c, h, w]`.
        pixels: The same as a picture, cut off at black and white, `[h, w, 3]`.
        course: The score before each step, and at the end.
        probabilities: What the network says of the finished image, `[k]`.
        outside: The share of its values that no photograph can have.
        note: Why it stopped, or that it never moved.
    """

    preset: Preset
    image: Tensor
    pixels: NDArray[np.uint8]
    course: NDArray[np.float32]
    score: float
    probabilities: NDArray[np.float64]
    outside: float
    note: str

    @property
    def predicted(self) -> int:
        return int(self.probabilities.argmax())

    def probability(self, target: int) -> float:
        return float(self.probabilities[target])


@dataclass(frozen=True, eq=False, slots=True)
class ClassModel:
    """All that was made for a class.

    Attributes:
        plain: By the ascent of Simonyan et al.; of several step sizes the one that got farthest.
        natural: By that of Olah et al., one or several that differ.
    """

    target: int
    plain: Made
    natural: tuple[Made, ...]

    @property
    def best(self) -> Made:
        """The one that the network takes for its class most surely."""
        return _surest((self.plain, *self.natural), self.target)

    def reached(self, limit: float) -> bool:
        """Whether an image is predicted as its class with this probability."""
        return self.best.predicted == self.target and self.best.probability(self.target) >= limit

    @property
    def moved(self) -> bool:
        """Whether any image changed the score at all."""
        finite = [one.course[np.isfinite(one.course)] for one in (self.plain, *self.natural)]
        return any(len(course) and course.max() > course.min() for course in finite)


@dataclass(frozen=True, eq=False, slots=True)
class Maker:
    """Makes images for classes of a network.

    Attributes:
        network: What they are made with: it gives the scores of the context's network, perhaps sooner.
        plain, natural: The two ways.
        copies: Images of each class in the natural way.
        diversity: What it costs these to be alike.
        enough: An image with a lower probability is tried again with other step sizes.
    """

    context: Context
    network: Network
    plain: Preset
    natural: Preset
    copies: int
    diversity: Diversity | None
    enough: float

    def make(self, targets: Sequence[int]) -> Iterator[ClassModel]:
        """Make images for these classes, as many together as is fast."""
        together = 4 if self.context.network.device.type == "cpu" else self.context.batch_size
        total = (self.plain.steps + self.natural.steps * self.copies) * len(targets)
        with self.context.working(total, "steps") as advance:
            for start in range(0, len(targets), together):
                yield from self._together(targets[start : start + together], advance)

    def make_unit(self, unit: Unit) -> Made:
        """Make an image, in the natural way, that excites a single unit, or the whole map of a channel."""
        with self.context.working(self.natural.steps, "steps") as advance:
            return self._natural([unit], lambda count, scores: advance(count, f"value {scores.max().item():.3g}"), 1)[0]

    def _together(self, targets: Sequence[int], advance: Advance) -> Iterator[ClassModel]:
        def progress(count: int, scores: Tensor) -> None:
            advance(count, f"score {scores.max().item():.3g}")

        first, natural = self._plain(targets, progress), self._natural(targets, progress, self.copies)
        plain = self._again(dict(zip(targets, first, strict=True)))
        for place, target in enumerate(targets):
            own = tuple(natural[place * self.copies : (place + 1) * self.copies])
            yield ClassModel(target, plain[target], own)

    def _plain(self, targets: Sequence[int], progress: Progress | None = None, *, pace: float = 1.0) -> list[Made]:
        preset = replace(self.plain, step_size=pace * self.plain.step_size)
        network = _InHalves(self.context, self.network)
        found = methods.synthesize(
            network, list(targets), shape=self.context.network.input_shape, preset=preset, progress=progress
        )
        return self._looked_at(preset, found, network.images(found.images))

    def _again(self, made: Mapping[int, Made]) -> Mapping[int, Made]:
        """Return for each class what got farthest of several step sizes: none fits all networks."""
        short = [target for target, one in made.items() if not one.probability(target) >= self.enough]
        tries = [self._plain(short, pace=pace) for pace in _OTHER_PACES] if short else []
        others = dict(zip(short, zip(*tries, strict=True), strict=False))  # of none there are no tries
        return {target: _surest((one, *others.get(target, ())), target) for target, one in made.items()}

    def _natural(self, targets: Sequence[int | Unit], progress: Progress, copies: int) -> list[Made]:
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
        return self._looked_at(self.natural, found, found.images)

    def _looked_at(self, preset: Preset, found: Synthesis, images: Tensor) -> list[Made]:
        import torch

        with torch.no_grad():
            probabilities = softmax(self.context.network.scores(images).cpu().numpy())
        low, high = (bound.to(images)[:, None, None] for bound in self.context.preprocess.bounds)
        outside = ((images < low) | (images > high)).float().mean((1, 2, 3)).tolist()
        pixels = self.context.preprocess.pixels(images)
        return [
            Made(
                preset,
                images[i],
                pixels[i],
                found.course[i].cpu().numpy(),
                found.scores[i].item(),
                probabilities[i],
                outside[i],
                found.notes[i],
            )
            for i in range(len(images))
        ]


def _surest(made: Sequence[Made], target: int) -> Made:
    """Return the image that the network takes for this class most surely."""
    return max(made, key=lambda one: np.nan_to_num(one.probability(target)))


class _InHalves:
    """The network, given images in units of half the range of a pixel, whatever its preprocessing makes of that."""

    def __init__(self, context: Context, network: Network) -> None:
        self.module = network.module
        self._scores = network.scores
        low, high = context.preprocess.bounds
        self._half = ((high - low) / 2)[:, None, None].to(network.device)

    def images(self, values: Tensor) -> Tensor:
        return values * self._half

    def __call__(self, values: Tensor) -> Tensor:
        return self._scores(self.images(values))
