"""What saliency judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

VANISHING = Rule(
    "saliency.vanishing",
    marked("Images on which the gradient of the predicted class vanishes."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The share of the explained images on which one of these holds: the largest absolute gradient is zero, not "
        "finite, or under a millionth of the median over the images; or the probability of the predicted class is "
        "exactly 1. With saliency.confident the upper end of the 95 % interval has to keep the limit."
    ),
    advice=marked(
        "Look for saturated or dead channels before the scores (activations), and for probabilities of exactly 1, at "
        "which training stops."
    ),
    false_alarms=marked(
        "One of the seven sound networks in docs/defects.md gets a warning; its top-1 accuracy is 100 %."
    ),
)

NONFINITE = Rule(
    "saliency.nonfinite",
    marked("Images on which the gradient is NaN or infinite."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked("The share of the explained images. One such image is a failure."),
    advice=marked("See weights.nonfinite and activations.nonfinite for the layer in which it begins."),
)

BLIND = Rule(
    "saliency.blind",
    marked("Rank correlation of the maps of different classes."),
    level=Verdict.WARN,
    basis="heuristic",
    unit="ρ",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The absolute gradient of the predicted class is compared with those of the second-best class and of the "
        "classes in the middle and at the end of the network's ranking. The lowest Spearman correlation of an image "
        "counts, over the pixels at which either map is non-zero. The value is the median over the explained images. "
        "Not judged with two classes: their scores mirror each other."
    ),
    advice=marked(
        "Look at the last layers. Are the rows of the classifier alike (filters, weights)? Does one feature determine "
        "every score (activations)?"
    ),
)

RECTIFIERS = Rule(
    "saliency.rectifiers",
    marked("Activation functions to which the rules of deconvnet and guided backprop apply."),
    level=Verdict.INFO,
    basis="information",
    better="neither",
    tolerance=0.01,
    measured=marked(
        "The share of the activation functions between image and score that are rectifiers. Both methods are defined "
        "for ReLU only. Skipped if the network has no rectifier, or if TorchScript hides them."
    ),
)

LAYER = Rule(
    "saliency.layer",
    marked("The layer that Grad-CAM uses."),
    level=Verdict.INFO,
    basis="information",
    measured=marked("Skipped if no layer gives maps."),
    advice=marked("Name another layer with saliency.cam_layer."),
)

RULES = (VANISHING, NONFINITE, BLIND, RECTIFIERS, LAYER)
