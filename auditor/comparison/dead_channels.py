"""Which channels have fallen silent since the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.comparison.pair import Pair
from auditor.language import _, many, some
from auditor.results import Audit, Finding, Table, Verdict


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
        yield Finding(rule, Verdict.SKIP, _("the two networks have no layer of the same name and width in common"))
        return
    fallen = {name: sorted(set(new[name]) - set(old[name])) for name in shared}
    risen = {name: sorted(set(old[name]) - set(new[name])) for name in shared}
    more = {name: (len(new[name]) - len(old[name])) / widths[name] for name in shared}
    for name in [name for name in shared if more[name] > silent_warn]:
        yield Finding(
            rule,
            Verdict.WARN,
            _(
                "{before} of the {n} channels were silent before, {after} are now",
                before=len(old[name]),
                n=widths[name],
                after=len(new[name]),
            ),
            subject=name,
            value=more[name],
            limit=silent_warn,
            n=after.provenance.data.images,
            detail=_("Newly silent channels: {channels}", channels=some(fallen[name], 24)),
        )
    count, back = (sum(map(len, found.values())) for found in (fallen, risen))
    worst = max(more.values())
    if worst <= silent_warn:
        yield Finding(
            rule,
            Verdict.PASS,
            _(
                "in none of {n} layers many more channels are silent than before; "
                "{fallen} fell silent, {woken} woke up",
                n=len(shared),
                fallen=count or _("none"),
                woken=back or _("none"),
            ),
            value=worst,
            limit=silent_warn,
            n=after.provenance.data.images,
        )
    rows = [(n, widths[n], len(old[n]), len(new[n]), some(fallen[n], 24)) for n in shared if fallen[n] or risen[n]]
    if rows:
        yield Table(
            _("Newly silent channels"),
            _(
                "Layers in which a channel fell silent or woke up. Channels are told apart by their number, which "
                "means the same only if one network was made from the other; of networks trained apart compare the "
                "counts."
            ),
            (_("layer"), _("channels"), _("silent before"), _("silent now"), _("newly silent")),
            tuple(rows),
        )


def _missing(before: Audit, after: Audit, few: int) -> str:
    if not after.recorded.silent:
        return _("no layer was observed: run the check activations too")
    if not before.recorded.silent:
        return _("the baseline does not hold which channels are silent: audit it again, with the check activations")
    images = min(audit.provenance.data.images for audit in (before, after))
    if images >= few:
        return ""
    return many(
        "{count} image is too few (under {few}) to call a channel silent",
        "{count} images are too few (under {few}) to call a channel silent",
        images,
        few=few,
    )


def _widths(audit: Audit) -> dict[str, int]:
    return {layer.name: layer.output[0] for layer in audit.provenance.architecture.layers if layer.output}
