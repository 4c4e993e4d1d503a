"""What the comparison of two audits judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

DATA = Rule(
    "baseline.data",
    marked("Differences of images, preprocessing, classes, network, settings and versions."),
    basis="exact",
    measured=marked("Other images, preprocessing or classes are a warning; the rest is information."),
    advice=marked("Make both audits with the same images and settings, so that only the network differs."),
)

FINDINGS = Rule(
    "baseline.findings",
    marked("Findings that are new, worse, or no longer judged."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("findings"),
    better="lower",
    tolerance=0.0,
    measured=marked(
        "Findings are matched by rule and subject. A value counts as changed beyond the tolerance of its rule. The "
        "verdict is the worst of the new and worse findings; one that is no longer judged is a warning."
    ),
    advice=marked("Read the findings that are listed, in the order of their verdicts."),
)

ANSWERS = Rule(
    "baseline.answers",
    marked("Share of the images with the same prediction in both audits."),
    level=Verdict.INFO,
    basis="information",
)

ACCURACY = Rule(
    "baseline.accuracy",
    marked("Difference of the top-1 accuracies on the same images, overall and by class."),
    basis="statistical",
    better="higher",
    tolerance=0.0,
    measured=marked(
        "McNemar's exact test on the images that only one of the networks classifies correctly; the classes are "
        "corrected for their number by Holm. A significant loss beyond `drop` is a warning."
    ),
    advice=marked("Look at the images that are misclassified now and were not before."),
    source="McNemar, Psychometrika 1947; Newcombe, Statistics in Medicine 1998; Holm 1979.",
)

CALIBRATION = Rule(
    "baseline.calibration",
    marked("Difference of the expected calibration errors on the same images."),
    basis="statistical",
    better="lower",
    tolerance=0.0,
    measured=marked("A rise of over 0.01 that the paired bootstrap does not explain by chance is a warning."),
    advice=marked("Calibrate again, for example by temperature scaling on held-out images."),
    source="Guo et al., ICML 2017.",
)

DEAD = Rule(
    "baseline.dead",
    marked("Channels that were active on some image before and are on none now."),
    basis="exact",
    better="lower",
    tolerance=0.0,
    measured=marked("A layer whose dead channels grew by over `dead_warn` of its channels, on balance, is a warning."),
    advice=marked("Look for a learning rate that was too high, or for pruning that went too far."),
)

EXPLANATIONS = Rule(
    "baseline.explanations",
    marked("Rank correlation of the maps that explain the same class of the same image."),
    basis="heuristic",
    better="higher",
    tolerance=0.0,
    measured=marked("The median over the images. Under `alike_warn` by Grad-CAM or occlusion it is a warning."),
    advice=marked("Look at the maps of both audits side by side, and at the accuracy by class."),
    source="Adebayo et al., NeurIPS 2018.",
)

RULES = (DATA, FINDINGS, ANSWERS, ACCURACY, CALIBRATION, DEAD, EXPLANATIONS)
