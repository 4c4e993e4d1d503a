"""Texts that come from files and plugins, made fit to be shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text with a mark in place of what would steer a terminal or can't be encoded; lines stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
