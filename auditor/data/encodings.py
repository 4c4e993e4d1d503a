"""The text of a file in the encoding that its bytes show."""

from __future__ import annotations

import codecs
import re
from typing import Final, NamedTuple

_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NO_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class Text(NamedTuple):
    """A text and the encoding that it was in; the encoding of UTF-8 is empty."""

    text: str
    encoding: str


def unicode(raw: bytes) -> Text:
    """Return the text of UTF-8, with or without a byte-order mark, or of UTF-16 with one.

    Raises:
        UnicodeDecodeError: The bytes are neither.
    """
    if raw[:2] in _MARKS and len(raw) > 2:
        return Text(raw.decode(_MARKS[raw[:2]]), "UTF-16")
    return Text(raw.decode("utf-8-sig"), "")


def any_text(raw: bytes) -> Text:
    """Return the text of UTF-8, UTF-16 or Windows-1252, which holds the letters of Latin-1.

    Raises:
        UnicodeDecodeError: The bytes are none of these.
    """
    try:
        found = unicode(raw)
    except UnicodeDecodeError as error:
        found = Text(_western(raw, error), "Windows-1252")
    if "\0" in found.text and not found.encoding and (half := _without_mark(raw)):
        return half
    return found


def _western(raw: bytes, error: UnicodeDecodeError) -> str:
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise error from None
    if _NO_TEXT.search(text):
        raise error
    return text


def _without_mark(raw: bytes) -> Text | None:
    """Return UTF-16 without a byte-order mark, in which every other byte of Latin letters is 0."""
    for order, zeros in (("utf-16-le", raw[1:200:2]), ("utf-16-be", raw[0:200:2])):
        if zeros and zeros.count(0) > len(zeros) // 2:
            try:
                return Text(raw.decode(order), "UTF-16")
            except UnicodeDecodeError:
                continue
    return None
