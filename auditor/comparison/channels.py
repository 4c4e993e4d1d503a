"""Which channels have fallen silent since the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.comparison.pair import Pair
from auditor.results import Audit, Finding, Table, Verdict
from auditor.wording import some


def dead(pair: Pair, silent_warn: float, few: int) -> Iterator[Finding | Table]:
    """Say of each layer how many channels are silent now that were not."""
    rule = "baseline.dead"
    before, after = pair.audits
    if reason := _missing(before, after, few):
        yield Finding(rule, Verdict.SKIP, reason)
        return
    old, new = before.recorded.silent, after.recorded.silent
    widths = _widths(after)
    shared = [name for name in new if name in old and widths.get(name, 0) == _widths(before).get(name)]
    if not shared:
        yield Finding(rule, Verdict.SKIP, "the two networks have no layer of the same name and width in common")
        return
    fallen = {name: sorted(set(new[name]) - set(old[name])) for name in shared}
    risen = {name: sorted(set(old[name]) - set(new[name])) for name in shared}
    more = {name: (len(new[name]) - len(old[name])) / widths[name] for name in shared}
    for name in [name for name in shared if more[name] > silent_warn]:
        yield Finding(
            rule,
            Verdict.WARN,
            f"{len(old[name])} of the {widths[name]} channels were silent before, {len(new[name])} are now",
            subject=name,
            value=more[name],
            limit=silent_warn,
            n=after.provenance.data.images,
            detail=f"Newly silent channels: {some(fallen[name], 24)}",
        )
    count, back = (sum(map(len, found.values())) for found in (fallen, risen))
    worst = max(more.values())
    if worst <= silent_warn:
        yield Finding(
            rule,
            Verdict.PASS,
            f"in none of {len(shared)} layers many more channels are silent than before; "
            f"{count or 'none'} fell silent, {back or 'none'} woke up",
            value=worst,
            limit=silent_warn,
            n=after.provenance.data.images,
        )
    rows = [(n, widths[n], len(old[n]), len(new[n]), some(fallen[n], 24)) for n in shared if fallen[n] or risen[n]]
    if rows:
        yield Table(
            "Newly silent channels",
            "Layers in which a channel fell silent or woke up. Channels are told apart by their number, which means "
            "the same only if one network was made from the other; of networks trained apart compare the counts.",
            ("layer", "channels", "silent before", "silent now", "newly silent"),
            tuple(rows),
        )


def _missing(before: Audit, after: Audit, few: int) -> str:
    if not after.recorded.silent:
        return "no layer was observed: run the check activations too"
    if not before.recorded.silent:
        return "the baseline does not hold which channels are silent: audit it again, with the check activations"
    images = min(audit.provenance.data.images for audit in (before, after))
    return f"{images} images are too few (under {few}) to call a channel silent" if images < few else ""


def _widths(audit: Audit) -> dict[str, int]:
    return {layer.name: layer.output[0] for layer in audit.provenance.architecture.layers if layer.output}
