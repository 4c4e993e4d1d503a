"""Audits that tests make, and what they read of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from auditor import plugins
from auditor.config.settings import Settings
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.results import Result
from auditor.runner import run

# With this in the configuration every check runs in full, on as little as it takes.
LITTLE = """
[checks.activations]
images = 1

[checks.filters]
images = 1

[checks.patches]
top = 2

[checks.synthesis]
most = 1
steps = 2
natural_steps = 2
unreached_warn = 0.0

[checks.trust]
images = 1
occlusion = 0
depths = 1
steps = 2
orders = 1
"""


class Ended(NamedTuple):
    """What a command line that was run in this process left behind."""

    code: int
    out: str
    err: str


def result_of(check: str, checkpoint: Path, data: Path | None, options: dict[str, Any], **settings: Any) -> Result:
    """Run one check and return what it found."""
    asked = Settings(checkpoint, data and str(data), options={check: options}, checks=(check,), **settings)
    (found,) = run(asked, Plugins(checks={check: plugins.load().checks[check]}), Silent()).audit.results
    return found


def record(folder: Path | str = "reports/net") -> dict[str, Any]:
    """Return what the `audit.json` of a report holds."""
    return json.loads((Path(folder) / "audit.json").read_text())
