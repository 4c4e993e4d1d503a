"""Whether confidence means what it says.

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
    """Confidence against accuracy.

    Attributes:
        error: The expected calibration error, 0 to 1.
        interval: Its 95 % interval, by the basic bootstrap over images.
        by_chance: The error that a perfectly calibrated network would stay under in 95 % of such
            samples; an error below it says nothing.
        confidence, accuracy, counts: By bin, `[b]`.
    """

    error: float
    interval: tuple[float, float]
    by_chance: float
    confidence: Counts
    accuracy: Counts
    counts: Counts


def calibration_of(fine: Counts, *, bins: int = 15, draws: int = 1000, seed: int = 0) -> Calibration:
    """Return the calibration of answers counted in fine bins of confidence.

    Args:
        fine: Count, sum of confidence and number right, `[3, f]`, by rising confidence.
        bins: How many bins of equal mass are made of them; ties stay in one bin.
        draws: How many samples the interval and the level of chance are drawn from.

    Raises:
        ValueError: There is no answer at all.
    """
    fine = fine[:, fine[0] > 0]
    if not fine.size:
        raise ValueError("there is no answer to judge")
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
        float(np.quantile(honest, 0.95)),
        confidence / count,
        right / count,
        count,
    )


def error(coarse: Counts) -> float:
    """Return the mean distance of confidence and accuracy over bins `[3, b]`, weighted by count."""
    count, confidence, right = coarse
    return float(np.abs(confidence - right).sum() / count.sum())


def equal_mass(fine: Counts, bins: int) -> Counts:
    """Return `[3, b]`, at most `bins` neighbouring groups of fine bins, as equal in count as ties allow."""
    group = _groups(fine[0], bins)
    coarse: Counts = np.stack([np.bincount(group, weights=row, minlength=bins).astype(np.float64) for row in fine])
    return coarse[:, coarse[0] > 0]


def _groups(count: Counts, bins: int) -> NDArray[np.intp]:
    middle = np.cumsum(count) - count / 2
    return np.asarray(np.minimum((middle / count.sum() * bins).astype(np.intp), bins - 1))


def _resampled(fine: Counts, random: np.random.Generator) -> Counts:
    """Draw as many images again, from the same distribution of confidence and success."""
    count, confidence, right = fine
    outcomes = np.concatenate([right, count - right])
    drawn = random.multinomial(int(count.sum()), outcomes / outcomes.sum()).astype(np.float64)
    hits, misses = np.split(drawn, 2)
    total = hits + misses
    kept = total > 0
    return np.stack([total, confidence / count * total, hits])[:, kept]


def _honest(fine: Counts, bins: int, random: np.random.Generator) -> Counts:
    """Return how many of each coarse bin are right when confidence is the true probability."""
    count, confidence, _ = fine
    hits = random.binomial(count.astype(np.int64), np.clip(confidence / count, 0, 1)).astype(np.float64)
    return np.asarray(equal_mass(np.stack([count, confidence, hits]), bins)[2])
