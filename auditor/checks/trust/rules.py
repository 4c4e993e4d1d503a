"""What trust judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

RANDOMIZATION = Rule(
    "trust.randomization",
    marked("Rank correlation of a method's map with its map after the layers were randomised."),
    level=Verdict.WARN,
    basis="heuristic",
    unit="ρ",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The layers get random weights, from the last to the first in the order of their use, and batch norm gets new "
        "statistics. The value is the median Spearman correlation over the images with all layers randomised. Constant "
        "maps count as 0; if all maps are constant, nothing is judged. Deconvnet, guided backprop and guided Grad-CAM "
        "are known to ignore the last layers: they are reported with the last half of the layers randomised, not "
        "judged. Occlusion is computed on the first images only (trust.occlusion)."
    ),
    advice=marked(
        "Don't read reasons for the prediction from these maps: a network with random weights gives nearly the same. "
        "Use a method whose maps change."
    ),
    false_alarms=marked("Networks of few layers, and networks that training has hardly changed."),
    source="Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018.",
)

FAITHFULNESS = Rule(
    "trust.faithfulness",
    marked("Probability that a method's order is better than random orders by chance."),
    level=Verdict.WARN,
    basis="heuristic",
    unit="p",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "Each image is replaced patch by patch in the order of the map and in random orders. The area under the curve "
        "is ranked among those of the random orders; the ranks are summed over the images and tested exactly. The "
        "larger p-value of deletion and insertion counts, with Holm's correction for the number of methods that are "
        "judged. A p-value above the limit is a warning on 20 images or more. On fewer images it is a warning only if "
        "the order is significantly worse than random; otherwise it is skipped. Deconvnet, guided backprop and guided "
        "Grad-CAM are reported without correction, not judged. Occlusion is judged only if it was computed on all of "
        "the images."
    ),
    advice=marked(
        "Don't take what this method marks for what the prediction needs. Look at the curves, use a method that does "
        "better, or explain more images (--samples, trust.images)."
    ),
    source="Petsiuk, Das, Saenko, RISE, BMVC 2018. Wilcoxon 1945, van Elteren 1960.",
)

RULES = (RANDOMIZATION, FAITHFULNESS)
