"""A pytest plugin: every finding of an audit becomes a test item.

    pytest --auditor net.pt --auditor-data photos/

The findings are known only after the audit. It therefore runs once, before collection. With pytest-xdist it runs in the
controller, which sends the findings to its workers. The audit is a separate process, like `auditor run`, so warning
filters, import hooks and random streams of the suite do not affect it, nor it them. pytest itself never loads torch,
and without `--auditor` only this file is loaded.
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

from auditor.process.console import say
from auditor.process.foreign_text import printable, printable_lines

if TYPE_CHECKING:
    from auditor.results import Audit, Finding, Result

_WORKFLOW = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")  # unset for the audit: pytest reports to the workflow


class AuditWarning(UserWarning):
    """A finding that warns."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("auditor", "audit of a trained image classifier")
    group.addoption("--auditor", metavar="CHECKPOINT", help="Audit this checkpoint. Every finding is a test.")
    group.addoption("--auditor-data", metavar="PATH", help="Images. Same as auditor run --data.")
    group.addoption("--auditor-arch", metavar="SPEC", help="Architecture. Same as auditor run --arch.")
    group.addoption("--auditor-config", metavar="FILE", help="Configuration file, instead of auditor.toml.")
    group.addoption("--auditor-check", metavar="NAME", action="append", help="Run only this check. Repeatable.")
    group.addoption("--auditor-lang", metavar="NAME", help="Language of the findings. Same as auditor run --lang.")
    group.addoption("--auditor-strict", action="store_true", help="Fail on warnings, too.")
    group.addoption("--auditor-out", metavar="DIR", help="Write the report to this folder. Default: no report.")
    group.addoption("--auditor-args", metavar="FLAGS", help="More flags of auditor run: --auditor-args='-x --seed 3'.")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.auditor is not None:
        config.pluginmanager.register(_Audited(config), "auditor-findings")
    elif given := [name for name in vars(config.option) if name.startswith("auditor_") and config.getoption(name)]:
        raise pytest.UsageError(f"--{given[0].replace('_', '-')} needs --auditor CHECKPOINT")


class _Case(NamedTuple):
    """A finding as a test. It has plain values only, because xdist can send nothing else to its workers.

    Attributes:
        text: The text of a failure, skip or warning: message, numbers, advice.
        numbers: Pairs of name and value for `junit.xml`.
    """

    check: str
    name: str
    verdict: str
    text: str
    numbers: tuple[tuple[str, str], ...] = ()


class _Audited:
    """Runs the audit before the tests are collected, and adds its findings to the tests."""

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
            yield _CheckNode.from_parent(self, name=check, nodeid=f"{self.nodeid}::{check}", cases=list(cases))


class _CheckNode(pytest.Collector):
    """A check and its findings."""

    def __init__(self, *, cases: Sequence[_Case], **node: Any) -> None:
        super().__init__(**node)
        self._cases = cases

    def collect(self) -> Iterator[pytest.Item]:
        for case in self._cases:
            # pytest compares ids part by part, and matches the part in brackets only in a complete id
            yield _Item.from_parent(self, name=case.name, nodeid=f"{self.nodeid}::{case.name}", case=case)


