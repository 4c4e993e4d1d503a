"""Flags and files become Settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMATS = ("html", "pdf", "json", "junit")


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, checked and complete.

    Attributes:
        arch: `NAME`, `timm:NAME`, `package.module:callable`, `file.py:callable` or a plugin's
            `scheme:...`; None finds the architecture from the checkpoint.
        classes: A file of class names, one a line or a JSON list or object.
        preprocess: Keys of `[preprocess]`, or the name of a preset, or None for the network's own.
        batch_size: Images a forward pass; None chooses by device.
        workers: Processes that decode images; None chooses by device.
        samples: How many images are explained.
        expression: The `-k` expression over the names of checks.
        checks: Names of checks to run; empty for all.
        maxfail: End the run after so many checks that failed or broke; 0 for never.
        options: Chosen options by check, coerced.
        levels: A verdict by rule, in place of the rule's own `warn` or `fail`.
        out: The output folder; None for `reports/NAME-OF-CHECKPOINT`.
    """

    checkpoint: Path
    data: str | None = None
    arch: str | None = None
    arch_args: Mapping[str, Any] = field(default_factory=dict)
    classes: Path | None = None
    preprocess: Mapping[str, Any] | str | None = None
    device: str = "auto"
    amp: bool = False
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    samples: int = 8
    seed: int = 0
    expression: str = ""
    checks: tuple[str, ...] = ()
    maxfail: int = 0
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    formats: tuple[str, ...] = FORMATS
    save_arrays: bool = False
    strict: bool = False
    trust_checkpoint: bool = False
    plugins: tuple[str, ...] = ()
    templates: Path | None = None
