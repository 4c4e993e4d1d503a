"""What preprocess judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

ASSUMED = Rule(
    "preprocess.assumed",
    marked("Whether the preprocessing of training is known."),
    level=Verdict.WARN,
    basis="exact",
    images=False,
    measured=marked(
        "The audit warns if neither the settings nor the checkpoint nor the architecture state the preprocessing, so "
        "that the usual numbers were assumed."
    ),
    advice=marked(
        "Set resize, crop, mean and std as in training: in [preprocess] of auditor.toml or with --preprocess."
    ),
)

MISMATCH = Rule(
    "preprocess.mismatch",
    marked("Gain in accuracy by alternative preprocessing, or inputs that differ from the first batch norm."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "By accuracy: the declared preprocessing is compared with the usual alternatives (other numbers, inverted "
        "pixel values, other colours, another way of resizing) on at most 200 labelled images, spread over the "
        "classes. The audit warns if an alternative gains more than the limit, with p < 0.01 (McNemar's test, "
        "corrected by Holm for all alternatives), and is better than chance. Alternatives that are no better are "
        "stopped early. A network that is no better than chance with any preprocessing is skipped, and so is one whose "
        "accuracy gains more by another order of the classes. By statistics: the inputs of the first batch norm are "
        "compared with its running statistics, on at most 64 images. A channel differs if its mean is off by over 1 "
        "standard deviation, or its deviation by a factor over 1.6, and farther than by chance (p < 0.01, corrected "
        "for the number of channels). The audit warns if over half of the channels differ. With fewer than 20 images "
        "nothing is compared."
    ),
    advice=marked(
        "Check how training preprocessed the images. If it was the alternative way, copy the lines of the finding into "
        "auditor.toml or a --preprocess file. Otherwise compare mean, std, scale and color with training."
    ),
    false_alarms=marked(
        "Images of another kind than those of training also change the inputs of the first batch norm. In the "
        "benchmark of planted defects, two networks with another defect (dead channels, a reset batch norm) have this "
        "warning, and no sound one."
    ),
    source="McNemar, Psychometrika 12, 1947; Ioffe, Szegedy: Batch Normalization, ICML 2015.",
)

RULES = (ASSUMED, MISMATCH)
