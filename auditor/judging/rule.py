"""What a check judges by, declared once: comparison, catalogue, documentation and reports are derived from it."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, get_args

from auditor.errors import PluginError
from auditor.results import Verdict
from auditor.version import DOCUMENTATION

Basis = Literal["exact", "statistical", "heuristic", "information"]
Better = Literal["lower", "higher", "neither"]


_ADDRESS = re.compile(r"https://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")


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
        images: Whether it is judged on the images. If so, it never passes on too few of them.
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
    images: bool = True
    measured: str = ""
    advice: str = ""
    false_alarms: str = ""
    source: str = ""
    url: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse what no report could show.

        Raises:
            PluginError: A field is of another type or value than declared; the line names it.
        """
        texts = ("name", "summary", "unit", "measured", "advice", "false_alarms", "source", "url")
        for name in texts:
            if not isinstance(getattr(self, name), str):
                raise self._wrong(name, "a text")
        for name in ("warn", "fail", "tolerance"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
                raise self._wrong(name, "a finite number, or None")
        for name, known in (("basis", get_args(Basis)), ("better", get_args(Better)), ("level", tuple(Verdict))):
            if getattr(self, name) not in known or (name == "level" and not isinstance(self.level, Verdict)):
                raise self._wrong(name, f"one of {', '.join(map(str, known))}")
        if self.url and not _ADDRESS.fullmatch(self.url):
            raise self._wrong("url", "an https address")

    def _wrong(self, field: str, expected: str) -> PluginError:
        return PluginError(f"rule {self.name!r} has {field} = {getattr(self, field)!r}, but it has to be {expected}")

    @property
    def texts(self) -> tuple[str, ...]:
        """What a reader sees of it, without what is empty."""
        texts = (self.summary, self.measured, self.advice, self.false_alarms, self.source, self.unit)
        return tuple(text for text in texts if text)


def page(rule: str) -> str:
    """Return the address of a built-in rule's page in the documentation."""
    return f"{DOCUMENTATION}reference/rules/{rule}.html"
