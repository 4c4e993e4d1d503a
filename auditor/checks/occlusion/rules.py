"""What occlusion judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

CONCENTRATED = Rule(
    "occlusion.concentrated",
    marked("Images of a class in which one small window removes most of the probability."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    warn=0.5,
    measured=marked(
        "For each image: whether one window removes more than half of the predicted class's probability "
        "(occlusion.concentrated_share). Only windows under 2 % of the area are judged. The audit warns of a class if "
        "this holds for significantly more than half of its explained images: a sign test at 5 %, with Holm's "
        "correction for the number of classes. A class with too few images for this test is not judged. Images whose "
        "scores are not finite are left out."
    ),
    advice=marked(
        "Look at the given place in images of the class. Is there a mark, a text or a background? Cover or remove it "
        "in the training images, train again, and check whether the accuracy stays."
    ),
    false_alarms=marked("A class whose object fits into the window, for example a lamp that is on or off."),
    source="Lapuschkin et al., Nature Communications 2019.",
)

BORDER = Rule(
    "occlusion.border",
    marked("Images of a class in which most of the drop in probability comes from the border of the image."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    warn=0.5,
    measured=marked(
        "For each image: whether more than half of the total drop comes from the frame, the outer tenth on each side "
        "(occlusion.border_share). The audit warns of a class if this holds for significantly more than half of its "
        "explained images, by the test of occlusion.concentrated. Images on which no window changes the score by 1 % "
        "of the standard deviation of all scores are left out."
    ),
    advice=marked(
        "Look for a frame, a caption or padding in images of the class. Crop or replace it in the training images, and "
        "train again."
    ),
)

INSENSITIVE = Rule(
    "occlusion.insensitive",
    marked("Images on which no window changes the score."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The share of the explained images on which no window changes the score of the predicted class by 1 % of the "
        "standard deviation of all scores of the image. Images whose scores are not finite are left out."
    ),
    advice=marked(
        "Check whether the score depends on what is everywhere, for example a mean colour, or on no input at all "
        "(saliency.vanishing)."
    ),
)

FILL = Rule(
    "occlusion.fill",
    marked("Rank correlation of the maps with two fills."),
    level=Verdict.WARN,
    basis="heuristic",
    unit="ρ",
    better="higher",
    tolerance=0.05,
    measured=marked(
        "The median Spearman correlation over the first three explained images. The second fill is mean, or grey if "
        "mean was chosen. Below the limit, the place of the evidence depends on what covers the image. Skipped if "
        "covering changes nothing on any of these images."
    ),
    advice=marked("Compare several fills (occlusion.fill), and trust only what their maps have in common."),
)

REFINED = Rule(
    "occlusion.refined",
    marked("Rank correlation of the approximate map with the full one."),
    level=Verdict.INFO,
    basis="information",
    unit="ρ",
    better="higher",
    tolerance=0.05,
    measured=marked(
        "The Spearman correlation on one image, with occlusion.refine only. Skipped if covering changes nothing on it."
    ),
)

INFERENCE = Rule(
    "occlusion.inference",
    marked("How the scores under the windows were computed."),
    level=Verdict.INFO,
    basis="information",
    measured=marked(
        "Whether the scores were computed incrementally or by whole forward passes, and how much work it saved."
    ),
    source="Nakandala, Kumar, Papakonstantinou, SIGMOD 2019.",
)

RULES = (CONCENTRATED, BORDER, INSENSITIVE, FILL, REFINED, INFERENCE)
