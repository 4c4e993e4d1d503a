"""How many findings have each verdict: the one count that terminal, summary and page show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from auditor.report import phrases
from auditor.results import Audit, Verdict


def counts(audit: Audit) -> Mapping[Verdict, int]:
    """Return the number of findings by verdict, the worst verdict first; a verdict that no finding has is left out."""
    met = Counter(finding.verdict for result in audit.results for finding in phrases.findings(result))
    return {verdict: met[verdict] for verdict in phrases.VERDICTS if met[verdict]}
