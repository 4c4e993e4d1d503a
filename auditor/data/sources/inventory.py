"""What a source holds: its images by name, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.data.manifest import Label
from auditor.data.skipped import Skipped
from auditor.data.sources.source import Source


@dataclass(frozen=True, slots=True)
class Inventory:
    """The images of a source in their order.

    Attributes:
        names: The names for the report, with `/`.
        labels: The folder's name, the text or number beside the image, or None.
        folders: All class folders, sorted; () where the labels come from elsewhere.
        class_names: The names of the classes by number, where the labels are numbers and the data name them.
        skipped: The files that are not among the images; None where the source does not tell.
    """

    source: Source
    names: Sequence[str]
    labels: Sequence[Label]
    folders: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] | None = None
