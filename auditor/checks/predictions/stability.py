"""Judge whether the scores of an image depend on chance, or on the other images of its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.language import _, joined, many, some
from auditor.results import Finding, Verdict

if TYPE_CHECKING:
    from auditor.context import Context

_RULE = "predictions.stability"
_IMAGES = 16
_NAMED = {"bernoulli": "bernoulli (dropout)", "native_dropout": "dropout"}


def stability_finding(context: Context) -> Finding:
    """Compare the scores of the samples with those of the same images given again."""
    from auditor.context import tensors
    from auditor.model.quantised import is_quantised
    from auditor.model.stability import stability

    images = tensors(context, context.samples[:_IMAGES])
    several = context.task.multilabel
    found = stability(context.network, images, seed=context.seed, batch=context.batch_size, several=several)
    n = len(images)
    if count := int(found.by_chance.sum()):
        message = many(
            "given twice, {count} of {n} images gets other scores, {moved} another prediction: the network draws "
            "random numbers",
            "given twice, {count} of {n} images get other scores, {moved} another prediction: the network draws random "
            "numbers",
            count,
            n=n,
            moved=int(found.moved.sum()),
        )
        return _failed(message, count, n, _advice(found.operators))
    if count := int(found.by_neighbours.sum()):
        message = many(
            "the scores of {count} of {n} images depend on the other images of the batch; {moved} gets another "
            "prediction",
            "the scores of {count} of {n} images depend on the other images of the batch; {moved} get another "
            "prediction",
            count,
            n=n,
            moved=int(found.moved.sum()),
        )
        if is_quantised(context.network.module) and not found.moved.any():
            reason = _("The layers are quantised dynamically: the scale of their inputs follows from the whole batch.")
            return Finding(_RULE, Verdict.WARN, message, value=count / n, limit=0.0, n=n, detail=reason)
        advice = _("Give the batch norms running statistics, and normalise each image by itself.")
        return _failed(message, count, n, advice)
    message = many(
        "given twice, alone and in another order, {count} image gets the same scores",
        "given twice, alone and in another order, all {count} images get the same scores",
        n,
    )
    return Finding(_RULE, Verdict.PASS, message, value=0.0, limit=0.0, n=n)


def _failed(message: str, count: int, n: int, advice: str) -> Finding:
    return Finding(_RULE, Verdict.FAIL, message, value=count / n, limit=0.0, n=n, detail=advice)


def _advice(operators: tuple[str, ...]) -> str:
    drawn = (
        _("It draws with {operators}.", operators=some([_NAMED.get(one, one) for one in operators], 5))
        if operators
        else _("It draws with no operator of torch: look for Python's random or numpy.")
    )
    return joined(drawn, _("Turn dropout and noise off in evaluation: draw only where self.training is true."))
