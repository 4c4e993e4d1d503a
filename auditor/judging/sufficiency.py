"""Whether the images are enough to judge by. A verdict on too little data is never a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from auditor.judging.rule import Rule
from auditor.language import _, headed, many
from auditor.results import Evidence, Finding, Result, Verdict

FEWEST = 8
"""Distinct readable images under which nothing that is judged on images passes."""

MOST_UNREADABLE = 0.1
"""Share of unreadable files over which nothing that is judged on images passes."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many images there are to judge by.

    Attributes:
        files: Number of files that were tried.
        unreadable: Number of them that can't be read.
        distinct: Number of readable files in the data with different contents.
    """

    files: int
    unreadable: int
    distinct: int

    @property
    def share(self) -> float:
        """The share of unreadable files, 0 to 1."""
        return self.unreadable / self.files if self.files else 0.0

    def shortage(self, *, most: float = MOST_UNREADABLE, fewest: int = FEWEST) -> str:
        """Return why the images are not enough to judge by; an empty text if they are.

        Args:
            most: Share of unreadable files that is allowed.
            fewest: Number of distinct readable images that is needed.
        """
        if self.share > most:
            return many(
                "{count} of {n} files is unreadable",
                "{count} of {n} files are unreadable",
                self.unreadable,
                n=self.files,
            )
        if self.distinct < fewest:
            return many(
                "the data have {count} distinct readable image ({fewest} needed)",
                "the data have {count} distinct readable images ({fewest} needed)",
                self.distinct,
                fewest=fewest,
            )
        return ""


def withheld(result: Result, rules: Mapping[str, Rule], shortage: str) -> Result:
    """Return the result of a check that looked at too few images: what passed on images is skipped.

    Args:
        rules: The rules of the check by name; those that are judged without images keep their verdict.
        shortage: Why the images are not enough to judge by.
    """
    return replace(result, evidence=tuple(_withheld(piece, rules, shortage) for piece in result.evidence))


def _withheld(piece: Evidence, rules: Mapping[str, Rule], shortage: str) -> Evidence:
    if not isinstance(piece, Finding) or piece.verdict is not Verdict.PASS:
        return piece
    if piece.rule in rules and not rules[piece.rule].images:
        return piece
    message = headed(_("not judged, since {shortage}", shortage=shortage), piece.message)
    return replace(piece, verdict=Verdict.SKIP, message=message)
