"""Say what was done to images that are no plain upright ones of 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.language import _, many, marked
from auditor.results import Finding, Verdict

if TYPE_CHECKING:
    from auditor.collectors import Readability
    from auditor.data.preprocessing import Preprocess

_RULE = "data.converted"
_FAR_UNDER = 1 / 8  # of the range of 16 bits, as the values of 12 or 13 bits


def converted(readability: Readability, preprocess: Preprocess) -> Iterator[Finding]:
    """Give a finding for each trait of the images."""
    traits, n = readability.traits, readability.read
    for trait in sorted(traits.counts):
        count = traits.counts[trait]
        detail = _low_peak(traits.peak) if trait == "16 bits" and preprocess.limits is None else ""
        message = _message(trait, count, n, preprocess)
        unit = marked("images")
        yield Finding(_RULE, Verdict.INFO, message, subject=trait, value=count, unit=unit, n=n, detail=detail)


def _message(trait: str, count: int, n: int, preprocess: Preprocess) -> str:
    match trait:
        case "orientation":
            return _orientation(count, n, preprocess)
        case "transparency":
            return _transparency(count, n, preprocess)
        case "16 bits" | "float":
            return _deep(trait, count, n, preprocess)
    return _format(trait, count, n)


def _orientation(count: int, n: int, preprocess: Preprocess) -> str:
    if preprocess.exif:
        return many(
            "{count} of {n} images carries an orientation; it is turned upright",
            "{count} of {n} images carry an orientation; they are turned upright",
            count,
            n=n,
        )
    return many(
        "{count} of {n} images carries an orientation; it is left as stored",
        "{count} of {n} images carry an orientation; they are left as stored",
        count,
        n=n,
    )


def _transparency(count: int, n: int, preprocess: Preprocess) -> str:
    from auditor.data.preprocess_keys import BANDS  # it loads torch

    if preprocess.color == BANDS:
        done = _("it is a channel")
    else:
        done = {
            "white": _("it is laid on white"),
            "black": _("it is laid on black"),
            "drop": _("it is dropped"),
        }[preprocess.alpha]
    return many(
        "{count} of {n} images has transparency; {done}",
        "{count} of {n} images have transparency; {done}",
        count,
        n=n,
        done=done,
    )


def _deep(trait: str, count: int, n: int, preprocess: Preprocess) -> str:
    low, high = preprocess.limits or (0, 65535 if trait == "16 bits" else 1)
    if trait == "16 bits":
        return many(
            "{count} of {n} images has 16 bits; values from {low:g} to {high:g} are scaled to 0 to 1",
            "{count} of {n} images have 16 bits; values from {low:g} to {high:g} are scaled to 0 to 1",
            count,
            n=n,
            low=low,
            high=high,
        )
    return many(
        "{count} of {n} images has floating-point values; {low:g} is black and {high:g} is full intensity",
        "{count} of {n} images have floating-point values; {low:g} is black and {high:g} is full intensity",
        count,
        n=n,
        low=low,
        high=high,
    )


def _format(trait: str, count: int, n: int) -> str:
    texts = {
        "cmyk": _("CMYK, converted to RGB without a colour profile"),
        "frames": _("several frames, of which the first is read"),
        "palette": _("a palette, converted to colours"),
        "profile": _("an embedded colour profile, which is ignored"),
        "window": _("a DICOM window, which is applied"),
    }
    return _("{count} of {n} images: {trait}", count=count, n=n, trait=texts.get(trait, trait))


def _low_peak(peak: float) -> str:
    if not 0 < peak <= _FAR_UNDER:
        return ""
    highest = round(peak * 65535)
    bits = max(8, highest.bit_length())
    return _(
        "The highest value is {highest:,} of 65,535, as of {bits} bits. If training divided by {full:,}, set "
        "range = [0, {plain}] in [preprocess].",
        highest=highest,
        bits=bits,
        full=2**bits - 1,
        plain=str(2**bits - 1),
    )
