"""What the scores of images with several labels say about each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor import methods
from auditor.collectors import LabelScores
from auditor.statistics import precision_recall
from auditor.statistics.calibration import Calibration, calibration_of

_RESAMPLED = 200  # labels with an interval of the average precision, those of the most images
_CALIBRATED = 50  # labels whose calibration is judged, likewise
_ERROR = 0.05

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """Numbers about one label.

    Attributes:
        label: Its index.
        present, absent: The numbers of images with it and without it.
        hits, wrong: The numbers of images with it and without it for which it is predicted.
        told: The number of images for which it is predicted, labelled or not.
        average_precision: 0 to 1; None if all images have it, or none.
        interval: Its 95 % interval; None if it is not resampled.
        best: The threshold with the highest F1 score, as a probability.
        held_out_f1: The F1 score with thresholds that were chosen on other images.
        calibration: None if it is not measured.
    """

    label: int
    present: int
    absent: int
    hits: int
    wrong: int
    told: int
    average_precision: float | None = None
    interval: Interval | None = None
    best: float | None = None
    held_out_f1: float | None = None
    calibration: Calibration | None = None

    @property
    def recall(self) -> float:
        return self.hits / self.present

    @property
    def precision(self) -> float | None:
        """None if the label is never predicted."""
        return self.hits / (self.hits + self.wrong) if self.hits + self.wrong else None

    @property
    def f1(self) -> float:
        return precision_recall.f1(self.hits, self.hits + self.wrong, self.present)

    @property
    def prevalence(self) -> float:
        """The average precision of scores that say nothing."""
        return self.present / (self.present + self.absent)


def label_facts(seen: LabelScores, *, few: int, seed: int) -> list[LabelFacts]:
    """Measure each label, in the order of the outputs.

    Args:
        few: Number of images with the label, and without it, under which its calibration is not measured.
        seed: Seed of the bootstrap.
    """
    present, absent = seen.present, seen.absent
    both = np.flatnonzero((present > 0) & (absent > 0))
    frequent = both[np.argsort(-present[both], kind="stable")]
    resampled = set(frequent[:_RESAMPLED].tolist())
    enough = frequent[(present[frequent] >= few) & (absent[frequent] >= few)][:_CALIBRATED].tolist()
    return [
        _facts(seen, label, seed, resampled=label in resampled, calibrated=len(enough) if label in enough else 0)
        for label in range(len(present))
    ]


def _facts(seen: LabelScores, label: int, seed: int, *, resampled: bool, calibrated: int) -> LabelFacts:
    hits, missed, wrong, spared = seen.decisions[:, label].tolist()
    counts = (label, hits + missed, wrong + spared, hits, wrong, int(seen.told[label]))
    if not hits + missed or not wrong + spared:
        return LabelFacts(*counts)
    halves = seen.halves(label)
    whole = halves.sum(0)
    return LabelFacts(
        *counts,
        average_precision=float(precision_recall.average_precision(whole)),
        interval=precision_recall.interval(whole, seed=seed) if resampled else None,
        best=seen.lower_edge(precision_recall.best_threshold(whole).bin),
        held_out_f1=precision_recall.held_out_f1(halves),
        calibration=_calibration(seen, label, calibrated, seed) if calibrated else None,
    )


def _calibration(seen: LabelScores, label: int, count: int, seed: int) -> Calibration:
    """Return the calibration of one of `count` labels, with an error by chance that holds for all of them together."""
    return calibration_of(seen.fine(label), draws=max(300, 20 * count), level=1 - _ERROR / count, seed=seed)


def mean_average_precision(facts: Sequence[LabelFacts]) -> tuple[float, Interval | None, int]:
    """Return the mean average precision, its interval, and the number of labels.

    The labels of an image depend on each other in an unknown way. The standard deviation of a mean is at most the mean
    of the standard deviations, so that the mean of the intervals is wide enough.
    """
    found = [one for one in facts if one.average_precision is not None]
    values = [one.average_precision for one in found]
    intervals = [one.interval for one in found]
    if not values:
        return float("nan"), None, 0
    known = [one for one in intervals if one is not None]
    ends = (float(np.mean([low for low, _ in known])), float(np.mean([high for _, high in known])))
    return float(np.mean(np.array(values, float))), ends if len(known) == len(values) else None, len(values)


def share(hits: int, n: int) -> tuple[float, Interval]:
    """Return a proportion with its 95 % interval (Wilson)."""
    return hits / n, methods.wilson(hits, n)
