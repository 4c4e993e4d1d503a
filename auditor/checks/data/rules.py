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

RULES = (UNREADABLE, FEW, CLASSES)
