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

SKIPPED = Rule(
    "data.skipped",
    marked("Image files that were skipped: in formats that are not read, or hidden."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    warn=0.0,
    images=False,
    measured=marked(
        "Files below the folder of the data, or in the archive, are counted by suffix and class. Any image in a "
        "format that is not read, such as RAW or JPEG XL, or HEIC and DICOM without their extra, and any "
        "hidden image is a warning. A share over the limit is a failure: the accuracy is then measured on another "
        "selection than the data. "
        "These files are only mentioned: files that are no images, images beside a readable one of the same name, "
        "arrays beside images, and images in folders that a program keeps for itself, such as .ipynb_checkpoints. "
        "A manifest names its files, so that none are skipped."
    ),
    advice=marked("Install the extra that reads the format, convert the files, or rename hidden ones."),
)

CONVERTED = Rule(
    "data.converted",
    marked("Images that were converted when they were read."),
    level=Verdict.INFO,
    basis="information",
    unit=marked("images"),
    images=False,
    measured=marked(
        "Counted are images with an EXIF orientation, transparent pixels, 16 bits, floating-point values, CMYK, a "
        "palette, an embedded colour profile, several frames, or a DICOM window. The finding says what was done to "
        "them."
    ),
    advice=marked("Compare with training. The keys exif, alpha and range of [preprocess] do the same as training did."),
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
    basis="information",
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
    basis="heuristic",
    images=False,
    measured=marked(
        "Separator, header, split, level of the folders and order of the classes are told where the data leave them "
        "open. If the data could mean something else, the audit warns."
    ),
    advice=marked("Give --split, --root or --classes if it is otherwise."),
)

RULES = (UNREADABLE, FEW, LAYOUT, CLASSES, LABELS, DUPLICATES, SKIPPED, CONVERTED)
