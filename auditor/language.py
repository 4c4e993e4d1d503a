"""The language of a report: sentences from gettext catalogues, numbers as their readers write them.

A text that a reader sees is marked where it is written, with its values by name, so that a translation
may order them as its language wants:

    _("{right} of {n} images are answered rightly ({share:.1%})", right=right, n=n, share=right / n)
    many("{count} image", "{count} images", len(images))

In English, and where a catalogue lacks a message, it stands as it was written. Source: GNU gettext manual;
numbers by the Unicode CLDR as Babel has them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, reduce
from gettext import NullTranslations
from pathlib import Path
from types import MappingProxyType
from typing import Any

FOLDER = Path(__file__).parent / "locale"
ENGLISH = "en"


class Language(string.Formatter):
    """One language: what it says for a message, and how it writes numbers.

    Attributes:
        name: As `--lang` has it and as `<html lang>` wants it.
        point: Between a number's whole part and its fraction.
        group: Between its thousands.
        percent: From a share's digits to its end.
    """

    def __init__(self, name: str, texts: NullTranslations, *, point: str, group: str, percent: str) -> None:
        self.name = name
        self.texts = texts
        self.point = point
        self.group = group
        self.percent = percent

    def number(self, text: str) -> str:
        """Return a number that Python wrote as this language writes it: `1,234.5` is `1 234,5` in French."""
        if self.name == ENGLISH:
            return text
        swapped = {",": self.group, ".": self.point}
        return "".join(swapped.get(letter, letter) for letter in text).replace("%", self.percent)

    def plain(self, text: str) -> str:
        """Return a number that this language wrote as Python reads it: `1 234,5` in French is `1234.5`."""
        return text.replace(self.group, "").replace(self.point, ".")

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write one value of a message; `string.Formatter` calls this."""
        text: str = super().format_field(value, format_spec)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return self.number(text) if is_number else text


_current: ContextVar[Language | None] = ContextVar("language", default=None)


def current() -> Language:
    """Return the language that is spoken here."""
    return _current.get() or load(ENGLISH)


@contextmanager
def speaking(name: str) -> Iterator[Language]:
    """Speak a language, one of `known()`, in all that is said within."""
    token = _current.set(load(name))
    try:
        yield current()
    finally:
        _current.reset(token)


def speak(name: str) -> None:
    """Speak a language from now on: for a process of its own, which knows nothing of who started it."""
    _current.set(load(name))


def known() -> tuple[str, ...]:
    """Return the languages that there are catalogues for, English first."""
    return (ENGLISH, *sorted(file.parent.parent.name for file in FOLDER.glob("*/LC_MESSAGES/auditor.po")))


@cache
def load(name: str) -> Language:
    """Return a language of `known()`."""
    if name == ENGLISH:
        return Language(ENGLISH, NullTranslations(), point=".", group=",", percent="%")
    from babel.numbers import get_decimal_symbol, get_group_symbol

    point, group = get_decimal_symbol(name), get_group_symbol(name)
    return Language(name, _catalogue(name), point=point, group=group, percent="\N{NO-BREAK SPACE}%")


def _catalogue(name: str) -> NullTranslations:
    """Return the texts of a `.po` file, compiled in memory, so that no second file can be older than the first."""
    import io

    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import Translations

    with (FOLDER / name / "LC_MESSAGES" / "auditor.po").open("rb") as file:
        catalogue = read_po(file, locale=name)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


class Message(str):
    """A text that knows how it was made, so that it can be made again in another language.

    Attributes:
        recipe: `{"id", "values"}`, `{"one", "more", "count", "values"}`, `{"value", "spec"}` for a number, or
            `{"parts", "between"}` for messages that stand together; empty if the text stays as it is.
    """

    __slots__ = ("recipe",)
    recipe: Mapping[str, Any]

    def __new__(cls, text: str, recipe: Mapping[str, Any] = MappingProxyType({})) -> Message:
        made = super().__new__(cls, text)
        made.recipe = recipe
        return made

    def __reduce__(self) -> tuple[type[Message], tuple[str, dict[str, Any]]]:
        return Message, (str(self), dict(self.recipe))


