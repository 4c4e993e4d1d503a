"""The errors that a user can correct, and their exit codes.

```text
AuditorError            one line: what was found, what was expected, what to do
├── UsageError          an invalid flag, option or configuration file
├── CheckpointError     a file that is not a readable checkpoint
│   └── UnsafeCheckpoint    a pickle that would run code
├── ArchitectureError   no network can be built for the checkpoint
├── DataError           images or labels that can't be used
├── PluginError         a plugin that can't be loaded or breaks its contract
├── OutputError         a folder that can't be written, or an unreadable report
├── ProcessLost         another process of the same audit that ended early
└── NothingToRun        no check is selected, or none could run
```

`Skip` is not an error: a check raises it to say why it does not apply.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AuditorError(Exception):
    """An expected failure, described in one line."""

    exit_code = 4


class UsageError(AuditorError):
    """A flag, an option or a configuration file has an unknown name or an invalid value."""


class CheckpointError(AuditorError):
    """The file is missing, damaged or not a checkpoint."""


class UnsafeCheckpoint(CheckpointError):
    """The checkpoint is a pickle that needs more than tensors and containers."""


class ArchitectureError(AuditorError):
    """No network can be built that the checkpoint's tensors fit."""


class DataError(AuditorError):
    """The images or their labels can't be used."""


class PluginError(AuditorError):
    """A plugin can't be loaded, or what it provides breaks its contract."""


class OutputError(AuditorError):
    """The output folder can't be written, or is not a report."""


class NothingToRun(AuditorError):
    """No check is selected, or none could run."""

    exit_code = 5


class ProcessLost(AuditorError):
    """Another process of the same audit has ended early."""

    exit_code = 3


class Skip(Exception):
    """Raised by a check that does not apply here; the message says why."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to `name`, or an empty text."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def describe(error: BaseException) -> str:
    """Return the type and the message of an exception in one line."""
    return f"{type(error).__name__}: {error}"
