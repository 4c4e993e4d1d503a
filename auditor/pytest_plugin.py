"""A pytest plugin: every finding of an audit is a test item of the suite that asks for it.

    pytest --auditor net.pt --auditor-data photos/

Findings are known only when the audit is done. So it runs once, before anything is collected: with
pytest-xdist in the process that hands out the tests, which sends its workers what was found. It
runs in a process of its own, as `auditor run` does: the suite's warning filters, import hooks and
random streams leave it alone, and it them. pytest itself never loads torch, and without `--auditor`
nothing of this is loaded but this file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from auditor.language import printable

if TYPE_CHECKING:
    from auditor.results import Audit, Finding, Result

_SILENT = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")  # pytest tells the workflow what was found, not the audit


class AuditWarning(UserWarning):
    """A finding that warns."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("auditor", "audit of a trained image classifier")
    group.addoption("--auditor", metavar="CHECKPOINT", help="Audit it; every finding is a test.")
    group.addoption("--auditor-data", metavar="PATH", help="The images, as for auditor run --data.")
    group.addoption("--auditor-arch", metavar="SPEC", help="The network, as for auditor run --arch.")
    group.addoption("--auditor-config", metavar="FILE", help="Read this instead of auditor.toml.")
    group.addoption("--auditor-check", metavar="NAME", action="append", help="Run this check; repeatable.")
    group.addoption("--auditor-lang", metavar="NAME", help="Language of the findings, as for auditor run --lang.")
    group.addoption("--auditor-strict", action="store_true", help="Let a finding that warns fail.")
    group.addoption("--auditor-out", metavar="DIR", help="Write the report there; none is written if absent.")
    group.addoption("--auditor-args", metavar="FLAGS", help="Other flags of auditor run: --auditor-args='-x --seed 3'.")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.auditor is not None:
        config.pluginmanager.register(_Audited(config), "auditor-findings")
    elif given := [name for name in vars(config.option) if name.startswith("auditor_") and config.getoption(name)]:
        raise pytest.UsageError(f"--{given[0].replace('_', '-')} needs --auditor CHECKPOINT")


class _Case(NamedTuple):
    """A finding as a test, of plain values: xdist carries nothing else to its workers.

    Attributes:
        text: What is told where it does not pass: message, numbers, advice.
        numbers: `name, value` for `junit.xml`.
    """

    check: str
    name: str
    verdict: str
    text: str
    numbers: tuple[tuple[str, str], ...] = ()


