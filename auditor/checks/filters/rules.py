"""What filters judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

DEAD = Rule(
    "filters.dead",
    marked("Filters of a layer that are near zero."),
    level=Verdict.WARN,
    basis="heuristic",
    images=False,
    better="lower",
    tolerance=0.02,
    measured=marked(
        "A filter is near zero if its largest weight is under 1 % of the layer's largest weight, or if its norm is "
        "under 1 % of the layer's median norm. Filters with weights that are not finite are left out. All "
        "two-dimensional convolutions are judged, with the weights that they multiply by: behind weight norm, pruning "
        "and the like."
    ),
    advice=marked("Prune the filters, or regularise less."),
    false_alarms=marked(
        "A normalisation behind the layer can enlarge the output of a filter that is near zero. EfficientNet-Lite0, a "
        "sound pretrained network, has this warning for its first two layers: four of the 32 filters of the first are "
        "near zero, and their channels are dead."
    ),
    source="torchconvquality (limit of 1 % of the largest weight).",
)

DUPLICATE = Rule(
    "filters.duplicate",
    marked("Filters or units of a layer that have a duplicate, and classes with the same weights."),
    level=Verdict.WARN,
    basis="heuristic",
    images=False,
    better="lower",
    tolerance=0.02,
    measured=marked(
        "Two filters are duplicates if the absolute cosine of their weights is 0.95 or more, and their outputs on the "
        "explained images are as correlated, with the same sign. Without images, duplicates are reported as not "
        "confirmed. Depthwise layers, layers right before a depthwise layer, and kernels so short that chance gives "
        "such pairs (over 0.05 expected) are left out. For comparison: among 64 random filters, the largest cosine is "
        "0.69 with 27 weights and 0.25 with 288. The units of linear layers before an activation are judged in the "
        "same way. Units of opposite direction count only if they are exactly opposite (cosine under -0.999). Classes "
        "whose weights and bias are exactly those of another class are a warning, however few they are."
    ),
    advice=marked(
        "Train with fewer filters, or check whether they had the same initialisation. Check whether classes with the "
        "same weights were trained."
    ),
    false_alarms=marked(
        "Opposite units of linear layers give an activation different information, and sound mixers have such pairs. "
        "They count only if they are exactly opposite."
    ),
)

NOISE = Rule(
    "filters.noise",
    marked("Layers that are indistinguishable from random initialisation."),
    level=Verdict.FAIL,
    basis="statistical",
    images=False,
    unit=marked("sd"),
    better="higher",
    tolerance=0.5,
    measured=marked(
        "Seven numbers of a layer are compared with those of random layers of the same shape: the variance entropy of "
        "the kernels, how evenly the weights are spread over the inputs and over the outputs, their tails, their edge, "
        "their mean, and how similar neighbouring weights in a kernel are. A layer is indistinguishable if all seven "
        "are within 4 standard deviations (noise_deviations). At most 3 of 1,000 random layers are not; uniform, "
        "normal, truncated and orthogonal initialisations are all recognised. If all layers that can be judged are "
        "indistinguishable, and these are at least two, the audit fails, unless the accuracy proves that the network "
        "was trained (its whole 95 % interval is nearer to 1 than to chance). Otherwise it warns. Convolutions of "
        "fewer than 500 weights, where a change of half a kernel's norm can go unseen, and linear layers are only "
        "checked for PyTorch's default initialisation: whether all weights are spread evenly between its bounds. This "
        "is a warning. The published limit T(n) for 3 x 3 kernels is shown for comparison, but does not decide: up to "
        "a tenth of random layers are under it."
    ),
    advice=marked(
        "Check whether the layer was trained: it may be frozen, left out of the optimizer, or get no gradients. If all "
        "layers are affected, check whether training wrote this file, and whether it saved the network that it "
        "trained."
    ),
    false_alarms=marked(
        "Layers that training has hardly changed, above all with normal initialisation: a change that all kernels "
        "share must be half of their norm in a layer of 500 weights, and a fifth in one of 36,864. In a MobileNet with "
        "normal initialisation, trained for ten epochs to an accuracy of 82 %, 40 of 52 layers are indistinguishable "
        "from random initialisation. Several layers are one warning, and no failure if the accuracy shows training."
    ),
    source="Gavrikov, Keuper: CNN Filter DB, CVPR 2022 (variance entropy).",
)

RULES = (DEAD, DUPLICATE, NOISE)
