"""How many findings have each verdict: the one count that terminal, summary and page show."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.report import phrases
from auditor.results import Audit, Verdict


def counts(audit: Audit) -> Mapping[Verdict, int]:
    """Return the number of findings by verdict, the worst verdict first; a verdict that no finding has is left out.

    What follows from another finding is not counted: it is a part of that one.
    """
    met = audit.counts
    met[Verdict.ERROR] += sum(not result.evidence for result in audit.results)
    return {verdict: met[verdict] for verdict in phrases.VERDICTS if met[verdict]}
