"""What occlusion judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

CONCENTRATED = Rule(
    "occlusion.concentrated",
    marked("Images of a class in which one small window takes away most of the probability."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "A window of under 2 % of the area takes away more than half of the predicted class's probability in most "
        "images of the class: a sign test for each class, at 5 %, corrected for the number of classes by Holm. A class "
        "without enough images is skipped."
    ),
    advice=marked(
        "Look at the place in images of the class: a mark, a text, a background? Cover or remove it in the training "
        "images, and measure the accuracy again."
    ),
    false_alarms=marked("Classes that really are one small thing, for example a lamp that is on or off."),
    source="Lapuschkin et al., Nature Communications 2019.",
)

BORDER = Rule(
    "occlusion.border",
    marked("Images of a class in which most of the lost probability comes from the border of the image."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "More than half of what the windows take away comes from the outer tenth on each side in most images of the "
        "class: the same sign test. Images on which no window changes the score by 1 % of the spread of all scores are "
        "left out."
    ),
    advice=marked("Look for a frame, a caption or padding in images of the class, and crop or replace it."),
)

INSENSITIVE = Rule(
    "occlusion.insensitive",
    marked("Images on which no window changes the score."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.05,
    measured=marked("A change counts from 1 % of the spread (standard deviation) of all scores of the image."),
    advice=marked(
        "Check whether the score rests on what is everywhere, for example a mean colour, or on no input at all "
        "(saliency.vanishing)."
    ),
)

FILL = Rule(
    "occlusion.fill",
    marked("Rank correlation of the maps with two fills."),
    level=Verdict.WARN,
    basis="heuristic",
    better="higher",
    tolerance=0.05,
    measured=marked("The median over the first images. Under the limit the maps depend on what covers the image."),
    advice=marked("Compare several fills (occlusion.fill) before you believe one map."),
)

REFINED = Rule(
    "occlusion.refined",
    marked("Rank correlation of the approximate map and the full one, on one image."),
    level=Verdict.INFO,
    basis="information",
    better="higher",
    tolerance=0.05,
)

INFERENCE = Rule(
    "occlusion.inference",
    marked("How the scores under the windows were computed."),
    level=Verdict.INFO,
    basis="information",
)

RULES = (CONCENTRATED, BORDER, INSENSITIVE, FILL, REFINED, INFERENCE)
