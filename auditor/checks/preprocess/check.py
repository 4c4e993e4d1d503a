"""Judge whether the images are preprocessed as in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor import pictures
from auditor.check import Check, Count, Share, Steps
from auditor.checks.preprocess import rules
from auditor.checks.preprocess.mismatch import preprocess_findings
from auditor.judging.grounds import WEIGHTS
from auditor.language import _
from auditor.results import Finding, Gallery, Item, Table, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.data.preprocessing import Preprocess


@Check.with_rules(*rules.RULES, needs=(WEIGHTS,))
def preprocess(context: Context, *, images: Count = 200, mismatch_warn: Share = 0.02, few: Count = 20) -> Steps:
    """Is the preprocessing the one of training?

    The pictures show the input of the network after resizing and cropping; the network can't see what lies outside of
    them. Wrong colours or a wrong scale lower the accuracy without any error message.

    Args:
        images: largest number of labelled images on which alternative preprocessing is compared.
        mismatch_warn: gain in accuracy by alternative preprocessing over which the audit warns.
        few: number of images under which nothing is compared.
    Source:
        McNemar, Psychometrika 12, 1947; Ioffe, Szegedy, Batch Normalization, ICML 2015.
    """
    yield _assumed(context.preprocess)
    yield from preprocess_findings(context, images=images, few=few, warn=mismatch_warn)
    settings = context.preprocess.settings()
    yield Table(
        _("Preprocessing"),
        _(
            "In this order: orientation, transparency, colour, resize (shorter side), centre crop, inversion if there "
            "is one, scale, mean and std by channel."
        ),
        (_("step"), _("value")),
        tuple((name, _shown(value)) for name, value in settings.items()),
    )
    if context.images is not None:
        items = tuple(Item(pictures.photo(s.pixels), s.name, file=s.name, role="photo") for s in context.samples)
        yield Gallery(_("Input of the network"), _pictured(context.preprocess), items)


def _assumed(preprocess: Preprocess) -> Finding:
    rule = "preprocess.assumed"
    if not preprocess.assumed:
        return Finding(rule, Verdict.PASS, _("the preprocessing is known: {source}", source=_(preprocess.source)))
    return Finding(
        rule,
        Verdict.WARN,
        _(
            "the preprocessing of training is unknown; assumed: {source}",
            source=_(preprocess.source),
        ),
        detail=_(
            "Set resize, crop, mean and std as in training: in [preprocess] of auditor.toml or with --preprocess."
        ),
    )


def _pictured(preprocess: Preprocess) -> str:
    if preprocess.white == 1:
        return _("The explained images, resized and cropped.")
    return _(
        "The explained images, resized and cropped. They are dark: {share:.2g} of full intensity is shown as white.",
        share=preprocess.white,
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        between = " x " if all(isinstance(v, int) for v in value) else ", "
        return between.join(str(v) for v in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return _("unchanged") if value is None else str(value)
