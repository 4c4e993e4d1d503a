"""Who is told how far an audit is, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from auditor.check import Check
from auditor.context import Progress, unseen
from auditor.results import Provenance, Result


class Observer(Protocol):
    """Shows the progress of an audit."""

    def begun(self, about: Provenance, checks: Sequence[Check]) -> None: ...

    def sweeping(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the pass over so many files; the function that it gives is called with each number of files done."""
        ...

    def checking(self, check: Check) -> None: ...

    def working(self, total: int, unit: str) -> Progress:
        """Show the progress of the check that is running."""
        ...

    def checked(self, result: Result) -> None: ...


class Silent:
    """Shows nothing."""

    def begun(self, about: Provenance, checks: Sequence[Check]) -> None: ...

    def sweeping(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda done: None)

    def checking(self, check: Check) -> None: ...

    def working(self, total: int, unit: str) -> Progress:
        return unseen(total, unit)

    def checked(self, result: Result) -> None: ...
