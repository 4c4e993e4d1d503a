"""What checkpoint judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

MISSING = Rule(
    "checkpoint.missing",
    marked("Tensors of the network that are missing in the file."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    images=False,
    measured=marked("Missing tensors stay at random initialisation. Any is a failure."),
    advice=marked("Save the whole network again, or set the architecture of training with --arch."),
)

UNEXPECTED = Rule(
    "checkpoint.unexpected",
    marked("Tensors of the file that are not in the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    images=False,
    measured=marked(
        "Any is a failure. Tensors of a loss or a metric that was saved with the network are left out and listed as "
        "information."
    ),
    advice=marked("The network of training is another one: set it with --arch and --arch-arg."),
)

SHAPE = Rule(
    "checkpoint.shape",
    marked("Tensors of the file that have another shape than in the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    images=False,
    measured=marked("Such tensors are not loaded. Any is a failure."),
    advice=marked("Give the network its sizes of training, for example --arch-arg num_classes=4."),
)

BATCHNORM = Rule(
    "checkpoint.batchnorm",
    marked("Batch-norm layers whose running statistics were never trained."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("layers"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    images=False,
    measured=marked(
        "The statistics of a layer were never trained if all its running means are 0 or all its running variances are "
        "1. Any such layer is a failure. Layers with other statistics that have counted no training batch are "
        "mentioned and are no failure, since converted checkpoints have them."
    ),
    advice=marked("Save the buffers with the parameters: state_dict(), not parameters()."),
)

WEIGHTS = Rule(
    "checkpoint.weights",
    marked("Difference in accuracy between the audited set of weights and the other sets in the file."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "A file may hold several sets of weights of one network: plain and averaged ones, student and teacher, the "
        "last and the best. The audited set and each of the others classify the same labelled images, at most 200, "
        "spread over the classes. The audit warns if the difference in top-1 accuracy is over the limit and larger "
        "than by chance (p < 0.01, McNemar's exact test, corrected by Holm for the number of sets). With fewer than "
        "20 labelled images nothing is compared. Parameters that another set does not have are those of the audited "
        "set."
    ),
    advice=marked("Make sure that the audited set is the one in use. Choose another one with --weights NAME."),
    false_alarms=marked("Averages that were taken over few steps are still near to random initialisation."),
    source="McNemar, Psychometrika 12, 1947; Newcombe, Statistics in Medicine 17, 1998.",
)

CLASSES = Rule(
    "checkpoint.classes",
    marked("Whether the class names in the file fit the network."),
    level=Verdict.WARN,
    basis="exact",
    unit=marked("classes"),
    images=False,
    measured=marked(
        "A file that names more or fewer classes than the network has outputs is a warning, and its names are not "
        "used. A file without class names is not judged."
    ),
    advice=marked("Give one name for each output, in their order, with --classes."),
)

RULES = (MISSING, UNEXPECTED, SHAPE, BATCHNORM, CLASSES, WEIGHTS)
