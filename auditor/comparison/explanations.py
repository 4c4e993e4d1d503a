"""How much the explanations of the same images have changed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.comparison.pair import Pair
from auditor.comparison.predictions import common
from auditor.errors import OutputError
from auditor.language import _, current, marked
from auditor.results import Finding, Table, Verdict
from auditor.statistics.correlation import rank_correlation

Map = NDArray[np.float64]

_JUDGED = {("saliency", "grad_cam"), ("occlusion", "drop")}
"""Coarse maps, which two good networks share; the others change with every training."""
_SHOWN = {
    ("saliency", "gradient"): marked("absolute gradient"),
    ("saliency", "grad_cam"): "Grad-CAM",
    ("occlusion", "drop"): marked("occlusion"),
}
_UNALIKE = marked("no map explains the same class of the same image")
_MEANT = marked("the maps of both audits are needed: run both with --save-arrays, and the checks saliency or occlusion")


def explanations(pair: Pair, alike_warn: float) -> Iterator[Finding | Table]:
    """Say how alike the maps are that explain the same answer on the same images."""
    rule = "baseline.explanations"
    try:
        found = correlations(pair)
    except OutputError as reason:
        yield Finding(rule, Verdict.SKIP, str(reason))
        return
    if not found:
        checks = {check for check, method in _SHOWN}
        saved = all(checks & source.arrays.keys() for source in (pair.before, pair.after))
        yield Finding(rule, Verdict.SKIP, _(_UNALIKE if saved else _MEANT))
        return
    for key, by_image in found.items():
        yield from _finding(key, by_image, alike_warn)
    names = dict.fromkeys(name for by_image in found.values() for name in by_image)
    yield Table(
        _("Maps before and now"),
        _(
            "Rank correlation of the maps that explain one class of one image, by method: 1 where they order the "
            "pixels in the same way, 0 where they have nothing to do with each other. Only classes that both audits "
            "explain."
        ),
        (_("image"), *(_(_SHOWN[key]) for key in found)),
        tuple((name, *(_rounded(by_image.get(name)) for by_image in found.values())) for name in names),
    )


def _finding(key: tuple[str, str], by_image: Mapping[str, float], alike_warn: float) -> Iterator[Finding]:
    known = {name: value for name, value in by_image.items() if not math.isnan(value)}
    if not known:
        message = _("the maps of {method} are constant, so that none is compared", method=_(_SHOWN[key]))
        yield Finding("baseline.explanations", Verdict.SKIP, message)
        return
    middle, least = float(np.median(list(known.values()))), min(known, key=known.__getitem__)
    worse = key in _JUDGED and middle < alike_warn
    yield Finding(
        "baseline.explanations",
        Verdict.WARN if worse else Verdict.PASS if key in _JUDGED else Verdict.INFO,
        _(
            "the maps by {method} have a median rank correlation of {middle:.2f} with those before; "
            "least alike are those of {image} ({least:.2f})",
            method=_(_SHOWN[key]),
            middle=middle,
            image=least,
            least=known[least],
        ),
        value=middle,
        limit=alike_warn if key in _JUDGED else None,
        unit="ρ",
        n=len(known),
        detail=_("The network decides by other parts of the image: look at the two reports side by side.")
        if worse
        else "",
    )


def correlations(pair: Pair) -> dict[tuple[str, str], dict[str, float]]:
    """Return the rank correlation by method and image; the mean over the classes that both explain.

    Raises:
        OutputError: A file of arrays can't be read.
    """
    other, names = _changed(pair), [audit.provenance.data.classes for audit in pair.audits]
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for check, method in _SHOWN:
        before, after = (source.arrays.get(check, {}) for source in (pair.before, pair.after))
        for name in sorted(before.keys() & after.keys()):
            image, kind = name.rpartition("/")[::2]
            if kind == method and image not in other and f"{image}/classes" in before.keys() & after.keys():
                values = [_correlation(one, two) for one, two in _pairs(before, after, image, name, names)]
                known = [value for value in values if not math.isnan(value)]
                if values:
                    found[check, method][image] = float(np.mean(known)) if known else math.nan
    return dict(found)


def _changed(pair: Pair) -> set[str]:
    """Return the images whose contents are known to be other ones."""
    shared = {answer.file for answer in common(pair).after}
    both = [{answer.file for answer in audit.recorded.answers} for audit in pair.audits]
    return (both[0] & both[1]) - shared


def _pairs(
    before: Mapping[str, Any], after: Mapping[str, Any], image: str, name: str, names: Sequence[Sequence[str]]
) -> list[tuple[Map, Map]]:
    """Return the two maps of each class that both explain."""
    classes = [_classes(arrays[f"{image}/classes"], n) for arrays, n in zip((before, after), names, strict=True)]
    one, two = (_array(arrays[name]) for arrays in (before, after))
    if one.shape[1:] != two.shape[1:] or (len(one), len(two)) != tuple(map(len, classes)):
        return []
    return [(one[classes[0].index(k)], two[classes[1].index(k)]) for k in classes[0] if k in classes[1]]


def _classes(places: Any, names: Sequence[str]) -> list[str]:
    return [
        names[int(k)] if 0 <= k < len(names) else _("class {number}", number=int(k))
        for k in np.ravel(np.asarray(places))
    ]


def _array(values: Any) -> Map:
    return np.asarray(values, dtype=np.float64)


def _correlation(one: Map, two: Map) -> float:
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        return math.nan
    if one.ndim == 3:  # colours: where the gradient is large, whatever its sign
        one, two = np.abs(one).max(0), np.abs(two).max(0)
    return rank_correlation(one, two)


def _rounded(value: float | None) -> str | None:
    if value is None or math.isnan(value):
        return None if value is None else _("constant")
    return current().number(f"{value:.2f}".replace("-", "−"))
