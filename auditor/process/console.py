"""Everything that this process prints goes through here, so that nothing printed is a command.

No other module prints. What is printed may contain names from files and plugins. It is made safe twice: where a name
is put into a line, by `printable`, which also keeps it on this line, and here, in case that was forgotten.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

from auditor.process.foreign_text import disarmed, printable_lines

if TYPE_CHECKING:
    from rich.console import Console


def provide_streams() -> None:
    """Let a standard stream that the process was started without, as by `>&-`, lead nowhere.

    Its descriptor is taken too. Otherwise the next file that is opened gets it, and with it what a library prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # each gets the lowest number that is free
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(handle, True)
            setattr(sys, name, os.fdopen(handle, mode, encoding="utf-8"))


def say(text: str, *, err: bool = False) -> None:
    """Print lines to stdout or, with `err`, to stderr."""
    stream = sys.stderr if err else sys.stdout
    _write(stream, printable_lines(text) + "\n")


def say_over(text: str) -> None:
    """Write a line to stderr, over the one that was written so before."""
    _write(sys.stderr, "\r" + printable_lines(text) + "   ")  # blanks cover the end of a longer line


def command(line: str) -> None:
    """Print a command for the CI server, as it is; the caller has escaped the names in it."""
    _write(sys.stdout, line + "\n")


def console(stream: TextIO, *, color: bool | None = None, width: int | None = None) -> Console:
    """Return a console for styled lines, tables and progress.

    Args:
        color: Whether to use colours; None uses them if the stream is a terminal and `NO_COLOR` is not set.
        width: Columns; None for those of the terminal.
    """
    return _kind()(
        file=cast(TextIO, _Output(stream)),
        highlight=False,
        no_color=color is False or None,
        force_terminal=True if color else None,
        emoji=False,
        width=width,
    )


class _Output:
    """A stream to which lines are written after they are disarmed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._starts_line = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not text:
            return 0
        safe = _encodable(self._stream, disarmed(text, starts_line=self._starts_line))
        self._starts_line = text.endswith(("\n", "\r"))
        try:
            return self._stream.write(safe)
        except OSError as error:
            _lost(self._stream, error)
            return len(safe)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            _lost(self._stream, error)


@cache
def _kind() -> type[Console]:
    """Return the class of the consoles; rich is imported only where it is needed."""
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Printed(Console):
        """A console whose output may be closed, as by `| head`; the audit goes on for its report and exit code."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            self.quiet = True
            _silence(cast(TextIO, self.file))

    return Printed


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(_encodable(stream, text))
        stream.flush()
    except OSError as error:
        _lost(stream, error)


def _lost(stream: TextIO, error: OSError) -> None:
    """Go on without an output that can't be written, for the report and the exit code; say so unless nobody reads."""
    _silence(stream)
    if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
        say(f"warning: can't print: {error.strerror}; what is printed from here on is lost", err=True)


def _silence(stream: TextIO) -> None:
    """Let a stream that nobody reads, as behind `| head`, lead nowhere; the command goes on for its exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _encodable(stream: TextIO, text: str) -> str:
    """Return the text with escapes for the letters that the encoding of the stream does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
