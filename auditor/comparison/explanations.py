"""Rank correlation of the attribution maps of the same images, before and now."""

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
"""Coarse maps, on which two good networks agree. Fine maps change with every training run and are not judged."""
_SHOWN = {
    ("saliency", "gradient"): marked("absolute gradient"),
    ("saliency", "grad_cam"): "Grad-CAM",
    ("occlusion", "drop"): marked("occlusion"),
}
_NONE_SHARED = marked("the two audits have no attribution map of the same class and image")
_NOT_SAVED = marked("both audits need saved maps: run both with --save-arrays and the check saliency or occlusion")


def explanations(pair: Pair, alike_warn: float) -> Iterator[Finding | Table]:
    """Compare the attribution maps of the same classes and images.

    Args:
        pair: The baseline and the audit that is compared with it.
        alike_warn: Median rank correlation under which the comparison warns.
    """
    rule = "baseline.explanations"
    try:
        found = correlations(pair)
    except OutputError as error:
        yield Finding(rule, Verdict.SKIP, str(error))
        return
    if not found:
        checks = {check for check, method in _SHOWN}
        saved = all(checks & source.arrays.keys() for source in (pair.before, pair.after))
        yield Finding(rule, Verdict.SKIP, _(_NONE_SHARED if saved else _NOT_SAVED))
        return
    for key, by_image in found.items():
        yield from _finding(key, by_image, alike_warn)
    names = dict.fromkeys(name for by_image in found.values() for name in by_image)
    yield Table(
        _("Attribution maps before and now"),
        _(
            "Rank correlation of the two maps of the same class and image, by method: 1 if they rank the pixels in the "
            "same order, 0 if they are unrelated. Only classes with a map in both audits."
        ),
        (_("image"), *(_(_SHOWN[key]) for key in found)),
        tuple((name, *(_rounded(by_image.get(name)) for by_image in found.values())) for name in names),
    )


def _finding(key: tuple[str, str], by_image: Mapping[str, float], alike_warn: float) -> Iterator[Finding]:
    known = {name: value for name, value in by_image.items() if not math.isnan(value)}
    if not known:
        message = _("all maps by {method} are constant and can't be compared", method=_(_SHOWN[key]))
        yield Finding("baseline.explanations", Verdict.SKIP, message)
        return
    middle, least = float(np.median(list(known.values()))), min(known, key=known.__getitem__)
    worse = key in _JUDGED and middle < alike_warn
    yield Finding(
        "baseline.explanations",
        Verdict.WARN if worse else Verdict.PASS if key in _JUDGED else Verdict.INFO,
        _(
            "median rank correlation {middle:.2f} between the maps by {method} now and before; lowest for {image} "
            "({least:.2f})",
            method=_(_SHOWN[key]),
            middle=middle,
            image=least,
            least=known[least],
        ),
        value=middle,
        limit=alike_warn if key in _JUDGED else None,
        unit="ρ",
        n=len(known),
        detail=_("The network uses other parts of the images: compare the maps in the two reports.") if worse else "",
    )


def correlations(pair: Pair) -> dict[tuple[str, str], dict[str, float]]:
    """Return the rank correlation by method and image, averaged over the classes with a map in both audits.

    Raises:
        OutputError: A file of arrays can't be read.
    """
    changed, names = _changed(pair), [audit.provenance.data.classes for audit in pair.audits]
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for check, method in _SHOWN:
        before, after = (source.arrays.get(check, {}) for source in (pair.before, pair.after))
        for name in sorted(before.keys() & after.keys()):
            image, kind = name.rpartition("/")[::2]
            if kind == method and image not in changed and f"{image}/classes" in before.keys() & after.keys():
                values = [_correlation(one, two) for one, two in _pairs(before, after, image, name, names)]
                known = [value for value in values if not math.isnan(value)]
                if values:
                    found[check, method][image] = float(np.mean(known)) if known else math.nan
    return dict(found)


def _changed(pair: Pair) -> set[str]:
    """Return the images whose contents are known to differ."""
    shared = {answer.file for answer in common(pair).after}
    both = [{answer.file for answer in audit.recorded.answers} for audit in pair.audits]
    return (both[0] & both[1]) - shared


def _pairs(
    before: Mapping[str, Any], after: Mapping[str, Any], image: str, name: str, names: Sequence[Sequence[str]]
) -> list[tuple[Map, Map]]:
    """Return the two maps of each class that has a map in both audits."""
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
    if one.ndim == 3:  # one map per colour channel: compare the largest magnitude
        one, two = np.abs(one).max(0), np.abs(two).max(0)
    return rank_correlation(one, two)


def _rounded(value: float | None) -> str | None:
    if value is None or math.isnan(value):
        return None if value is None else _("constant")
    return current().number(f"{value:.2f}".replace("-", "−"))
