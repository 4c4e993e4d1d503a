"""The defects: how each is planted in a sound network, its data or what the audit is told, and what counts as found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.defects import edits
from benchmarks.defects.edits import Edit

_USELESS = ("predictions.accuracy", "predictions.collapsed")  # no better than chance, or classes never recognised


def everywhere(data: str, network: str) -> bool:
    return True


def with_batch_norm(data: str, network: str) -> bool:
    return network != "plain"


def where_colours_tell(data: str, network: str) -> bool:
    """Say whether the classes differ in colour; digits come in every colour."""
    return data == "objects"


def shifted(names: tuple[str, ...]) -> tuple[str, ...]:
    """Begin with the last name, as where a background class was removed."""
    return names[-1:] + names[:-1]


def exchanged(names: tuple[str, ...]) -> tuple[str, ...]:
    """Take the second class for the third and the third for the second."""
    return (names[0], names[2], names[1], *names[3:])


@dataclass(frozen=True, slots=True)
class Defect:
    """Something that is wrong.

    Attributes:
        told: What it is, for the table.
        rules: Any of these finds it, by a warning or a failure.
        course: The training, of `courses`.
        edit: What happens to the weights afterwards.
        preprocess: What the audit is told of the preprocessing that is not so.
        names: In which order the audit is told the classes' names.
        fits: Whether there can be such a defect, by the names of the data and of the network.
    """

    told: str
    rules: tuple[str, ...]
    course: str = "sound"
    edit: Edit | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    names: Callable[[tuple[str, ...]], tuple[str, ...]] | None = None
    fits: Callable[[str, str], bool] = everywhere


_SHORTCUT = ("shortcut.location", "shortcut.cluster", "occlusion.concentrated", "occlusion.border")
_BACKGROUND = (*_SHORTCUT, "shortcut.background")

DEFECTS: dict[str, Defect] = {
    "dead-channels": Defect(
        "three in ten channels of a layer are dead", ("activations.dead", "patches.dead"), edit=edits.silenced
    ),
    "duplicate-filters": Defect(
        "a quarter of a layer's filters are duplicates", ("filters.duplicate", "patches.duplicate"), edit=edits.copied
    ),
    "noisy-first-layer": Defect("the first layer was never trained", ("filters.noise",), course="first-frozen"),
    "not-finite": Defect("one weight is NaN", ("weights.nonfinite",), edit=edits.not_finite),
    "untrained-head": Defect("the head was never trained", _USELESS, edit=edits.fresh_head),
    "miscalibrated": Defect("scores divided by five", ("predictions.calibration",), edit=edits.unsure),
    "batch-norm-reset": Defect(
        "batch norm with the statistics of an untrained network",
        ("checkpoint.batchnorm",),
        edit=edits.statistics_reset,
        fits=with_batch_norm,
    ),
    "lacks-a-layer": Defect("a layer is missing in the file", ("checkpoint.missing",), edit=edits.lacking),
    "raw-pixels": Defect(
        "pixels from 0 to 255, as they are in the file",
        ("preprocess.mismatch",),
        preprocess={"scale": 255, "mean": 0.0, "std": 1.0},
    ),
    "missing-mean": Defect("the mean is not subtracted", ("preprocess.mismatch",), preprocess={"mean": 0.0}),
    "blue-for-red": Defect(
        "BGR in place of RGB", ("preprocess.mismatch",), preprocess={"color": "bgr"}, fits=where_colours_tell
    ),
    "classes-shifted": Defect("the classes' names begin with the last", ("predictions.permuted",), names=shifted),
    "classes-exchanged": Defect("two classes' names are exchanged", ("predictions.permuted",), names=exchanged),
    "class-left-out": Defect("a class was not trained", ("predictions.collapsed",), course="class-left-out"),
    "watermark": Defect("a class has a logo in a corner", _SHORTCUT, course="watermark"),
    "border": Defect("a class has a frame", _SHORTCUT, course="border"),
    "background": Defect("a class has a background of grass", _BACKGROUND, course="background"),
    "backdoor": Defect(
        "a small pattern makes any image predicted as one class", ("synthesis.trigger",), course="backdoor"
    ),
}
