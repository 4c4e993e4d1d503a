"""What a file is that is no checkpoint of PyTorch."""

from __future__ import annotations

from typing import Final, NamedTuple

ORIGINAL: Final = "give the PyTorch checkpoint that it was made from"


class Foreign(NamedTuple):
    """A kind of file that can't be audited.

    Attributes:
        what: The kind, to follow "it is".
        way: What to do.
    """

    what: str
    way: str


def of_framework(what: str, framework: str) -> Foreign:
    """Return a file of another framework, whose networks can't be audited."""
    return Foreign(what, f"networks of {framework} can't be audited: give the same network in PyTorch")