class _Item(pytest.Item):
    """A finding: `fail` is a failure, `error` an error in setup, `warn` a pytest warning."""

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
        UsageError: The audit could not run. The message is the last line of `auditor run`.
    """
    options, begun = config.option, time.perf_counter()
    _report(config, f"auditing {options.auditor}")
    with tempfile.TemporaryDirectory(prefix="auditor-") as temporary:
        folder = config.invocation_params.dir / (options.auditor_out or temporary)
        flags = [*_flags(config), "--out", str(folder), *([] if options.auditor_out else ["--format", "json"])]
        before = _written(folder)
        ended = _run(config, [*flags, "--", options.auditor])
        if ended.returncode not in (0, 1, 2, 5) or _written(folder) in (None, before):
            raise pytest.UsageError(_reason(ended))
        cases = _read(folder)
    _report(config, f"{len(cases)} findings in {time.perf_counter() - begun:.1f} s")
    return cases


def _flags(config: pytest.Config) -> list[str]:
    options = config.option
    named = {"data": options.auditor_data, "arch": options.auditor_arch, "config": options.auditor_config}
    named |= {"lang": options.auditor_lang}
    flags = [word for name, value in named.items() if value is not None for word in (f"--{name}", value)]
    flags += [word for name in options.auditor_check or () for word in ("--check", name)]
    flags += ["--strict"] * options.auditor_strict
    try:
        return flags + shlex.split(options.auditor_args or "")
    except ValueError as error:
        raise pytest.UsageError(f"--auditor-args is {options.auditor_args!r}: {error}") from None


def _run(config: pytest.Config, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "auditor",
        "run",
        *arguments,
    ]  # -P: files in this folder must not shadow modules
    return subprocess.run(  # noqa: S603 - a list of arguments, without a shell
        command,
        cwd=config.invocation_params.dir,
        env={name: value for name, value in os.environ.items() if name not in _WORKFLOW},
        stdout=sys.__stderr__ if config.get_verbosity() > 0 else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )


def _written(folder: Path) -> tuple[int, int] | None:
    """Return what distinguishes a new report from an older one; None if there is none."""
    try:
        found = (folder / "audit.json").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    errors = [line.removeprefix("error: ") for line in ended.stderr.splitlines() if line.startswith("error: ")]
    last = ended.stderr.strip().splitlines()[-1:]
    return f"auditor: {(errors or last or [f'the audit exited with code {ended.returncode}'])[-1]}"


def _report(config: pytest.Config, text: str) -> None:
    if config.get_verbosity() >= 0:
        say(f"auditor: {printable(text)}", err=True)


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
    return _unique([*cases, *_stopped_early(audit)])


def _cases(result: Result, *, strict: bool) -> Iterator[_Case]:
    from auditor.report import phrases

    check, found = _plain(result.check), phrases.findings(result)
    for finding in found:
        verdict = "fail" if strict and str(finding.verdict) == "warn" else str(finding.verdict)
        yield _Case(check, _name(finding.rule, finding.subject), verdict, _text(finding), _numbers(finding))
    if not found:
        yield _Case(check, "shown", "info", "pictures only")


def _stopped_early(audit: Audit) -> Iterator[_Case]:
    """Yield an error for an interrupted audit, and a skip for each check that did not run."""
    if audit.interrupted:
        yield _Case("auditor", "complete", "error", "the audit was interrupted")
    for check in audit.not_run:
        yield _Case(_plain(check), "not run", "skip", "the audit stopped before this check ran")


def _text(finding: Finding) -> str:
    from auditor.report import phrases

    parts = (finding.message, phrases.numbers(finding), phrases.advice(finding))
    return printable_lines("\n".join(part for part in parts if part))


def _numbers(finding: Finding) -> tuple[tuple[str, str], ...]:
    numbers = {"value": finding.value, "limit": finding.limit, "n": finding.n, "unit": finding.unit or None}
    return tuple((name, str(value)) for name, value in numbers.items() if value is not None)


def _name(rule: str, subject: str) -> str:
    return _plain(f"{rule}[{subject}]" if subject else rule)


def _plain(text: str) -> str:
    """Return a text that is valid in the name of a test."""
    return printable(re.sub(r"\s+", " ", text).replace("::", ":"))


def _unique(cases: Iterable[_Case]) -> list[_Case]:
    """Return the cases with unique names: a repeated name gets a number in its brackets."""
    taken: dict[tuple[str, str], _Case] = {}
    for case in cases:
        name, count = case.name, 1
        while (case.check, name) in taken:
            count += 1
            rule, bracket, subject = case.name.partition("[")
            name = f"{rule}[{subject.removesuffix(']')}-{count}]" if bracket else f"{rule}[{count}]"
        taken[case.check, name] = case._replace(name=name)
    return list(taken.values())
