"""The results as a table: which checks speak of which architecture, and why the others don't."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.architectures.auditing import Row


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table, one row an architecture, and a list of the reasons for what was skipped."""
    notes: dict[str, int] = {}
    lines = ["| architecture | image | layers equal to autograd | checks that ran | skipped |", "|---|---|---|---|---|"]
    for one in sorted(rows, key=lambda one: one.architecture):
        ran = sum(verdict not in ("skip", "error") for verdict in one.checks.values())
        reasons = [text for texts in one.skipped.values() for text in texts]
        numbers = sorted({notes.setdefault(text, len(notes) + 1) for text in reasons})
        last = f" ({one.last} with channels last)" if one.last else ""
        skipped = " ".join(f"[{number}]" for number in numbers)
        if one.broken:
            skipped = f"**broken: {one.broken[0]}** {skipped}"
        cells = one.architecture, str(one.size), f"{one.equal} of {one.layers}{last}", f"{ran} of {len(one.checks)}"
        lines.append(f"| {' | '.join((*cells, skipped))} |")
    reasons = [f"{number}. `{text.partition(': ')[0]}`: {text.partition(': ')[2]}" for text, number in notes.items()]
    return "\n".join([*lines, "", *reasons, ""])
