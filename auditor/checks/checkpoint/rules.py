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
    measured=marked(
        "The statistics of a layer were never trained if all its running means are 0 or all its running variances are "
        "1. Any such layer is a failure. Layers with other statistics that have counted no training batch are "
        "mentioned and are no failure, since converted checkpoints have them."
    ),
    advice=marked("Save the buffers with the parameters: state_dict(), not parameters()."),
)

RULES = (MISSING, UNEXPECTED, SHAPE, BATCHNORM)
