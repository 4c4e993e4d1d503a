"""What was found, as Markdown: each defect by network, recall, and false alarms on what is sound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from auditor.statistics.proportion import wilson
from benchmarks.defects.planting import DEFECTS
from benchmarks.defects.running import Case, Found

_WEAK = 0.5  # strength under which a planted mark decides too little to count as a defect


def table(found: Sequence[Found]) -> str:
    """Return the summary, a line for each defect and network, and a line for each sound network."""
    planted = [one for one in found if one.case.defect]
    sound = [one for one in found if not one.case.defect]
    finders = _finders(planted, sound)
    parts = (summary(planted, sound), _matrix(finders), _details(planted, finders), _alarms(sound))
    return "\n\n".join(parts) + "\n"


def summary(planted: Sequence[Found], sound: Sequence[Found]) -> str:
    """Return recall over defects and networks, and what was held against sound networks."""
    hits = sum(map(bool, _finders(planted, sound).values()))
    low, high = wilson(hits, max(1, len(planted)))
    failures, errors = sum(len(one.failed) for one in sound), sum(len(one.broken) for one in (*planted, *sound))
    warnings = [len(one.warned) for one in sound]
    weak = [one for one in planted if one.strength is not None and one.strength < _WEAK]
    return "\n".join(
        (
            f"- {hits} of {len(planted)} planted defects found: recall {hits / max(1, len(planted)):.1%} "
            f"({low:.1%} to {high:.1%})",
            f"- {failures} failures and {sum(warnings)} warnings on {len(sound)} sound networks, "
            f"at most {max(warnings, default=0)} warnings on one; {errors} checks broke",
            f"- {len(weak)} marks have too little effect to be shortcuts or triggers (under {_WEAK:.0%} of images of "
            "other classes): " + (", ".join(_name(one) for one in weak) or "none"),
        )
    )


def _finders(planted: Sequence[Found], sound: Sequence[Found]) -> dict[Case, frozenset[str]]:
    """Return the rules that found each planted defect."""
    beside = {(one.case.data, one.case.network): one for one in sound}
    return {one.case: one.finders(beside.get((one.case.data, one.case.network))) for one in planted}


def _matrix(finders: Mapping[Case, frozenset[str]]) -> str:
    networks = sorted({(case.data, case.network) for case in finders})
    header = ["defect", *(" ".join(network) for network in networks)]
    rows = [
        [f"{name}: {defect.told}", *(_mark(finders.get(Case(*network, name))) for network in networks)]
        for name, defect in DEFECTS.items()
        if any(Case(*network, name) in finders for network in networks)
    ]
    return _rows(header, rows)


def _mark(by: frozenset[str] | None) -> str:
    return "" if by is None else "found" if by else "**missed**"


def _details(planted: Sequence[Found], finders: Mapping[Case, frozenset[str]]) -> str:
    header = ["defect", "network", "accuracy", "strength", "found by", "other rules that fired", "CPU s"]
    rows = []
    for one in planted:
        by, others = finders[one.case], one.fired - finders[one.case]
        strength = "" if one.strength is None else f"{one.strength:.0%}"
        rows.append(
            [
                one.case.defect,
                f"{one.case.data} {one.case.network}",
                "" if math.isnan(one.accuracy) else f"{one.accuracy:.1%}",
                strength,
                _some(by) or "**none**",
                _some(others),
                f"{one.seconds:.0f}",
            ]
        )
    return _rows(header, rows)


def _alarms(sound: Sequence[Found]) -> str:
    header = ["sound network", "accuracy", "failures", "warnings", "CPU s"]
    rows = [
        [
            _name(one),
            f"{one.accuracy:.1%}",
            _some(f"{rule} {subject}".strip() for rule, subject in (*one.broken, *one.failed)) or "none",
            _some(f"{rule} {subject}".strip() for rule, subject in one.warned) or "none",
            f"{one.seconds:.0f}",
        ]
        for one in sound
    ]
    return _rows(header, rows)


def _name(one: Found) -> str:
    return " ".join(filter(None, (one.case.defect, one.case.data, one.case.network)))


def _some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
