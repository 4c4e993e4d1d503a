"""What was assumed about the data where they leave it open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assumption:
    """One decision about how the data are read, which the audit tells.

    Attributes:
        text: A clause in the language of the audit.
        guess: Whether the data could also mean something else, so that the numbers could be wrong.
    """

    text: str
    guess: bool = False
