"""The output that each label means: by name, by number, or by WordNet identifier."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from auditor.data import misfits, synsets
from auditor.data.assumption import Assumption
from auditor.errors import DataError
from auditor.language import _

_ROW: Final = 3  # numbers that follow each other by more than chance
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


def places_of(
    found: Sequence[str | int], classes: tuple[str, ...], kind: str, source: str, numbers: Mapping[str, int]
) -> tuple[dict[str | int, int], list[Assumption]]:
    """Return the index of every label, and what was assumed.

    Raises:
        DataError: A label is not a class, or the name of two classes.
    """
    places = _named(found, classes, kind)
    said: list[Assumption] = []
    if not places and numbers and set(found) <= set(numbers):
        places |= numbered(numbers, len(classes))
    if not places and synsets.are_identifiers(found):
        places |= _identified([str(label) for label in found], classes)
        said += [Assumption(_("the labels are ImageNet's identifiers"))] if places else []
    if not places and (
        counted := numbered({str(label): int(label) for label in found if _is_number(label)}, len(classes))
    ):
        places |= {label: counted[str(label)] for label in found if str(label) in counted}
        said.append(_number_said(places))
    if not said:
        numbers_left = (label for label in found if isinstance(label, int) and label not in places)
        places |= {label: label for label in numbers_left if 0 <= label < len(classes)}
    strangers = [label for label in found if label not in places]
    if strangers:
        raise DataError(misfits.misfit(kind, strangers, found, classes, source))
    return places, said


def _named(found: Sequence[str | int], classes: Sequence[str], kind: str) -> dict[str | int, int]:
    """Return the index of every label that is the name of a class.

    Raises:
        DataError: It is the name of two classes.
    """
    exact, alike = _positions(classes), _positions(map(plain, classes))
    by_number = all(name.isdecimal() for name in classes)  # a number is a name where all classes are called so
    words = [label for label in found if isinstance(label, str) or (by_number and str(label) in exact)]
    named = {word: exact.get(str(word)) or alike.get(plain(str(word)), []) for word in words}
    for label, positions in named.items():
        if len(positions) > 1:
            raise DataError(misfits.ambiguous(kind, str(label), positions))
    return {label: positions[0] for label, positions in named.items() if positions}


def _identified(found: Sequence[str], classes: Sequence[str]) -> dict[str | int, int]:
    """Return the index of WordNet ids: by the English name, by the place in ImageNet's list, or by their order."""
    alike, english = _positions(map(plain, classes)), synsets.names(found)
    order = {one: place for place, one in enumerate(synsets.identifiers(len(classes)))}
    places: dict[str | int, int] = {}
    for one in found:
        named = alike.get(plain(english.get(one, "")), [])
        if len(named) == 1:
            places[one] = named[0]
        elif one in order:
            places[one] = order[one]
    if len(places) < len(found):
        return {one: place for place, one in enumerate(sorted(found))} if len(found) == len(classes) else {}
    return places


def numbered(numbers: Mapping[str, int], outputs: int) -> dict[str | int, int]:
    """Return the index of each number.

    They count from 1 if there is no 0, and the last output has its number; one number alone could be a mistake.
    """
    met = set(numbers.values())
    from_1 = len(met) >= min(_ROW, outputs) and min(met) >= 1 and max(met) == outputs
    return {label: number - from_1 for label, number in numbers.items() if 0 <= number - from_1 < outputs}


def _number_said(places: Mapping[str | int, int]) -> Assumption:
    """Return from where the numbers count; it is a guess for 1, 2, 3 and so on without the last class."""
    label, place = min(places.items(), key=lambda item: item[1])
    if int(label) > place:
        return Assumption(_("the labels are numbers and count the classes from 1"))
    if len(places) >= _ROW and set(places.values()) == set(range(1, len(places) + 1)):
        return Assumption(_("the labels are numbers and count the classes from 0, but none of them is 0"), guess=True)
    return Assumption(_("the labels are numbers and count the classes from 0"))


def _is_number(label: str | int) -> bool:
    return bool(_NUMBER.fullmatch(str(label)))


def _positions(names: Iterable[str]) -> dict[str, list[int]]:
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[name].append(index)
    return positions


def plain(name: str) -> str:
    """Return the name without case; `_` counts as a space."""
    return " ".join(name.replace("_", " ").casefold().split())


def is_index(label: str | int, outputs: int) -> bool:
    return bool(_NUMBER.fullmatch(str(label))) and int(label) < outputs