def translated(message: str, /, **values: object) -> str:
    """Return a message in the current language, with its `{name}`s filled in as by `str.format`.

    A message without values is not formatted, so that its braces stay.
    """
    language = current()
    text = language.texts.gettext(message) if message else ""  # the message "" is a catalogue's header
    return Message(language.vformat(text, (), values) if values else text, {"id": message, "values": values})


def many(one: str, more: str, count: int, /, **values: object) -> str:
    """Return the form of a message that fits a count; `{count}` is the count with a separator between thousands."""
    language = current()
    text = language.texts.ngettext(one, more, count)
    recipe = {"one": one, "more": more, "count": int(count), "values": values}
    return Message(language.vformat(text, (), {"count": language.number(f"{count:,}"), **values}), recipe)


def paragraph(*sentences: str, between: str = " ") -> str:
    """Return sentences one after the other, without those that are empty."""
    parts = [sentence for sentence in sentences if sentence]
    return parts[0] if len(parts) == 1 else Message(between.join(parts), {"parts": parts, "between": between})


def again(text: str) -> str:
    """Return a message in the current language, and any other text as it is.

    The recipe may come from a file that somebody else wrote: only messages of the catalogues are made again, and a
    recipe that does not fit leaves the text as it is.
    """
    if not isinstance(text, Message):
        return text
    try:
        return _made(text.recipe) or text
    except (LookupError, TypeError, ValueError, AttributeError):
        return text


def _made(recipe: Mapping[str, Any]) -> str:
    match recipe:
        case {"id": str(message), "values": Mapping() as values} if message in _messages():
            return translated(message, **_values(values))
        case {"one": str(one), "more": str(more), "count": int(count), "values": Mapping() as values} if (
            one in _messages()
        ):
            return many(one, more, count, **_values(values))
        case {"value": int() | float() as value, "spec": str(spec)} if _SPEC.fullmatch(spec):
            return numeral(value, spec)
        case {"parts": list(parts), "between": str(between)}:
            return paragraph(*(again(part) for part in parts), between=between)
    return ""


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: again(value) if isinstance(value, str) else value for name, value in values.items()}


@cache
def _messages() -> frozenset[str]:
    """Return all messages of the catalogues; of those with two forms the first."""
    from babel.messages.pofile import read_po

    found: set[str] = set()
    for name in known():
        if name != ENGLISH:
            with (FOLDER / name / "LC_MESSAGES" / "auditor.po").open("rb") as file:
                ids = [message.id for message in read_po(file, locale=name) if message.id]
            found.update(one if isinstance(one, str) else one[0] for one in ids)
    return frozenset(found)


def marked(message: str, /) -> str:
    """Return the message as it is: for constants, which are translated where they are used."""
    return message


_ = translated


_SPEC = re.compile(r"[-+]?,?(\.\d{1,2})?[defg%]?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text with a mark in place of what would steer a terminal or can't be encoded; lines stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int) -> str:
    """Return a text on one line, and of a long one the beginning."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def some(items: Iterable[object], most: int = 12) -> str:
    """Return the first of some items, with commas, and how many more there are."""
    listed = [str(item) for item in items]
    first, left = ", ".join(listed[:most]), len(listed) - most
    return first if left <= 0 else many("{first} and {count} more", "{first} and {count} more", left, first=first)


def headed(name: str, text: object) -> str:
    """Return a name and what belongs to it, with a colon as the language that is spoken sets it."""
    return _("{name}: {text}", name=name, text=text)


def chained(*parts: str) -> str:
    """Return parts of a sentence one after the other, with semicolons as the language that is spoken sets them."""
    return reduce(lambda first, second: _("{first}; {second}", first=first, second=second), parts) if parts else ""


def numeral(value: float, spec: str) -> str:
    """Return a number, as a format specification wants it, as it is written in the language that is spoken."""
    return Message(current().format_field(value, spec), {"value": value, "spec": spec})


def p_value(p: float) -> str:
    """Return a probability of error as it is read: `p = 0.012`, `p < 0.001`."""
    return _("p < 0.001") if p < 0.001 else _("p = {p:.3f}", p=p)
