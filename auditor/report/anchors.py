"""The permanent anchors of findings in `report.html`: `#predictions.calibration`, `#filters.dead:conv1`."""

from __future__ import annotations

import re

from auditor.report import phrases
from auditor.results import Audit, Finding

_UNSAFE = re.compile(r"[^\w.:-]+")
_LONGEST = 100  # letters


def anchors(audit: Audit) -> tuple[tuple[str, ...], ...]:
    """Return the anchor of each finding, for each result in the order of `phrases.findings`.

    An anchor depends on the rule and the subject alone, so a link to it stays right when the audit is repeated. Only
    further findings with the same rule and subject are numbered.
    """
    met: dict[str, int] = {}
    return tuple(tuple(_numbered(name(f), met) for f in phrases.findings(result)) for result in audit.results)


def name(finding: Finding) -> str:
    """Return the anchor of a finding that is the only one with its rule and subject."""
    rule = finding.rule if "." in finding.rule else f"finding.{finding.rule}"  # other ids of the page have no dot
    whole = f"{rule}:{finding.subject}" if finding.subject else rule
    return _UNSAFE.sub("-", whole)[:_LONGEST]


def _numbered(anchor: str, met: dict[str, int]) -> str:
    met[anchor] = met.get(anchor, 0) + 1
    return anchor if met[anchor] == 1 else f"{anchor}~{met[anchor]}"
