"""What a check judges by, declared once: comparison, catalogue, documentation and reports are derived from it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from auditor.results import Verdict
from auditor.version import DOCUMENTATION

Basis = Literal["exact", "statistical", "heuristic", "information"]
Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a check judges, beside the check that judges it.

        DARK = Rule(
            "brightness.dark",
            "Images that are nearly black.",
            level=Verdict.WARN,
            basis="exact",
            better="lower",
            advice="Look at the files that the finding lists.",
        )

    An option of the check called `RULE_warn` or `RULE_fail` is a limit of the rule; `warn` and `fail` are for limits
    that no option sets.

    Attributes:
        name: `check.rule`. It is stable: builds refer to it.
        summary: What is counted or measured, in one sentence.
        level: The worst verdict that it gives by default.
        basis: Whether it is a fact, a test, a rule of thumb, or information only.
        unit: Of the value, like `Finding.unit`; "" is a share of 1.
        better: Which direction of the value is better.
        tolerance: The difference up to which two values are the same; None is 0.01 for a share, and 1 % of the larger
            value for a number with a unit.
        warn, fail: Fixed limits of the value.
        measured: How it is measured and judged: n, test, correction, what is left out.
        advice: What to do about it.
        false_alarms: Sound networks that are known to break it.
        source: The paper or standard that it rests on.
        url: The page that explains it; of a built-in rule the one in the documentation.
    """

    name: str
    summary: str
    _: KW_ONLY
    level: Verdict = Verdict.WARN
    basis: Basis = "heuristic"
    unit: str = ""
    better: Better = "neither"
    tolerance: float | None = None
    warn: float | None = None
    fail: float | None = None
    measured: str = ""
    advice: str = ""
    false_alarms: str = ""
    source: str = ""
    url: str = field(default="", compare=False)

    @property
    def texts(self) -> tuple[str, ...]:
        """What a reader sees of it, without what is empty."""
        told = (self.summary, self.measured, self.advice, self.false_alarms, self.source, self.unit)
        return tuple(text for text in told if text)


def page(rule: str) -> str:
    """Return the address of a built-in rule's page in the documentation."""
    return f"{DOCUMENTATION}reference/rules/{rule}.html"
