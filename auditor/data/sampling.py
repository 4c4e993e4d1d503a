"""Select a sample of the images."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence


def spread(labels: Sequence[int | None], count: int, seed: int) -> list[int]:
    """Return at most `count` indices, ascending, spread evenly over the classes.

    The numbers of images of two classes differ by at most one, unless a class has too few. Without labels
    the images are evenly spaced. Images without a label are used only if there are too few with one.
    """
    known = [i for i, label in enumerate(labels) if label is not None]
    unknown = [i for i, label in enumerate(labels) if label is None]
    chosen = _by_turns(known, labels, seed)[: max(count, 0)]
    return sorted(chosen + _spaced(unknown, count - len(chosen)))


def _by_turns(known: Sequence[int], labels: Sequence[int | None], seed: int) -> list[int]:
    """Return the labelled images in rounds of one image for each class, with classes and images shuffled."""
    stream = random.Random(seed)  # noqa: S311 - a sample, not a secret
    members: defaultdict[int | None, list[int]] = defaultdict(list)
    for i in stream.sample(known, len(known)):
        members[labels[i]].append(i)
    classes = stream.sample(sorted(members, key=str), len(members))
    rounds = max(map(len, members.values()), default=0)
    return [members[c][turn] for turn in range(rounds) for c in classes if turn < len(members[c])]


def _spaced(indices: Sequence[int], count: int) -> list[int]:
    count = min(max(count, 0), len(indices))
    return [indices[(2 * k + 1) * len(indices) // (2 * count)] for k in range(count)]
