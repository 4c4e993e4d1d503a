"""What is shown of the images and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.language import _, joined
from auditor.results import Table

_MOST_ROWS = 1000


def by_class(counts: Counter[int], classes: Sequence[str]) -> Table:
    """Tabulate the number of images of each class, of many classes those with the fewest images."""
    shown = sorted(sorted(counts, key=lambda label: (counts[label], label))[:_MOST_ROWS])
    caption = _("Number of images of each class. With few images, every number about the class is uncertain.")
    if len(shown) < len(counts):
        fewer = _(
            "The {shown:,} classes with the fewest images of {count:,} are listed.", shown=len(shown), count=len(counts)
        )
        caption = joined(caption, fewer)
    return Table(
        _("Images by class"),
        caption,
        (_("class"), _("images")),
        tuple((classes[label], counts[label]) for label in shown),
    )
