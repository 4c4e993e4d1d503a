"""The language of a report: sentences from gettext catalogues, numbers in the format of the language.

Every text that a reader sees is marked in the code. Its values have names, so a translation can reorder them:

    _("top-1 accuracy {share:.1%} ({correct} of {n})", share=correct / n, correct=correct, n=n)
    many("{count} image", "{count} images", len(images))

English messages, and messages without a translation, are shown as written. Sources: the GNU gettext manual; Babel's
data of the Unicode CLDR for numbers.
"""

from __future__ import annotations

import math
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
    """One language: its messages and its number format.

    Attributes:
        name: Language code, for `--lang` and `<html lang>`.
        texts: The translations.
        point: Decimal separator.
        group: Thousands separator.
        percent: Percent sign, with the space before it if there is one.
    """

    def __init__(self, name: str, texts: NullTranslations, *, point: str, group: str, percent: str) -> None:
        self.name = name
        self.texts = texts
        self.point = point
        self.group = group
        self.percent = percent

    def number(self, text: str) -> str:
        """Return a number in Python's format in the format of this language: `1,234.5` is `1 234,5` in French."""
        if self.name == ENGLISH:
            return text.replace("%", self.percent)
        swapped = {",": self.group, ".": self.point}
        return "".join(swapped.get(letter, letter) for letter in text).replace("%", self.percent)

    def plain(self, text: str) -> str:
        """Return a number in the format of this language as Python parses it: `1 234,5` in French is `1234.5`."""
        return text.replace(self.group, "").replace(self.point, ".")

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one value of a message; `string.Formatter` calls this."""
        text: str = super().format_field(value, format_spec)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return self.number(text) if is_number else text


_current: ContextVar[Language | None] = ContextVar("language", default=None)


def current() -> Language:
    """Return the current language."""
    return _current.get() or load(ENGLISH)


@contextmanager
def speaking(name: str) -> Iterator[Language]:
    """Use a language, one of `known()`, for all messages inside the block."""
    token = _current.set(load(name))
    try:
        yield current()
    finally:
        _current.reset(token)


def speak(name: str) -> None:
    """Use a language from now on; for a separate process, which does not inherit the language."""
    _current.set(load(name))


def known() -> tuple[str, ...]:
    """Return the languages with a catalogue, English first."""
    return (ENGLISH, *sorted(file.parent.parent.name for file in FOLDER.glob("*/LC_MESSAGES/auditor.po")))


@cache
def load(name: str) -> Language:
    """Return a language of `known()`."""
    if name == ENGLISH:
        return Language(ENGLISH, NullTranslations(), point=".", group=",", percent=" %")
    from babel.numbers import get_decimal_symbol, get_group_symbol

    point, group = get_decimal_symbol(name), get_group_symbol(name)
    return Language(name, _catalogue(name), point=point, group=group, percent="\N{NO-BREAK SPACE}%")


def _catalogue(name: str) -> NullTranslations:
    """Return the texts of a `.po` file, compiled in memory so that no compiled file can be out of date."""
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
    """Return a message in the current language, with its `{name}`s replaced like `str.format` does.

    A message without values is not formatted, so its braces remain.
    """
    language = current()
    text = language.texts.gettext(message) if message else ""  # the message "" is the header of a catalogue
    filled = language.vformat(text, (), values) if values else text
    return Message(filled, {"id": message, "values": _plain(values)})


def many(one: str, more: str, count: int, /, **values: object) -> str:
    """Return the plural form of a message for a count; `{count}` is the count with separated thousands."""
    language = current()
    text = language.texts.ngettext(one, more, count)
    recipe = {"one": one, "more": more, "count": int(count), "values": _plain(values)}
    return Message(language.vformat(text, (), {"count": language.number(f"{count:,}"), **values}), recipe)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a message as numbers and texts; what an object says may be a message itself."""
    return {name: value if isinstance(value, str | int | float) else _text_of(value) for name, value in values.items()}


def _text_of(value: object) -> object:
    return value.item() if hasattr(value, "item") else str(value)


def message_of(error: BaseException) -> str:
    """Return the message of an exception; `str` would forget how it was made."""
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


def joined(*texts: str, between: str = " ") -> str:
    """Return texts one after the other, without those that are empty."""
    parts = [text for text in texts if text]
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
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return text


def packed(value: Any) -> Any:
    """Return a text or a recipe as JSON holds it; a message becomes its text with its recipe."""
    if isinstance(value, Message):
        return {"text": str(value), "recipe": packed(value.recipe)} if value.recipe else str(value)
    if isinstance(value, Mapping):
        return {name: packed(inner) for name, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # which no JSON holds as a number, and which is written alike in every language
    return [packed(inner) for inner in value] if isinstance(value, list) else value


def unpacked(value: Any, depth: int = 0) -> Any:
    """Return what was packed.

    Raises:
        ValueError: Messages are nested deeper than any of ours.
    """
    if depth > _DEEPEST:
        raise ValueError("a message of this depth is none of ours")
    if isinstance(value, dict):
        if value.keys() == {"text", "recipe"} and isinstance(value["text"], str):
            return Message(value["text"], unpacked(value["recipe"], depth + 1))
        return {name: unpacked(inner, depth) for name, inner in value.items()}
    return [unpacked(inner, depth) for inner in value] if isinstance(value, list) else value


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
        case {"parts": list(parts), "between": str(between)} if all(isinstance(part, str) for part in parts):
            return joined(*(again(part) for part in parts), between=between)
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
    """Return the message unchanged; marks a constant that is translated where it is used."""
    return message


_ = translated


_DEEPEST = 8  # messages within messages
_SPEC = re.compile(r"[-+]?,?(\.\d{1,2})?[defg%]?")


def short(text: str, most: int) -> str:
    """Return a text on one line, truncated to `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def some(items: Iterable[object], most: int = 12) -> str:
    """Return the first items separated by commas, and how many more there are."""
    listed = [str(item) for item in items]
    first, left = ", ".join(listed[:most]), len(listed) - most
    return first if left <= 0 else many("{first} and {count} more", "{first} and {count} more", left, first=first)


def headed(name: str, text: object) -> str:
    """Return a name, a colon and a text, with the spacing of the current language."""
    return _("{name}: {text}", name=name, text=text)


def chained(*parts: str) -> str:
    """Return parts of a sentence joined by semicolons, with the spacing of the current language."""
    return reduce(lambda first, second: _("{first}; {second}", first=first, second=second), parts) if parts else ""


def numeral(value: float, spec: str) -> str:
    """Return a number with a format specification in the format of the current language."""
    return Message(current().format_field(value, spec), {"value": value, "spec": spec})


def p_value(p: float) -> str:
    """Return a p-value as text: `p = 0.012`, `p < 0.001`."""
    return _("p < 0.001") if p < 0.001 else _("p = {p:.3f}", p=p)
