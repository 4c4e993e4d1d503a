"""The help of the commands with many flags: the flags under headings, and examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Data": ("data", "split", "root", "classes"),
    "Network": ("arch", "arch_arg", "preprocess", "weights", "output", "task", "trust_checkpoint"),
    "Checks": ("k", "check", "o", "x", "maxfail", "check_timeout", "within", "run_blocked"),
    "Verdict": ("strict", "baseline"),
    "Computing": ("device", "amp", "batch_size", "workers", "threads", "samples", "seed", "cache"),
    "Report": (
        *("out", "overwrite", "format", "pdf_summary", "junit_warnings", "save_arrays"),
        *("templates", "lang", "redact"),
    ),
    "Configuration and plugins": ("config", "plugin", "no_plugins"),
    "Terminal": ("quiet", "verbose", "no_color", "durations", "help"),
}
"""The flags by heading, in the order of the help."""

RUN = """\b
Examples:
  auditor run net.pt --data photos/
  auditor run net.pt --data val.csv --arch model.py:Net --preprocess imagenet
  auditor run net.pt --data photos/ --check predictions -o predictions.accuracy_fail=0.9
  auditor run net.pt --data photos/ --baseline reports/old --strict
"""


class Grouped(click.Command):
    """A command whose help shows the flags under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, records in self._sections(ctx):
            with formatter.section(title):
                formatter.write_dl(records)

    def _sections(self, ctx: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        shown = {one.name: record for one in self.get_params(ctx) if (record := one.get_help_record(ctx))}
        for title, names in HEADINGS.items():
            if records := [shown.pop(name) for name in names if name in shown]:
                yield title, records
        if shown:
            yield "Other", list(shown.values())
