"""What activations judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

NONFINITE = Rule(
    "activations.nonfinite",
    marked("Outputs of a layer that are NaN or infinite."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("outputs"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked(
        "All outputs of all judged layers are counted, on all images. Any such output is a failure. The finding names "
        "the channel with the most."
    ),
    advice=marked("Look for non-finite weights, a division by zero, or an overflow in half precision."),
)

DEAD = Rule(
    "activations.dead",
    marked("Channels of a layer that are dead or constant."),
    level=Verdict.FAIL,
    basis="statistical",
    better="lower",
    tolerance=0.02,
    measured=marked(
        "A channel is dead if its output after the rectifier is zero on all images; with GELU, SiLU and similar "
        "activations, if it stays below a millionth. A channel is constant if it has the same output everywhere on all "
        "images, to a thousandth. The audit warns if either kind is over the first limit of a layer's channels, and "
        "fails if both kinds together are over the second. On n images, a dead channel is active on less than 3/n of "
        "such images, with 95 % confidence. With fewer than 20 images nothing is judged. Normalisations of sums and of "
        "concatenations, as in a DenseNet, are judged like layers. The units of linear layers before an activation are "
        "channels, too. Linear layers that only weight the channels of maps (squeeze-and-excitation), projections "
        "(attention), and layers whose output is the same for all images are left out. In layers with one output an "
        "image, dead units are a warning only over the second limit, and they are not judged on fewer than 300 images."
    ),
    advice=marked(
        "Train with a lower learning rate, another initialisation or a leaky rectifier, so that channels stay active. "
        "For constant channels, look for a normalisation whose weights are zero, and for dead channels before it."
    ),
    false_alarms=marked(
        "Channels that respond only to images of a kind that the data does not contain. EfficientNet-Lite0, a sound "
        "pretrained network, has this warning for its first two layers on 48 photographs: its first filters include "
        "four near zero (filters.dead). In linear layers with one output an image, dead units are usual: with "
        "PyTorch's initialisation, up to a fifth of the second layer and nearly half of the fifth layer are dead "
        "before training, and perceptrons that were trained well on digits had up to 30 %. The higher limit for such "
        "layers allows for this."
    ),
    source=(
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014; Zhang et al.: AutoTrainer, "
        "ICSE 2021."
    ),
)

SATURATED = Rule(
    "activations.saturated",
    marked("Channels of a layer that are cut off at the ceiling of their activation, as in ReLU6."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.02,
    measured=marked(
        "A channel is saturated if the activation cuts off over 95 % of its outputs, over all images and places. "
        "Layers whose activation has no ceiling are left out. With fewer than 20 images nothing is judged."
    ),
    advice=marked(
        "Saturated channels give the same output for nearly every image. Check the scale of the layer's input and of "
        "its weights."
    ),
)

BORDER = Rule(
    "activations.border",
    marked("How strongly maps respond at their border, as a multiple of their inside."),
    level=Verdict.INFO,
    basis="information",
    unit=marked("times"),
    better="neither",
    tolerance=0.1,
    measured=marked(
        "The mean absolute output of the outermost ring of a layer's maps is divided by that of their inside: "
        "geometric mean over the explained images, with a 95 % interval. The finding reports the layer with the ratio "
        "farthest from 1, and names the layers whose stride leaves out rows or columns at the end. Maps with fewer "
        "than 5 rows or columns are left out."
    ),
    advice=marked(
        "A ratio far from 1 shows the effect of padding, or of what lies at the border of the images. Compare it with "
        "the maps of the layer."
    ),
    source="Alsallakh et al.: Mind the Pad, ICLR 2021.",
)

RULES = (NONFINITE, DEAD, SATURATED, BORDER)
