"""Findings as workflow commands of GitHub Actions, which shows them on the run and the pull request.

    ::error title=predictions.accuracy [cat]::Top-1 accuracy 40 %25 (16 of 40).

The runner executes every printed line that looks like a command. Everything that an audit prints is therefore
enclosed in the two lines of `stopped()`, and names of files and plugins in these commands are escaped.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from auditor.language import _, many
from auditor.process.foreign_text import printable, printable_lines
from auditor.report import deciding, phrases
from auditor.results import Audit, Exit, Finding, Verdict

_MOST = 10  # annotations that GitHub shows per kind and step
_LONGEST = 3000  # letters of a message; GitHub allows 4096 bytes
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def stopped() -> tuple[str, str]:
    """Return two lines. Between them the runner reads no commands, and the second line can't be guessed."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}", f"::{token}::"


def lines(audit: Audit) -> list[str]:
    """Return the commands, the worst first: an error for each finding that changes the exit code, else a warning."""
    strict = deciding.is_strict(audit)
    found = [finding for check, finding in deciding.worst_first(audit) if finding.verdict >= Verdict.WARN]
    errors = [*_stopped_early(audit), *(_finding("error", f) for f in found if deciding.costs(f, strict=strict))]
    warnings = [_finding("warning", f) for f in found if not deciding.costs(f, strict=strict)]
    return [*_shown(errors, "error"), *_shown(warnings, "warning")]


def command(name: str, title: str, message: str) -> str:
    """Return a workflow command on one line, whatever the texts contain."""
    text = printable_lines(message)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"::{name} title={printable(title).translate(_PROPERTY)}::{text.translate(_DATA)}"


def _stopped_early(audit: Audit) -> list[str]:
    """Return an error if the audit was interrupted or no check could run."""
    if audit.interrupted:
        return [command("error", "auditor", _("The audit was interrupted; the report is incomplete."))]
    if audit.exit_code() is Exit.NOTHING:
        return [command("error", "auditor", phrases.headline(audit))]
    return []


def _finding(name: str, finding: Finding) -> str:
    title = f"{finding.rule} [{finding.subject}]" if finding.subject else finding.rule
    numbers = phrases.numbers(finding)
    first = f"{phrases.sentence(finding.message)} ({numbers})" if numbers else phrases.sentence(finding.message)
    return command(name, title[:200], "\n".join(part for part in (first, phrases.advice(finding)) if part))


def _shown(commands: Sequence[str], name: str) -> list[str]:
    """Return as many commands as GitHub shows; the last one says how many more there are."""
    if len(commands) <= _MOST:
        return list(commands)
    more = len(commands) - _MOST + 1
    texts = {
        "error": many("{count} more error: see the report.", "{count} more errors: see the report.", more),
        "warning": many("{count} more warning: see the report.", "{count} more warnings: see the report.", more),
    }
    return [*commands[: _MOST - 1], command(name, "auditor", texts[name])]
