"""The other orders that classes called by numbers may have: from 1, or sorted as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.language import _


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another meaning of labels that are numbers.

    Attributes:
        text: What it is, as a clause.
        indices: For each output in the given order, the output in this one; -1 if no label means it.
        lines: The file of class names that gives this order.
    """

    text: str
    indices: tuple[int, ...]
    lines: tuple[str, ...]


def alternatives(places: Mapping[str | int, int], outputs: int) -> tuple[Alternative, ...]:
    """Return the orders that differ from the given one.

    Args:
        places: The output of each label.
    """
    if not places or not all(str(label).isdecimal() and len(str(label)) < 10 for label in places):
        return ()
    given = {str(label): place for label, place in places.items()}
    found = dict[tuple[int, ...], Alternative]()
    for text, lines in _lines(given, outputs):
        order = {int(line): place for place, line in enumerate(lines)}
        if not all(int(label) in order for label in given):
            continue
        indices = [-1] * outputs
        for label, place in given.items():
            indices[place] = order[int(label)]
        spelled = {order[int(label)]: label for label in given}
        names = tuple(spelled.get(place, line) for place, line in enumerate(lines))
        if any(place != indices[place] for place in given.values()):
            found.setdefault(tuple(indices), Alternative(text, tuple(indices), names))
    return tuple(found.values())


def _lines(given: Mapping[str, int], outputs: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each usual order of numbers, as one number for each output."""
    from_0, from_1 = [str(i) for i in range(outputs)], [str(i + 1) for i in range(outputs)]
    if len({int(label) for label in given}) == outputs:
        yield _("in the order of the numbers"), sorted(given, key=int)
    else:
        yield _("in the order of the numbers"), from_0
        yield _("if the numbers begin at 1"), from_1
    yield _("sorted as text"), sorted(from_0)
    yield _("sorted as text from 1"), sorted(from_1)
