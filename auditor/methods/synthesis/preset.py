"""Ways to ascend: the plain one, and one whose images look more like photographs.

K. Simonyan, A. Vedaldi, A. Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. ICLR workshop 2014 (`SIMONYAN`).
C. Olah, A. Mordvintsev, L. Schubert: Feature Visualization. Distill 2017 (`NATURAL`).
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.methods.synthesis.transforms import STILL, Jitter


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to ascend.

    Attributes:
        steps: How many.
        step_size: The length of a step in units of the gradient; of Adam its learning rate.
        l2: What the squared norm of an image costs.
        variation: What its total variation costs.
        spectrum: Not the pixels are ascended but the spectrum of a photograph, by Adam.
        noise: Standard deviation of the values at the start.
        jitter: How the images are changed before the network sees them.
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
