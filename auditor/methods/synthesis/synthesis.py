"""Synthesis of images that maximise a class score, a unit or a layer by gradient ascent.

K. Simonyan, A. Vedaldi, A. Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. ICLR workshop 2014.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.synthesis.ascent import Ascent, Progress
from auditor.methods.synthesis.objectives import Diversity, Goal, Goals, goals_of
from auditor.methods.synthesis.parameterization import Bounds, Parameterization, Pixels, Shape, Spectrum
from auditor.methods.synthesis.preset import SIMONYAN, Preset
from auditor.methods.synthesis.regularizers import Regularizer
from auditor.methods.synthesis.result import Synthesis

_ON_CPU, _ELSEWHERE = 4, 16  # images at once
_PAIR = 2  # torch computes the convolutions of a single image differently from those of several


@torch.inference_mode(False)
def synthesize(
    model: Model,
    target: Goals,
    *,
    shape: Shape,
    preset: Preset = SIMONYAN,
    steps: int | None = None,
    step_size: float | None = None,
    l2: float | None = None,
    init: Tensor | None = None,
    regularizers: Sequence[Regularizer] = (),
    bounds: Bounds | None = None,
    copies: int = 1,
    diversity: Diversity | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Synthesis:
    """Return an image for each target that maximises the target's score by gradient ascent.

        synthesize(model, 281, shape=(3, 224, 224))                          # the class model of Simonyan et al.
        synthesize(model, [281, 5], shape=(3, 224, 224), preset=NATURAL)     # two that look more like photographs
        synthesize(model, Unit("layer3.1", 17), shape=(3, 224, 224))         # the mean of a channel's map
        synthesize(model, Unit("layer3.1", 17, 4, 9), shape=(3, 224, 224))   # a single unit
        synthesize(model, "layer3", shape=(3, 224, 224), init=photo)         # the mean square of a layer: deep dream

    The objective is the target's logit, or value, minus `l2` times the image's squared norm. The default preset starts
    from zeros, the mean image of a network with centred inputs, and repeats `image += step_size * gradient` in floats
    without bounds. The network is not changed, and no gradient of its weights is computed. The images of a batch are
    independent.

    Args:
        target: A class, a `Unit`, the name of a layer, or several of these.
        shape: Channels, height and width of the network's input.
        preset: `SIMONYAN`, `NATURAL`, or a `Preset` of your own.
        steps, step_size, l2: Replace those of the preset.
        init: Where to start instead of zeros, `[c, h, w]` or one for each image; only for presets that ascend pixels.
        regularizers: Further costs, each a function from images `[n, c, h, w]` to costs `[n]`.
        bounds: The lowest and the highest value of a pixel, by channel; only for presets that ascend a spectrum.
        copies: Number of images for each target, each from its own noise.
        diversity: The cost of similarity between the copies of a target.
        seed: Seed of noise and transforms.
        batch_size: Images per batch; by default 4 on a CPU, 16 elsewhere.
        progress: Called after each step with the number of images in the batch and their scores.

    Raises:
        ValueError: The target or an argument has a wrong type, shape or value, or the scores do not depend on the image
            by differentiable operations.
        IndexError: A class, channel or place does not exist.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> found = methods.synthesize(model, 5, shape=(3, 8, 8), steps=4, step_size=0.25, l2=0.0)
        >>> found.images.shape
        torch.Size([1, 3, 8, 8])
        >>> weights = model[1].weight[5].view(3, 8, 8)
        >>> torch.allclose(found.images[0], weights, atol=1e-6)  # of a linear model, it is the class' weights
        True
    """
    preset = replace(
        preset,
        steps=preset.steps if steps is None else steps,
        step_size=preset.step_size if step_size is None else step_size,
        l2=preset.l2 if l2 is None else l2,
    )
    goals = goals_of(target)
    _refuse(preset, shape, init, copies, diversity)
    parameterization = Spectrum(shape, bounds) if preset.spectrum else Pixels(shape)
    starts = _starts(model, parameterization, preset, init, goals, copies, seed)
    goals = tuple(goal for goal in goals for _ in range(copies))
    ascent = Ascent(model, starts, goals, parameterization, preset, tuple(regularizers), diversity, seed)
    return _joined(list(_made(ascent, copies, batch_size, progress or _ignored)))


def _made(ascent: Ascent, copies: int, batch_size: int | None, progress: Progress) -> Iterator[Synthesis]:
    """Synthesise the images in batches in which images are independent."""
    on_cpu = ascent.starts.device.type == "cpu"
    size = batch_size or (_ON_CPU if on_cpu else _ELSEWHERE)
    if ascent.diversity:  # the copies of a target have to be in one batch
        size = copies * max(1, size // copies)
    least = _PAIR if on_cpu else size
    if on_cpu and size > 1 and not ascent.same_among(size):
        size, least = (copies if ascent.diversity else 1), 1
    for part in ascent.parts(size):
        yield part.run_among(1 if ascent.diversity else least, progress)


def _ignored(count: int, scores: Tensor) -> None: ...


def _joined(made: Sequence[Synthesis]) -> Synthesis:
    return Synthesis(
        torch.cat([one.images for one in made]),
        torch.cat([one.scores for one in made]),
        torch.cat([one.course for one in made]),
        torch.cat([one.objectives for one in made]),
        tuple(note for one in made for note in one.notes),
    )


def _refuse(preset: Preset, shape: Shape, init: Tensor | None, copies: int, diversity: Diversity | None) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape is {tuple(shape)}, but has to be (channels, height, width), each at least 1")
    if preset.steps < 0 or copies < 1:
        raise ValueError(f"steps is {preset.steps} and copies is {copies}, but have to be at least 0 and 1")
    if not preset.step_size > 0:
        raise ValueError(f"step_size is {preset.step_size}, but has to be over 0")
    if init is not None and preset.spectrum:
        raise ValueError("init is an image, but this preset ascends a spectrum; use one that ascends pixels")
    if copies > 1 and not preset.noise:
        raise ValueError("copies without noise at the start are all equal; use a preset with noise")
    if diversity and copies == 1:
        raise ValueError("diversity compares the copies of a target, but copies is 1; use at least 2")


def _starts(
    model: Model,
    parameterization: Parameterization,
    preset: Preset,
    init: Tensor | None,
    goals: Sequence[Goal],
    copies: int,
    seed: int,
) -> Tensor:
    """Return the start of each image. The copies of all targets start alike, so that targets are independent."""
    zeros = parameterization.zeros(copies)
    noise = [torch.randn(zeros.shape[1:], generator=torch.Generator().manual_seed(seed + i)) for i in range(copies)]
    start = (zeros + preset.noise * torch.stack(noise)).to(_alike(model, init))
    if init is None:
        return start.repeat(len(goals), *[1] * (start.ndim - 1))
    begun = init.detach() if init.ndim == 4 else init.detach()[None]
    if begun.shape[1:] != zeros.shape[1:] or len(begun) not in (1, len(goals)):
        raise ValueError(f"init is {list(init.shape)}, but has to be {list(zeros.shape[1:])}, or one for each target")
    return (begun.expand(len(goals), *begun.shape[1:])[:, None] + start[None]).flatten(0, 1)


def _alike(model: Model, init: Tensor | None) -> Tensor:
    """Return a tensor with the type and device of the network's input."""
    if init is not None:
        return init
    module = getattr(model, "module", model)
    parameters = module.parameters() if isinstance(module, torch.nn.Module) else ()
    return next((one for one in parameters if one.is_floating_point()), torch.zeros(0))
