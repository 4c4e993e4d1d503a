"""What a pickle names and this package does not know: kept by name, with its arguments and state, and never called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Global:
    """A class or function that a pickle names.

    Attributes:
        name: Its module and name, as the file has them.
        make: The function of this package that stands for it; None if there is none. Nothing is imported by name.
    """

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.make = make


class StandIn:
    """An inert object in place of one that only code of the file's author could make.

    Attributes:
        name: The class, or the function that would have been called.
        arguments: What it would have been called with.
        state: What the object's attributes would be.
        entries, items: What would be put into a subclass of dict or list.
    """

    __slots__ = ("arguments", "entries", "items", "name", "state")

    def __init__(self, name: str, arguments: Any = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None
        self.entries: dict[Any, Any] = {}
        self.items: list[Any] = []

    @property
    def attributes(self) -> dict[Any, Any]:
        """The attributes by name; without the slots, which no network uses."""
        state = self.state
        if type(state) is tuple and len(state) == 2:
            state = state[0]
        return state if isinstance(state, dict) else {}


class Key:
    """An object that a pickle uses as a key: every one is another key, whatever its state is."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None

    def take_state(self, state: Any) -> None:
        """Take the attributes."""
        self.state = state


def readable(name: str) -> str:
    """Return a name of the file for a message: in one line, in visible characters, and not longer than 80."""
    shown = name if name.isprintable() else ascii(name)[1:-1]
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
