"""Two audits side by side, and the arrays that were saved with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.errors import OutputError
from auditor.judging.rule import Rule
from auditor.report import record
from auditor.report.folder import arrays_file
from auditor.results import Audit, Verdict

Arrays = Mapping[str, Mapping[str, Any]]
"""Numbers by check and name."""


@dataclass(frozen=True, slots=True)
class Source:
    """An audit, where it was read, and its arrays; {} where none were saved."""

    audit: Audit
    path: str = ""
    arrays: Arrays = field(default_factory=dict)

    @property
    def told(self) -> dict[str, str]:
        """What a report says about it."""
        facts = self.audit.provenance
        named = {"report": self.path, "checkpoint": facts.checkpoint.name, "sha256": facts.checkpoint.sha256}
        return named | {"started": facts.started}


@dataclass(frozen=True, slots=True)
class Pair:
    """The baseline and the audit that is compared with it.

    Attributes:
        rules: What is known of the rules that the findings name: which way is better, and the tolerance.
    """

    before: Source
    after: Source
    rules: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def audits(self) -> tuple[Audit, Audit]:
        return self.before.audit, self.after.audit


class Saved(Mapping[str, Any]):
    """The arrays in a safetensors file, each read when it is asked for."""

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
    """Return an audit from the folder of its report, or from its `audit.json` under whatever name.

    Raises:
        OutputError: It can't be read, or is no audit to compare with.
    """
    audit = record.read_numbers(path)
    if audit.comparison:
        raise OutputError(f"{path} is a comparison of two audits; give the report of one of them")
    if audit.verdict is Verdict.SKIP:
        raise OutputError(f"{path} is an audit in which nothing could run, so that nothing can be compared with it")
    folder = path if path.is_dir() else path.parent
    files = {result.check: arrays_file(folder, result.check) for result in audit.results}
    return Source(audit, str(path), {check: Saved(file) for check, file in files.items() if file.is_file()})
