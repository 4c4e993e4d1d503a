"""An interpreter of pickles that calls nothing: it builds containers and numbers, and stand-ins for all else.

The opcodes are those of protocols 0 to 5, as `pickletools` documents them. Where Python's own unpickler imports a
name and calls it, this one asks a table of functions of this package, and keeps a stand-in for what is not in it.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any, Final

from auditor.model.files.budget import Budget
from auditor.model.files.stand_in import Global, Key, StandIn

LONGEST_NUMBER: Final = 1024  # bytes
_LARGEST_KEY: Final = 2**53  # larger ones can be chosen so that all fall into one slot of a dict
_WIDE: Final = 256  # bytes and longer ones stay a view of the file


class Malformed(ValueError):
    """The pickle is damaged."""


class Unpickler:
    """Reads one pickle after another from a buffer.

    Args:
        content: The buffer.
        position: Where the next pickle begins; afterwards, where it ended.
        find: Returns the global for a module and a name.
        persistent: Returns the object for a persistent id.
    """

    def __init__(
        self,
        content: memoryview,
        position: int,
        *,
        budget: Budget,
        find: Callable[[str, str], Global],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.content = content
        self.position = position
        self.budget = budget
        self._find = find
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return the object of the next pickle.

        Raises:
            Malformed: It is damaged.
            Exceeded: It asks for too much work or memory.
        """
        self._stack, self._marked, self._memo = [], [], {}
        try:
            while (code := self._byte()) != _STOP:
                self.budget.step()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise Malformed(f"it has the unknown opcode {code:#04x} at byte {self.position - 1}")
                operation(self)
            return self._stack.pop()
        except (IndexError, KeyError, TypeError, AttributeError, struct.error, OverflowError) as error:
            raise Malformed(f"its pickle is invalid at byte {self.position}") from error

    # -- reading

    def _byte(self) -> int:
        position = self.position
        self.position = position + 1
        return self.content[position]

    def _take(self, count: int) -> memoryview:
        if not 0 <= count <= len(self.content) - self.position:
            raise Malformed(f"its pickle ends within {count:,} bytes at byte {self.position}")
        taken = self.content[self.position : self.position + count]
        self.position += count
        return taken

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def _line(self) -> str:
        return self._raw_line().decode("utf-8", "surrogateescape")

    def _raw_line(self) -> bytes:
        """Return the rest of a line; the names and numbers of protocol 0 are short."""
        rest = bytes(self.content[self.position : self.position + 256])
        if (end := rest.find(b"\n")) < 0:
            self.budget.step(64)
            rest = bytes(self.content[self.position : self.position + 2**16])
            end = rest.find(b"\n")
        if end < 0:
            raise Malformed(f"its pickle has an endless line at byte {self.position}")
        self.position += end + 1
        return rest[:end]

    def _text(self, count: int) -> None:
        self._push(str(self._take(count), "utf-8", "surrogatepass"))

    def _bytes(self, count: int) -> None:
        taken = self._take(count)
        self._push(bytes(taken) if count < _WIDE else taken)

    def _latin(self, count: int) -> None:
        """Push a string of Python 2."""
        self._push(str(self._take(count), "latin-1"))

    def _long(self, count: int) -> None:
        if not 0 <= count <= LONGEST_NUMBER:
            raise Malformed(f"it holds a number of {count:,} bytes; expected at most {LONGEST_NUMBER}")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    # -- the stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _put(self, index: int) -> None:
        if not 0 <= index < 2**32:
            raise Malformed(f"its pickle has the memo index {index}")
        self._memo[index] = self._stack[-1]

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise Malformed(f"its pickle is invalid at byte {self.position}")
        self._stack[-count:] = [items]

    # -- containers

    def _append(self, items: list[Any]) -> None:
        into = self._stack[-1]
        into = into.items if isinstance(into, StandIn) else into
        if isinstance(into, list):
            into.extend(items)
        elif isinstance(into, set):
            into.update(item for item in items if is_key(item))
        # whatever else has no items: nothing of it is called

    def _set(self, items: list[Any]) -> None:
        into = self._stack[-1]
        into = into.entries if isinstance(into, StandIn) else into
        if not isinstance(into, dict):
            return
        if len(items) % 2:
            raise Malformed(f"its pickle has a key without a value at byte {self.position}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if is_key(key):
                into[key] = value

    def _dict(self) -> None:
        items = self._since_mark()
        self._push({})
        self._set(items)

    def _frozenset(self) -> None:
        self._push(frozenset(item for item in self._since_mark() if is_key(item)))

    # -- objects

    def _global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise Malformed(f"its pickle names a global that is no text at byte {self.position}")
        self._push(self._find(module, name))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _call(self, function: Any, arguments: Any, keywords: Any = None) -> None:
        """Push the object of one of our own functions, or else a stand-in; nothing that the file names is called."""
        made: Any = NotImplemented
        if isinstance(function, Global) and function.make is not None and type(arguments) is tuple and not keywords:
            self.budget.step(sum(len(a) for a in arguments if isinstance(a, list | tuple | dict | set | frozenset)))
            try:
                made = function.make(*arguments)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
                if type(error).__name__ in ("Exceeded", "Malformed"):
                    raise
        if made is NotImplemented:
            made = StandIn(_name(function), arguments)
        self._push(made)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _new_with_keywords(self) -> None:
        keywords, arguments, function = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(function, arguments, keywords)

    def _object(self) -> None:
        function, *arguments = self._since_mark()
        self._call(function, tuple(arguments))

    def _instance(self) -> None:
        module, name = self._line(), self._line()
        arguments = tuple(self._since_mark())
        self._call(self._find(module, name), arguments)

    def _build(self) -> None:
        state, built = self._stack.pop(), self._stack[-1]
        if isinstance(built, StandIn):
            built.state = state
        elif (take := getattr(type(built), "take_state", None)) is not None:  # a class of this package
            take(built, state)

    def _persist(self, saved: Any) -> None:
        self._push(self._persistent(saved))


def is_key(value: object) -> bool:
    """Return whether a value may be a key: text, a number, or a short tuple of these. Hashing others has no bound."""
    if type(value) is tuple:
        return len(value) <= 8 and all(type(part) is not tuple and is_key(part) for part in value)
    if type(value) is int:
        return -_LARGEST_KEY < value < _LARGEST_KEY
    return value is None or type(value) in (str, float, bool, bytes, Key)


def _name(function: object) -> str:
    return function.name if isinstance(function, Global | StandIn) else type(function).__name__


def _escaped(self: Unpickler) -> None:
    """Push a quoted string of protocol 0."""
    line = self._raw_line()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in b"'\"":
        raise Malformed(f"its pickle has a string without quotes at byte {self.position}")
    self._push(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))


