"""The images of a class sorted by where the gradient puts the evidence, and the window that each needs most.

S. Lapuschkin et al.: Unmasking Clever Hans Predictors. Nature Communications 10, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.checks.shortcut.places import CONSTANT, trial
from auditor.methods.shortcuts.constancy import in_windows
from auditor.methods.shortcuts.evidence_shares import strongest
from auditor.statistics.spectral import spectral_clusters

if TYPE_CHECKING:
    from auditor.checks.shortcut.class_images import Places
    from auditor.checks.shortcut.places import Trial
    from auditor.checks.shortcut.probe import Evidence, Laboratory

_FEWEST = 5  # pairs: with fewer no sign test finds anything


@dataclass(frozen=True, eq=False)
class Group:
    """Images of a class, all or a cluster, with the windows that they need most.

    Attributes:
        cluster: From 0; None for all images of the class.
        images: Which they are.
        shares: The gradient's share of each window, `[n, rows, cols]`.
        peaks: The window that each needs most, `[n]`.
        constancy: Of what lies in those windows where other classes have no evidence; 0 where there are too few.
        trial: What came of exchanging these.
        distance: How much of the evidence lies elsewhere than in the rest of the class, 0 to 1.
        odd: It is the cluster of which that is the most.
    """

    target: int
    cluster: int | None
    images: Places
    shares: NDArray[np.float32]
    peaks: Places
    constancy: float
    trial: Trial | None
    distance: float = 0.0
    odd: bool = False

    @property
    def number(self) -> int:
        """The cluster counted from 1, 0 for all images."""
        return 0 if self.cluster is None else self.cluster + 1

    @property
    def constant(self) -> bool:
        return self.constancy >= CONSTANT


def groups(lab: Laboratory, target: int, others: Sequence[Evidence]) -> Iterator[Group]:
    """Yield all images of a class, then its clusters by where the gradient puts the evidence, if there are some.

    Maps are compared as distributions, by the distance of Hellinger.
    """
    images = lab.seen.of(target)
    shares = lab.gradients(images)
    sound = np.isfinite(shares).all((1, 2))
    images, shares = images[sound], shares[sound]
    if len(images) < _FEWEST:
        return
    peaks = _peaks(lab, images, shares)
    usual = np.mean([one.occlusion for one in others], 0).ravel()
    apart = usual[peaks] <= 1 / len(lab.windows)
    every = np.ones(len(images), dtype=bool)
    yield _group(lab, target, None, images, shares, peaks, every, apart)
    labels = spectral_clusters(np.sqrt(shares.reshape(len(shares), -1)), seed=lab.context.seed).labels
    distances = _distances(shares, labels)
    odd = max(distances, key=lambda cluster: distances[cluster], default=None)
    for cluster in range(labels.max() + 1) if labels.any() else ():
        found = _group(lab, target, cluster, images, shares, peaks, labels == cluster, apart)
        yield replace(found, distance=distances.get(cluster, 0.0), odd=cluster == odd)


def _group(
    lab: Laboratory,
    target: int,
    cluster: int | None,
    images: Places,
    shares: NDArray[np.float32],
    peaks: Places,
    members: NDArray[np.bool_],
    apart: NDArray[np.bool_],
) -> Group:
    own, found = images[members & apart], peaks[members & apart]
    enough = len(own) >= _FEWEST
    constancy = _constancy(lab, target, own, found) if enough else 0.0
    tried = trial(lab, target, own, lab.seen.others(target), lab.inside(found), found) if enough else None
    return Group(target, cluster, images[members], shares[members], peaks[members], constancy, tried)


def _constancy(lab: Laboratory, target: int, own: Places, peaks: Places) -> float:
    other = np.resize(lab.seen.others(target), len(own))
    return in_windows(lab.seen.images[own], lab.seen.images[other], lab.windows, torch.from_numpy(peaks))


def _peaks(lab: Laboratory, images: Places, shares: NDArray[np.float32]) -> Places:
    """Return the window of each image that it needs most, `[n]`."""
    step = lab.context.batch_size
    found = [
        strongest(
            lab.context.network,
            *lab.given(images[start : start + step]),
            torch.from_numpy(shares[start : start + step]),
            lab.windows,
        )
        for start in range(0, len(images), step)
    ]
    return np.asarray(torch.cat(found).numpy())


def _distances(shares: NDArray[np.float32], labels: Places) -> dict[int, float]:
    """Return how far the mean map of each cluster of less than half of the images is from that of the rest.

    It is the evidence that would have to be moved: half the sum of the differences.
    """
    return {
        cluster: float(abs(shares[labels == cluster].mean(0) - shares[labels != cluster].mean(0)).sum()) / 2
        for cluster, size in enumerate(np.bincount(labels))
        if _FEWEST <= size < len(labels) / 2
    }
