"""Presets of gradient ascent: the plain one, and one whose images look more like photographs.

K. Simonyan, A. Vedaldi, A. Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. ICLR workshop 2014 (`SIMONYAN`).
C. Olah, A. Mordvintsev, L. Schubert: Feature Visualization. Distill 2017 (`NATURAL`).

Examples:
    >>> from auditor import methods
    >>> methods.SIMONYAN.l2, methods.SIMONYAN.spectrum  # pixels, with a cost for their norm
    (0.001, False)
    >>> methods.NATURAL.spectrum, methods.NATURAL.jitter.rotation  # a spectrum, rotated by up to 10 degrees
    (True, 10.0)
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.methods.synthesis.transforms import STILL, Jitter


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings of gradient ascent.

    Attributes:
        steps: Number of steps.
        step_size: Step per unit of the gradient; for a spectrum the learning rate of Adam.
        l2: Cost of an image's squared norm, in units of the score.
        variation: Cost of its total variation, in units of the score.
        spectrum: Ascend a spectrum by Adam instead of pixels.
        noise: Standard deviation of the values at the start.
        jitter: Random transforms of the images before each forward pass.

    Examples:
        >>> from dataclasses import replace
        >>> from auditor import methods
        >>> replace(methods.NATURAL, steps=200) == methods.NATURAL
        False
        >>> methods.Preset(steps=60, step_size=10.0, l2=1e-3) == methods.SIMONYAN
        True
    """

    steps: int
    step_size: float
    l2: float
    variation: float = 0.0
    spectrum: bool = False
    noise: float = 0.0
    jitter: Jitter = STILL


SIMONYAN = Preset(steps=60, step_size=10.0, l2=1e-3)
NATURAL = Preset(
    steps=80,
    step_size=0.08,
    l2=0.0,
    variation=5e-4,
    spectrum=True,
    noise=0.01,
    jitter=Jitter(shift=0.15, scale=0.2, rotation=10.0, blur=3.0),
)