class _Audited:
    """Runs the audit before the tests are collected, and adds its findings to them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._name = _plain(Path(config.option.auditor).name)
        self._cases: list[_Case] = []

    def pytest_sessionstart(self) -> None:
        sent = getattr(self._config, "workerinput", None)
        if sent is None:
            self._cases = _audit(self._config)
        else:
            self._cases = [_Case(*case) for case in sent["auditor"]]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["auditor"] = [tuple(case) for case in self._cases]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            name, path = f"auditor::{self._name}", Path(self._config.option.auditor).absolute()
            report.result.append(
                _Checkpoint.from_parent(collector, name=name, nodeid=name, path=path, cases=self._cases)
            )
        return report


class _Checkpoint(pytest.Collector):
    def __init__(self, *, cases: Sequence[_Case], **node: Any) -> None:
        super().__init__(**node)
        self._cases = cases

    def collect(self) -> Iterator[pytest.Collector]:
        for check, cases in groupby(self._cases, key=lambda case: case.check):
            yield _Asked.from_parent(self, name=check, nodeid=f"{self.nodeid}::{check}", cases=list(cases))


class _Asked(pytest.Collector):
    """A check and its findings."""

    def __init__(self, *, cases: Sequence[_Case], **node: Any) -> None:
        super().__init__(**node)
        self._cases = cases

    def collect(self) -> Iterator[pytest.Item]:
        for case in self._cases:
            # pytest compares ids by their parts, and finds the one in brackets only in an id that is given whole
            yield _Item.from_parent(self, name=case.name, nodeid=f"{self.nodeid}::{case.name}", case=case)


class _Item(pytest.Item):
    """A finding: one that fails is a failure, one that broke an error, one that warns a pytest warning."""

    def __init__(self, *, case: _Case, **node: Any) -> None:
        super().__init__(**node)
        self._case = case
        self.user_properties.extend(case.numbers)

    def setup(self) -> None:
        if self._case.verdict == "error":
            pytest.fail(self._case.text, pytrace=False)

    def runtest(self) -> None:
        match self._case.verdict:
            case "fail":
                pytest.fail(self._case.text, pytrace=False)
            case "skip":
                pytest.skip(f"{self._case.name}: {self._case.text}")
            case "warn":
                warnings.warn_explicit(AuditWarning(self._case.text), None, "<auditor>", 1)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self._case.name} of {self._case.check}"


def _audit(config: pytest.Config) -> list[_Case]:
    """Run the audit and return its findings.

    Raises:
        UsageError: It could not be done; the line is the one that `auditor run` ends with.
    """
    asked, begun = config.option, time.perf_counter()
    _tell(config, f"auditing {asked.auditor}")
    with tempfile.TemporaryDirectory(prefix="auditor-") as spare:
        folder = config.invocation_params.dir / (asked.auditor_out or spare)
        flags = [*_flags(config), "--out", str(folder), *([] if asked.auditor_out else ["--format", "json"])]
        before = _written(folder)
        ended = _run(config, [*flags, "--", asked.auditor])
        if ended.returncode not in (0, 1, 2, 5) or _written(folder) == before:
            raise pytest.UsageError(_reason(ended))
        cases = _read(folder)
    _tell(config, f"{len(cases)} findings in {time.perf_counter() - begun:.1f} s")
    return cases


def _flags(config: pytest.Config) -> list[str]:
    asked = config.option
    named = {"data": asked.auditor_data, "arch": asked.auditor_arch, "config": asked.auditor_config}
    named |= {"lang": asked.auditor_lang}
    flags = [word for name, value in named.items() if value is not None for word in (f"--{name}", value)]
    flags += [word for name in asked.auditor_check or () for word in ("--check", name)]
    flags += ["--strict"] * asked.auditor_strict
    try:
        return flags + shlex.split(asked.auditor_args or "")
    except ValueError as error:
        raise pytest.UsageError(f"--auditor-args is {asked.auditor_args!r}: {error}") from None


def _run(config: pytest.Config, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "auditor", "run", *arguments]  # -P: no file lying here shadows a module
    return subprocess.run(  # noqa: S603 - the words are given one by one, no shell reads them
        command,
        cwd=config.invocation_params.dir,
        env={name: value for name, value in os.environ.items() if name not in _SILENT},
        stdout=sys.__stderr__ if config.get_verbosity() > 0 else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )


def _written(folder: Path) -> tuple[int, int] | None:
    """Return what tells a new report from an older one; None where there is none."""
    try:
        found = (folder / "audit.json").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    told = [line.removeprefix("error: ") for line in ended.stderr.splitlines() if line.startswith("error: ")]
    last = ended.stderr.strip().splitlines()[-1:]
    return f"auditor: {(told or last or [f'the audit ended with exit code {ended.returncode}'])[-1]}"


def _tell(config: pytest.Config, text: str) -> None:
    if config.get_verbosity() >= 0:
        print(f"auditor: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _read(folder: Path) -> list[_Case]:
    from auditor.errors import AuditorError
    from auditor.language import speaking
    from auditor.report import deciding, record

    try:
        audit = record.read_numbers(folder)
    except AuditorError as error:
        raise pytest.UsageError(f"auditor: {error}") from None
    strict = deciding.is_strict(audit)
    with speaking(audit.provenance.language):
        cases = [case for result in audit.results for case in _cases(result, strict=strict)]
    return _unique([*cases, *_left_out(audit)])


def _cases(result: Result, *, strict: bool) -> Iterator[_Case]:
    from auditor.report import phrases

    check, found = _plain(result.check), phrases.findings(result)
    for finding in found:
        verdict = "fail" if strict and str(finding.verdict) == "warn" else str(finding.verdict)
        yield _Case(check, _name(finding.rule, finding.subject), verdict, _text(finding), _numbers(finding))
    if not found:
        yield _Case(check, "shown", "info", "pictures only")


def _left_out(audit: Audit) -> Iterator[_Case]:
    """An audit that was ended early is no success, and what had no turn is skipped."""
    if audit.interrupted:
        yield _Case("auditor", "complete", "error", "the audit was interrupted")
    for check in audit.not_run:
        yield _Case(_plain(check), "not run", "skip", "the audit ended before this check's turn")


def _text(finding: Finding) -> str:
    from auditor.report import phrases

    parts = (finding.message, phrases.numbers(finding), phrases.advice(finding))
    return printable("\n".join(part for part in parts if part))


def _numbers(finding: Finding) -> tuple[tuple[str, str], ...]:
    told = {"value": finding.value, "limit": finding.limit, "n": finding.n, "unit": finding.unit or None}
    return tuple((name, str(value)) for name, value in told.items() if value is not None)


def _name(rule: str, subject: str) -> str:
    return _plain(f"{rule}[{subject}]" if subject else rule)


def _plain(text: str) -> str:
    """Return a text that can be a part of a test's name."""
    return re.sub(r"\s+", " ", printable(text)).replace("::", ":")


def _unique(cases: Iterable[_Case]) -> list[_Case]:
    """Return the cases with a number in the brackets of a name that an earlier one has."""
    taken: dict[tuple[str, str], _Case] = {}
    for case in cases:
        name, count = case.name, 1
        while (case.check, name) in taken:
            count += 1
            rule, bracket, subject = case.name.partition("[")
            name = f"{rule}[{subject.removesuffix(']')}-{count}]" if bracket else f"{rule}[{count}]"
        taken[case.check, name] = case._replace(name=name)
    return list(taken.values())
