"""A pair of audits, and the arrays saved with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.errors import OutputError
from auditor.judging.rule import Rule
from auditor.report import record
from auditor.report.folder import arrays_file
from auditor.report.translation import in_language
from auditor.results import Audit, Verdict

Arrays = Mapping[str, Mapping[str, Any]]
"""Arrays by check and name."""


@dataclass(frozen=True, slots=True)
class Source:
    """An audit, the path it was read from, and its arrays; {} if none were saved."""

    audit: Audit
    path: str = ""
    arrays: Arrays = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, str]:
        """What a report says about this audit: where it was read, its checkpoint, and when it started."""
        facts = self.audit.provenance
        return {
            "report": self.path,
            "checkpoint": facts.checkpoint.name,
            "sha256": facts.checkpoint.sha256,
            "started": facts.started,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """The baseline and the audit that is compared with it.

    Attributes:
        rules: What is known of the rules that the findings name: which way is better, and the tolerance.
    """

    before: Source
    after: Source
    rules: Mapping[str, Rule] = field(default_factory=dict)

    def translated(self, language: str) -> Pair:
        """Return the pair with both audits in one language, as far as they know how their texts were made."""
        before, after = (replace(one, audit=in_language(one.audit, language)) for one in (self.before, self.after))
        return replace(self, before=before, after=after)

    @property
    def audits(self) -> tuple[Audit, Audit]:
        return self.before.audit, self.after.audit


class Saved(Mapping[str, Any]):
    """The arrays in a safetensors file, each read on access."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __getitem__(self, name: str) -> Any:
        with self._opened() as opened:
            return opened.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        with self._opened() as opened:
            return iter(list(opened.keys()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _opened(self) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            return safe_open(self._file, framework="numpy")
        except (OSError, SafetensorError) as error:
            raise OutputError(f"{self._file} can't be read: {' '.join(str(error).split())}") from None


def read(path: Path) -> Source:
    """Return an audit from the folder of its report, or from its `audit.json` under any name.

    Raises:
        OutputError: The audit can't be read, or can't be compared with.
    """
    audit = record.read_numbers(path)
    if audit.comparison:
        raise OutputError(f"{path} is a comparison of two audits, not an audit: give the report of one of them")
    if audit.verdict is Verdict.SKIP:
        raise OutputError(f"{path} can't be compared with: no check could run in this audit")
    folder = path if path.is_dir() else path.parent
    files = {result.check: arrays_file(folder, result.check) for result in audit.results}
    return Source(audit, str(path), {check: Saved(file) for check, file in files.items() if file.is_file()})
