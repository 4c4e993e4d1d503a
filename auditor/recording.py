"""What an audit keeps so that a later one can be compared with it, whichever checks ran."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.collectors import ChannelStatistics, Collector
from auditor.collectors.answers import Answers
from auditor.context import Context
from auditor.results import Answer, Recorded

_DIGEST = 12  # hexadecimal digits: two of a million images are alike by chance once in 500 data sets


def recorded(context: Context, answers: Answers, collectors: Iterable[Collector]) -> Recorded:
    """Return the answers image by image, and the channels that are silent on all of them."""
    return Recorded(tuple(_answers(context, answers)), _silent(collectors))


def _answers(context: Context, answers: Answers) -> Iterable[Answer]:
    if context.images is None:
        return
    listing = context.images.listing
    for place, label, answer, confidence in answers.rows:
        index = int(place)
        yield Answer(
            listing.names[index],
            listing.digests[index][:_DIGEST],
            int(label) if label >= 0 else None,
            int(answer) if answer >= 0 else None,
            round(float(confidence), 6),
        )


def _silent(collectors: Iterable[Collector]) -> dict[str, tuple[int, ...]]:
    return {
        layer.name: tuple(seen.silent(layer).tolist())
        for seen in collectors
        if isinstance(seen, ChannelStatistics) and seen.images
        for layer in seen.layers
        if layer.rectified and not layer.linear
    }
