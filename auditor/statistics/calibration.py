"""Calibration: whether confidence agrees with accuracy.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks. ICML 2017.
Bins hold equal numbers of images: K. Nguyen, B. O'Connor: Posterior calibration and exploratory
analysis for natural language processing models. EMNLP 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence compared with accuracy.

    Attributes:
        error: The expected calibration error, 0 to 1.
        interval: Its 95 % confidence interval, by the basic bootstrap over images.
        by_chance: The quantile, by default 95 %, of the error of a perfectly calibrated network on samples of this
            size. A smaller error is no evidence of miscalibration.
        confidence, accuracy, counts: Mean confidence, accuracy and number of images of each bin, `[b]`.
    """

    error: float
    interval: tuple[float, float]
    by_chance: float
    confidence: Counts
    accuracy: Counts
    counts: Counts


def calibration_of(
    fine: Counts, *, bins: int = 15, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> Calibration:
    """Return the calibration of predictions that were counted in fine bins of confidence.

    Args:
        fine: `[3, f]`: the count, the sum of confidences and the number of correct predictions of each fine bin, by
            rising confidence.
        bins: How many bins of equal mass to form. Fine bins are not split.
        draws: How many samples to draw for the interval, and for the error expected by chance.
        level: The quantile of the error by chance: higher than 0.95 if several calibrations are judged together.
        seed: Seed of these samples.

    Returns:
        The expected calibration error, 0 to 1, with its interval and bins.

    Raises:
        ValueError: There are no predictions.

    Examples:
        >>> import numpy as np
        >>> from auditor import methods
        >>> fine = np.array([[100.0], [90.0], [75.0]])  # 100 images, mean confidence 0.9, 75 correct
        >>> found = methods.calibration_of(fine)
        >>> round(found.error, 3)
        0.15
        >>> found.error > found.by_chance  # the network is overconfident
        True
    """
    fine = fine[:, fine[0] > 0]
    if not fine.size:
        raise ValueError("there are no predictions to judge")
    coarse = equal_mass(fine, bins)
    count, confidence, right = coarse
    random = np.random.default_rng(seed)
    resampled = [error(equal_mass(_resampled(fine, random), bins)) for _ in range(draws)]
    honest = [error(np.stack([count, confidence, _honest(fine, bins, random)])) for _ in range(draws)]
    found = error(coarse)
    low, high = 2 * found - np.quantile(resampled, [0.975, 0.025])  # basic bootstrap: the error is biased upwards
    return Calibration(
        found,
        (max(0.0, float(low)), min(1.0, float(high))),
        float(np.quantile(honest, level)),
        confidence / count,
        right / count,
        count,
    )


def error(coarse: Counts) -> float:
    """Return the mean distance of confidence from accuracy over bins `[3, b]`, weighted by count: 0 to 1."""
    count, confidence, right = coarse
    return float(np.abs(confidence - right).sum() / count.sum())


def equal_mass(fine: Counts, bins: int) -> Counts:
    """Merge neighbouring fine bins `[3, f]` into at most `bins` bins `[3, b]` of nearly equal counts."""
    group = _groups(fine[0], bins)
    coarse: Counts = np.stack([np.bincount(group, weights=row, minlength=bins).astype(np.float64) for row in fine])
    return coarse[:, coarse[0] > 0]


def _groups(count: Counts, bins: int) -> NDArray[np.intp]:
    middle = np.cumsum(count) - count / 2
    return np.asarray(np.minimum((middle / count.sum() * bins).astype(np.intp), bins - 1))


def _resampled(fine: Counts, random: np.random.Generator) -> Counts:
    """Draw a bootstrap sample of the same size from the joint distribution of confidence and correctness."""
    count, confidence, right = fine
    outcomes = np.concatenate([right, count - right])
    drawn = random.multinomial(int(count.sum()), outcomes / outcomes.sum()).astype(np.float64)
    hits, misses = np.split(drawn, 2)
    total = hits + misses
    kept = total > 0
    return np.stack([total, confidence / count * total, hits])[:, kept]


def _honest(fine: Counts, bins: int, random: np.random.Generator) -> Counts:
    """Return the number of correct predictions in each coarse bin if the confidences were the true probabilities."""
    count, confidence, _ = fine
    hits = random.binomial(count.astype(np.int64), np.clip(confidence / count, 0, 1)).astype(np.float64)
    return np.asarray(equal_mass(np.stack([count, confidence, hits]), bins)[2])
