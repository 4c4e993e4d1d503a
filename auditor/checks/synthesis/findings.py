"""Findings of synthesis: classes without an image that is predicted as the class, and scores that never change."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.language import _, many, some
from auditor.results import Finding, Verdict

if TYPE_CHECKING:
    from auditor.checks.synthesis.class_models import ClassModel

_NAMED = 10  # classes with a finding of their own


def not_finite(models: Sequence[ClassModel], judged: Sequence[ClassModel], classes: Sequence[str]) -> Iterator[Finding]:
    """Report classes whose scores are not finite.

    Args:
        judged: The class models with finite scores.
        classes: The names of all classes.
    """
    if names := [classes[model.target] for model in models if model not in judged]:
        reason = many(
            "the scores of the image made for {count} class are not finite: see predictions.nonfinite",
            "the scores of the images made for {count} classes are not finite: see predictions.nonfinite",
            len(names),
        )
        yield Finding("synthesis.unreached", Verdict.SKIP, reason, n=len(models), detail=some(names))


def unreached(
    models: Sequence[ClassModel], classes: Sequence[str], warn: float, predicted: Collection[int]
) -> Iterator[Finding]:
    """Warn of each class for which no image was found.

    Args:
        models: The class models with finite scores, at least one.
        classes: The names of all classes.
        warn: The probability that an image has to reach.
        predicted: The classes that the network predicts for images of the data.
    """
    lost = [model for model in models if not model.reached(warn)]
    for model in lost[:_NAMED]:
        yield _unreached(model, classes, warn, len(models), in_data=model.target in predicted)
    if further := lost[_NAMED:]:
        yield _further(further, classes, len(models), in_data=all(model.target in predicted for model in further))
    if not lost:
        yield _all_reached(models, warn)


def _unreached(model: ClassModel, classes: Sequence[str], warn: float, n: int, *, in_data: bool) -> Finding:
    name, best = classes[model.target], model.best
    own, other = best.probability(model.target), best.probabilities[best.predicted]
    message = (
        _("no image was found for {name}: the best one reaches a probability of {share:.1%}", name=name, share=own)
        if best.several
        else _(
            "no image was found for {name}: the best one is predicted as {predicted} with a probability of {share:.1%}",
            name=name,
            predicted=classes[best.predicted],
            share=other,
        )
    )
    detail = (
        _("Some images of the data are predicted as this class, so that more steps may be enough.")
        if in_data
        else _(
            "Check whether its weights in the last layer are as large as those of the others (checkpoint, weights), "
            "and whether it is ever predicted (predictions.collapsed). If its images look right, use more steps."
        )
    )
    return Finding(
        "synthesis.unreached",
        Verdict.INFO if in_data else Verdict.WARN,
        message,
        subject=name,
        value=best.probability(model.target),
        limit=warn,
        n=n,
        detail=detail,
    )


def _further(models: Sequence[ClassModel], classes: Sequence[str], n: int, *, in_data: bool) -> Finding:
    message = many(
        "no image was found for {count} more class",
        "no image was found for {count} more classes",
        len(models),
    )
    verdict = Verdict.INFO if in_data else Verdict.WARN
    names = some(classes[model.target] for model in models)
    return Finding("synthesis.unreached", verdict, message, n=n, detail=names)


def _all_reached(models: Sequence[ClassModel], warn: float) -> Finding:
    share = min(model.best.probability(model.target) for model in models)
    message = many(
        "the image made for {count} class is predicted as the class, with a probability of {share:.1%}",
        "the images made for {count} classes are predicted as these, with a probability of {share:.1%} or more",
        len(models),
        share=share,
    )
    if models[0].best.several:
        message = many(
            "the image made for {count} label has a probability of {share:.1%}",
            "the images made for {count} labels have a probability of {share:.1%} or more",
            len(models),
            share=share,
        )
    return Finding("synthesis.unreached", Verdict.PASS, message, value=share, limit=warn, n=len(models))


def flat(models: Sequence[ClassModel], classes: Sequence[str]) -> Finding:
    """Warn of classes whose score no step changes."""
    constant, n = [classes[model.target] for model in models if not model.moved], len(models)
    if not constant:
        message = many(
            "the score of {count} class depends on the image",
            "the scores of {count} classes depend on the image",
            n,
        )
        return Finding("synthesis.flat", Verdict.PASS, message, value=0, limit=0, n=n)
    return Finding(
        "synthesis.flat",
        Verdict.WARN,
        many(
            "the score of {count} of {n} classes does not depend on the image",
            "the scores of {count} of {n} classes do not depend on the image",
            len(constant),
            n=n,
        ),
        subject=constant[0],
        value=len(constant),
        limit=0,
        n=n,
        detail=_(
            "Look for dead channels before the scores (activations.dead) and for zero weights in the last layer. "
            "Classes: {classes}",
            classes=some(constant),
        ),
    )