def _decimal(self: Unpickler) -> None:
    line = self._line()
    self._push({"00": False, "01": True}[line] if line in ("00", "01") else int(line[:1024].rstrip("L")))


_STOP: Final = ord(".")
_U1, _U2, _U4, _U8 = (struct.Struct(f"<{letter}") for letter in "BHIQ")
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")

_OPERATIONS: Final[dict[int, Callable[[Unpickler], Any]]] = {
    ord("("): Unpickler._mark,
    ord("0"): Unpickler._pop,
    ord("1"): Unpickler._since_mark,
    ord("2"): lambda self: self._push(self._stack[-1]),
    ord("F"): lambda self: self._push(float(self._line())),
    ord("I"): _decimal,
    ord("L"): _decimal,
    ord("J"): lambda self: self._push(self._number(_I4)),
    ord("K"): lambda self: self._push(self._byte()),
    ord("M"): lambda self: self._push(self._number(_U2)),
    ord("G"): lambda self: self._push(self._number(_F8)),
    ord("N"): lambda self: self._push(None),
    ord("P"): lambda self: self._persist(self._line()),
    ord("Q"): lambda self: self._persist(self._stack.pop()),
    ord("R"): Unpickler._reduce,
    ord("S"): _escaped,
    ord("T"): lambda self: self._latin(self._number(_I4)),
    ord("U"): lambda self: self._latin(self._byte()),
    ord("V"): lambda self: self._push(str(self._raw_line(), "raw-unicode-escape")),
    ord("X"): lambda self: self._text(self._number(_U4)),
    0x8C: lambda self: self._text(self._byte()),
    0x8D: lambda self: self._text(self._number(_U8)),
    ord("B"): lambda self: self._bytes(self._number(_U4)),
    ord("C"): lambda self: self._bytes(self._byte()),
    0x8E: lambda self: self._bytes(self._number(_U8)),
    0x96: lambda self: self._bytes(self._number(_U8)),
    ord("a"): lambda self: self._append([self._stack.pop()]),
    ord("e"): lambda self: self._append(self._since_mark()),
    0x90: lambda self: self._append(self._since_mark()),
    ord("s"): lambda self: self._set([self._stack.pop(), self._stack.pop()][::-1]),
    ord("u"): lambda self: self._set(self._since_mark()),
    ord("b"): Unpickler._build,
    ord("c"): lambda self: self._global(self._line(), self._line()),
    ord("d"): Unpickler._dict,
    ord("}"): lambda self: self._push({}),
    ord("l"): lambda self: self._push(self._since_mark()),
    ord("]"): lambda self: self._push([]),
    ord("t"): lambda self: self._push(tuple(self._since_mark())),
    ord(")"): lambda self: self._push(()),
    0x85: lambda self: self._tuple(1),
    0x86: lambda self: self._tuple(2),
    0x87: lambda self: self._tuple(3),
    0x8F: lambda self: self._push(set()),
    0x91: Unpickler._frozenset,
    ord("g"): lambda self: self._get(int(self._line()[:20])),
    ord("h"): lambda self: self._get(self._byte()),
    ord("j"): lambda self: self._get(self._number(_U4)),
    ord("p"): lambda self: self._put(int(self._line()[:20])),
    ord("q"): lambda self: self._put(self._byte()),
    ord("r"): lambda self: self._put(self._number(_U4)),
    0x94: lambda self: self._put(len(self._memo)),
    ord("i"): Unpickler._instance,
    ord("o"): Unpickler._object,
    0x80: Unpickler._byte,
    0x81: Unpickler._reduce,
    0x92: Unpickler._new_with_keywords,
    0x82: lambda self: self._push(self._find("copyreg", f"extension {self._byte()}")),
    0x83: lambda self: self._push(self._find("copyreg", f"extension {self._number(_U2)}")),
    0x84: lambda self: self._push(self._find("copyreg", f"extension {self._number(_I4)}")),
    0x88: lambda self: self._push(True),
    0x89: lambda self: self._push(False),
    0x8A: lambda self: self._long(self._byte()),
    0x8B: lambda self: self._long(self._number(_I4)),
    0x93: Unpickler._stack_global,
    0x95: lambda self: self._take(8) and None,
    0x98: lambda self: None,
}
