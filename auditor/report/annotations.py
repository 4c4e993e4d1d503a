"""Findings as workflow commands of GitHub Actions, which shows them on the run and on the pull request.

    ::error title=predictions.accuracy [cat]::Right on 40 %25 of 40 images.

The runner takes each line that it reads for a command if it looks like one. So all that an audit
prints stands between `stopped()`, and what these commands say of files and plugins is escaped.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from auditor.language import _, many, printable
from auditor.report import deciding, phrases
from auditor.results import Audit, Exit, Finding, Verdict

_MOST = 10  # that GitHub shows of each kind and step
_LONGEST = 3000  # letters of a message; GitHub has 4096 bytes for it
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def stopped() -> tuple[str, str]:
    """Return two lines; between them nothing that is printed is a command, as nobody can guess the second."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}", f"::{token}::"


def lines(audit: Audit) -> list[str]:
    """Return the commands, the worst first: what costs the exit code is an error, any other warning a warning."""
    strict = deciding.is_strict(audit)
    found = [finding for check, finding in deciding.worst_first(audit) if finding.verdict >= Verdict.WARN]
    errors = [*_ended(audit), *(_finding("error", f) for f in found if deciding.costs(f, strict=strict))]
    warnings = [_finding("warning", f) for f in found if not deciding.costs(f, strict=strict)]
    return [*_shown(errors, "error"), *_shown(warnings, "warning")]


def command(name: str, title: str, message: str) -> str:
    """Return a workflow command that is one line, whatever the texts are."""
    text = printable(message)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"::{name} title={printable(title).translate(_PROPERTY)}::{text.translate(_DATA)}"


def _ended(audit: Audit) -> list[str]:
    """Return what costs the exit code without being a finding."""
    if audit.interrupted:
        return [command("error", "auditor", _("The audit was interrupted; the report holds what was done."))]
    if audit.exit_code() is Exit.NOTHING:
        return [command("error", "auditor", phrases.headline(audit))]
    return []


def _finding(name: str, finding: Finding) -> str:
    title = f"{finding.rule} [{finding.subject}]" if finding.subject else finding.rule
    numbers = phrases.numbers(finding)
    first = f"{phrases.sentence(finding.message)} ({numbers})" if numbers else phrases.sentence(finding.message)
    return command(name, title[:200], "\n".join(part for part in (first, phrases.advice(finding)) if part))


def _shown(commands: Sequence[str], name: str) -> list[str]:
    """Return as many as GitHub shows, the last of them saying how many more there are."""
    if len(commands) <= _MOST:
        return list(commands)
    more = len(commands) - _MOST + 1
    told = {
        "error": many("{count} more error: see the report.", "{count} more errors: see the report.", more),
        "warning": many("{count} more warning: see the report.", "{count} more warnings: see the report.", more),
    }
    return [*commands[: _MOST - 1], command(name, "auditor", told[name])]
