"""What predictions judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

SOFTMAX = Rule(
    "predictions.softmax",
    marked("Whether the network returns logits, or ends in a softmax or sigmoid."),
    level=Verdict.WARN,
    basis="exact",
    images=False,
    measured=marked(
        "If the network ends in a softmax, log-softmax or sigmoid, the logits before it are used as scores, which is "
        "information. If it returns probabilities whose logits can't be found, the audit warns."
    ),
    advice=marked("Return logits from the network: gradients of probabilities vanish where the confidence is high."),
)

NONFINITE = Rule(
    "predictions.nonfinite",
    marked("Images whose scores are NaN or infinite."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked("All images are counted. Any such image is a failure, and is left out of everything else."),
    advice=marked("Look at weights.nonfinite and activations.nonfinite for the first layer that has such values."),
)

STABILITY = Rule(
    "predictions.stability",
    marked("Images whose scores depend on chance, or on the other images of the batch."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked(
        "The images that are explained are given to the network twice, in another order, and one by one, each time "
        "with other random numbers. Scores that differ by more than rounding are a failure. With dynamically "
        "quantised layers, scores that depend on the batch without changing a prediction are a warning."
    ),
    advice=marked(
        "Turn dropout and noise off in evaluation, give the batch norms running statistics, and normalise each image "
        "by itself."
    ),
)

ACCURACY = Rule(
    "predictions.accuracy",
    marked("Top-1 accuracy: the share of labelled images that are correctly classified."),
    level=Verdict.FAIL,
    basis="statistical",
    better="higher",
    tolerance=0.005,
    measured=marked(
        "The accuracy is compared with its limits, if there are any: by default there are none. With the option "
        "confident, the lower end of its 95 % interval (Wilson) is compared. On fewer than 20 labelled images a limit "
        "that the accuracy keeps is a warning, and without labels a limit is not kept. On 20 labelled images or more, "
        "the audit warns if the accuracy is no better than chance: if the lower end of the interval is not above one "
        "over the number of classes. Where an image may have several labels, this is the share of the images with "
        "exactly the right labels, over the images of which all labels are known."
    ),
    advice=marked("Look at the most confident mistakes, and check the preprocessing."),
    source="Interval: Wilson, Journal of the American Statistical Association, 1927.",
)

COLLAPSED = Rule(
    "predictions.collapsed",
    marked("Classes of which no image is correctly classified."),
    level=Verdict.FAIL,
    basis="exact",
    better="neither",
    tolerance=0.005,
    measured=marked(
        "A class with 20 images or more, none of them correctly classified, is a failure. A class with fewer images is "
        "a warning if at a recall of one half, all of its images would be misclassified with a probability under 5 % "
        "(corrected for the number of such classes). A network that predicts the same class for all images is a "
        "warning, too; this also needs 20 images, and is not judged if all images have the same label. Where an image "
        "may have several labels, a label is judged that 20 images have: it is a failure if it is predicted for none "
        "of them, and a warning if it is predicted for all images."
    ),
    advice=marked(
        "Check whether the class or the head was trained, whether the order of the classes is right, and whether the "
        "preprocessing is the one of training."
    ),
)

PERMUTED = Rule(
    "predictions.permuted",
    marked("Gain in accuracy by another order of the classes."),
    level=Verdict.FAIL,
    basis="heuristic",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The order with the highest accuracy is chosen on one half of the images and tested on the other half, for "
        "several random halves. A gain counts if McNemar's test gives p < 0.01, corrected for the choice of halves. "
        "Classes with fewer than 5 images keep their place; without two other classes nothing is judged. This finds "
        "class lists that were sorted in another way in training."
    ),
    advice=marked("Name the classes in the order of training: --classes takes a file with one name a line."),
    false_alarms=marked(
        "A network whose head was never trained can fit another order of the classes better than the given one: 4 of 6 "
        "such networks in the benchmark of planted defects. No sound network has this warning."
    ),
    source=(
        "Kuhn: The Hungarian Method for the Assignment Problem, 1955; Meinshausen, Meier, Bühlmann: p-Values for "
        "High-Dimensional Regression, 2009."
    ),
)

CALIBRATION = Rule(
    "predictions.calibration",
    marked("Expected calibration error: the mean difference of confidence and accuracy."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.01,
    measured=marked(
        "The error is measured in 15 bins of equal mass, with a 95 % interval by the bootstrap over the images. The "
        "audit warns if it is over the limit, and larger than a calibrated network reaches in 95 % of samples of the "
        "same size. With the option confident, the upper end of the interval has to keep the limit. With fewer than 20 "
        "labelled images nothing is judged. Where an image may have several labels, each label is judged that at least "
        "20 images have and 20 do not, of many the 50 most frequent; the error by chance is then corrected for their "
        "number."
    ),
    advice=marked("Use temperature scaling on held-out images: it corrects the confidence without retraining."),
    source="Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.",
)

AVERAGE_PRECISION = Rule(
    "predictions.average_precision",
    marked("Mean average precision of the labels, where an image may have several."),
    level=Verdict.FAIL,
    basis="statistical",
    better="higher",
    tolerance=0.005,
    measured=marked(
        "The scores of each label are counted in bins of 1/64 in log-odds (in wider ones with more than 256 labels), "
        "and images in one bin count as if in random order. The interval of a label is the 95 % bootstrap over the "
        "images. The interval of the mean is the mean of the intervals. It is wide enough, however the labels "
        "depend on each other. With more than 200 labels there is no interval. The audit warns if the interval is not "
        "above the mean share of the images that have a label, which scores that say nothing give. By default there "
        "are no other limits."
    ),
    advice=marked("Look at the labels with the lowest average precision, and check the order of the labels."),
    source="Zhu: Recall, Precision and Average Precision, 2004; interval: Efron, The Annals of Statistics, 1979.",
)

LABEL_RECALL = Rule(
    "predictions.label_recall",
    marked("Recall of a label, where an image may have several."),
    level=Verdict.FAIL,
    basis="statistical",
    better="higher",
    tolerance=0.01,
    measured=marked(
        "The share of the images with a label for which it is predicted, from a probability that the option threshold "
        "sets (0.5 by default). It is compared with its limits, if there are any: by default there are none, and the "
        "lowest recall is reported. A label that fewer than 20 images have is not judged."
    ),
    advice=marked("Look at the threshold that fits the label better, and at the images with the label."),
    source="Interval: Wilson, Journal of the American Statistical Association, 1927.",
)

RULES = (
    *(SOFTMAX, NONFINITE, STABILITY, ACCURACY, COLLAPSED, PERMUTED, CALIBRATION),
    *(AVERAGE_PRECISION, LABEL_RECALL),
)
