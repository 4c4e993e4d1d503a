"""Clusters of the images of a class by their attribution maps, and the most important window of each image.

S. Lapuschkin et al.: Unmasking Clever Hans Predictors. Nature Communications 10, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.checks.shortcut.places import CONSTANT, exchange_places
from auditor.methods.shortcuts.constancy import in_windows
from auditor.methods.shortcuts.evidence_shares import strongest
from auditor.statistics.spectral import spectral_clusters

if TYPE_CHECKING:
    from auditor.checks.shortcut.class_images import Indices
    from auditor.checks.shortcut.places import PlaceExchange
    from auditor.checks.shortcut.probe import Evidence, Probe

_FEWEST = 5  # pairs; with fewer no sign test is significant


@dataclass(frozen=True, eq=False)
class Group:
    """All images of a class or one cluster of them, with the most important window of each.

    Attributes:
        cluster: From 0; None for all images of the class.
        images: Their indices, `[n]`.
        shares: The gradient's share of each window, `[n, rows, cols]`.
        peaks: The number of the most important window of each image, `[n]`.
        constancy: How far those windows show the same, 0 to 1. Only windows count where other classes have no evidence;
            0 if there are too few of them.
        exchanged: These windows exchanged with images of other classes; None if there are too few.
        distance: The share of the evidence that lies elsewhere than in the rest of the class, 0 to 1.
        odd: Whether this is the cluster with the largest distance.
    """

    target: int
    cluster: int | None
    images: Indices
    shares: NDArray[np.float32]
    peaks: Indices
    constancy: float
    exchanged: PlaceExchange | None
    distance: float = 0.0
    odd: bool = False

    @property
    def number(self) -> int:
        """The cluster counted from 1, 0 for all images."""
        return 0 if self.cluster is None else self.cluster + 1

    @property
    def constant(self) -> bool:
        return self.constancy >= CONSTANT


def groups(probe: Probe, target: int, others: Sequence[Evidence]) -> Iterator[Group]:
    """Yield all images of a class, then its clusters by the gradient's shares, if there are several.

    Maps are compared as distributions, by the Hellinger distance.
    """
    images = probe.seen.of(target)
    shares = probe.gradients(images)
    finite = np.isfinite(shares).all((1, 2))
    images, shares = images[finite], shares[finite]
    if len(images) < _FEWEST:
        return
    peaks = _peaks(probe, images, shares)
    usual = np.mean([one.occlusion for one in others], 0).ravel()
    apart = usual[peaks] <= 1 / len(probe.windows)
    every = np.ones(len(images), dtype=bool)
    yield _group(probe, target, None, images, shares, peaks, every, apart)
    labels = spectral_clusters(np.sqrt(shares.reshape(len(shares), -1)), seed=probe.context.seed).labels
    distances = _distances(shares, labels)
    odd = max(distances, key=lambda cluster: distances[cluster], default=None)
    for cluster in range(labels.max() + 1) if labels.any() else ():
        found = _group(probe, target, cluster, images, shares, peaks, labels == cluster, apart)
        yield replace(found, distance=distances.get(cluster, 0.0), odd=cluster == odd)


def _group(
    probe: Probe,
    target: int,
    cluster: int | None,
    images: Indices,
    shares: NDArray[np.float32],
    peaks: Indices,
    members: NDArray[np.bool_],
    apart: NDArray[np.bool_],
) -> Group:
    own, found = images[members & apart], peaks[members & apart]
    enough = len(own) >= _FEWEST
    constancy = _constancy(probe, target, own, found) if enough else 0.0
    exchanged = (
        exchange_places(probe, target, own, probe.seen.others(target), probe.inside(found), found) if enough else None
    )
    return Group(target, cluster, images[members], shares[members], peaks[members], constancy, exchanged)


def _constancy(probe: Probe, target: int, own: Indices, peaks: Indices) -> float:
    other = np.resize(probe.seen.others(target), len(own))
    return in_windows(probe.seen.images[own], probe.seen.images[other], probe.windows, torch.from_numpy(peaks))


def _peaks(probe: Probe, images: Indices, shares: NDArray[np.float32]) -> Indices:
    """Return the most important window of each image, `[n]`."""
    step = probe.context.batch_size
    found = [
        strongest(
            probe.context.network,
            *probe.given(images[start : start + step]),
            torch.from_numpy(shares[start : start + step]),
            probe.windows,
        )
        for start in range(0, len(images), step)
    ]
    return np.asarray(torch.cat(found).numpy())


def _distances(shares: NDArray[np.float32], labels: Indices) -> dict[int, float]:
    """Return the distance of each cluster's mean map from that of the rest, 0 to 1.

    It is the share of the evidence that would have to be moved: half the sum of the absolute differences. Clusters of
    half of the images and more, and very small ones, have none.
    """
    return {
        cluster: float(abs(shares[labels == cluster].mean(0) - shares[labels != cluster].mean(0)).sum()) / 2
        for cluster, size in enumerate(np.bincount(labels))
        if _FEWEST <= size < len(labels) / 2
    }
