"""Timing two or more ways beside each other, so that a noisy machine is noisy for all of them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(ways: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; the ways take turns, after one turn to warm up."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def load() -> str:
    """Return a sentence on how busy the machine is, for the reader to judge the figures by."""
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    warning = "; something else runs here, so read no figure below as exact" if busy > cores * 1.2 else ""
    return f"{cores} cores, load {busy:.1f}{warning}"
