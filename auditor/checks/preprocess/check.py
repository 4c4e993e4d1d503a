"""Whether the images are given to the network as it was trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor import pictures
from auditor.check import Check, Count, Share, Steps
from auditor.checks.preprocess.mismatch import preprocess_findings
from auditor.language import _
from auditor.results import Finding, Gallery, Item, Table, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.data.preprocessing import Preprocess


@Check
def preprocess(context: Context, *, images: Count = 200, mismatch_warn: Share = 0.02, few: Count = 20) -> Steps:
    """Are the images prepared as the network was trained on them?

    The pictures show what the network is really given, after resizing and cropping: what lies outside
    of them it can't know. Wrong colours or a wrong scale cost accuracy without any error.

    Args:
        images: on how many labelled images the declared way is compared with others at the most.
        mismatch_warn: how much larger the accuracy has to be in another way for a warning.
        few: images under which ways are not compared.
    Rules:
        preprocess.assumed: nobody says how the images were prepared in training, so that the usual
            numbers were taken; a warning.
        preprocess.mismatch: the network is right more often, by over 0.02 and with p < 0.01 (McNemar's test,
            corrected by Holm for all ways), and better than chance, when the images are prepared in another usual
            way: other numbers, inverted, other colours, resized otherwise; or what flows into the first batch norm is
            far from its running statistics (the mean by over a standard deviation, or the deviation by a factor over
            1.6) in over half of its channels, and farther than chance would bring it. A warning (heuristic): images of
            another kind than those of training may do the second.
    Source:
        McNemar, Psychometrika 12, 1947; Ioffe, Szegedy, Batch Normalization, ICML 2015.
    """
    yield _assumed(context.preprocess)
    yield from preprocess_findings(context, images=images, few=few, warn=mismatch_warn)
    settings = context.preprocess.settings()
    yield Table(
        _("The steps before the network"),
        _(
            "In this order: colour, resize (shorter side), crop of the centre, inversion if any, scale, mean and std "
            "by channel."
        ),
        (_("step"), _("value")),
        tuple((name, _shown(value)) for name, value in settings.items()),
    )
    if context.images is not None:
        items = tuple(Item(pictures.photo(s.pixels), s.name, file=s.name, role="photo") for s in context.samples)
        yield Gallery(_("What the network is given"), _("The explained images, resized and cropped."), items)


def _assumed(preprocess: Preprocess) -> Finding:
    rule = "preprocess.assumed"
    if not preprocess.assumed:
        return Finding(rule, Verdict.PASS, _("the preprocessing is known: {source}", source=_(preprocess.source)))
    return Finding(
        rule,
        Verdict.WARN,
        _(
            "nobody says how the images were prepared in training; assumed: {source}",
            source=_(preprocess.source),
        ),
        detail=_(
            "State resize, crop, mean and std as in training: in [preprocess] of auditor.toml or by --preprocess."
        ),
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        between = " x " if all(isinstance(v, int) for v in value) else ", "
        return between.join(str(v) for v in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return _("unchanged") if value is None else str(value)
