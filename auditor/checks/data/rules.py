"""What data judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

UNREADABLE = Rule(
    "data.unreadable",
    marked("Files that can't be read as images."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    warn=0.0,
    images=False,
    measured=marked(
        "Any unreadable file is a warning; a share over the limit is a failure, and nothing that is judged on images "
        "passes. The failure is reported even if the check data is not selected. Unreadable files are left out of "
        "everything else."
    ),
    advice=marked("Repair or remove the files."),
)

FEW = Rule(
    "data.few",
    marked("Distinct readable images."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("images"),
    better="higher",
    tolerance=0.0,
    measured=marked(
        "Files with the same contents count once. Under the option fewest, the audit warns, and nothing that is judged "
        "on images passes. With fewer than 2 distinct images the audit fails."
    ),
    advice=marked("Give more images."),
)

CLASSES = Rule(
    "data.classes",
    marked("Whether the folders or labels fit the classes of the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("classes"),
    measured=marked(
        "Folders or labels that don't fit are a failure, and nothing that needs labels is measured. Images without "
        "labels are skipped. Otherwise the finding counts the classes that have images."
    ),
    advice=marked("Name the folders like the classes, or list the classes in their order with --classes."),
)

LABELS = Rule(
    "data.labels",
    marked("Images that have two labels."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("images"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked(
        "Files with the same contents are one image. Any image that has more than one label is a failure. In the "
        "accuracy each image counts once."
    ),
    advice=marked("Correct the labels. If images have several labels, give --task multilabel."),
)

DUPLICATES = Rule(
    "data.duplicates",
    marked("Files with the same contents as another file."),
    level=Verdict.INFO,
    basis="exact",
    unit=marked("files"),
    better="lower",
    tolerance=0.0,
    measured=marked("Contents are compared byte by byte. In the accuracy, files with the same contents count once."),
    advice=marked("Remove the copies, or list each file once."),
)

LAYOUT = Rule(
    "data.layout",
    marked("What was assumed about the folders or the manifest."),
    level=Verdict.WARN,
    basis="information",
    images=False,
    measured=marked(
        "Separator, header, split, level of the folders and order of the classes are told where the data leave them "
        "open. If the data could mean something else, the audit warns."
    ),
    advice=marked("Give --split, --root or --classes if it is otherwise."),
)

RULES = (UNREADABLE, FEW, LAYOUT, CLASSES, LABELS, DUPLICATES)
