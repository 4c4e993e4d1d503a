"""What checks rest on. Where a finding takes it away, they are not run: their verdicts would mean nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from auditor.language import _, headed, some
from auditor.results import Finding, Result, Verdict

WEIGHTS: Final = "weights"
"""The network has the weights of its training, at least most of them."""

ANSWERS: Final = "answers"
"""The answers are numbers, of the classes that the data name, and better than chance."""

GROUNDS: Final = (WEIGHTS, ANSWERS)


def blocking(needs: Collection[str], results: Iterable[Result]) -> tuple[Finding, ...]:
    """Return the findings that take away what a check needs, the first that was found first."""
    found = (finding for result in results for finding in result.findings)
    return tuple(one for one in found if one.verdict >= Verdict.WARN and not set(one.ends).isdisjoint(needs))


def reason(findings: Sequence[Finding]) -> str:
    """Return why a check is not run, from the findings of `blocking`."""
    rules = some(dict.fromkeys(finding.rule for finding in findings))
    return headed(_("blocked by {rules}", rules=rules), findings[0].message)
