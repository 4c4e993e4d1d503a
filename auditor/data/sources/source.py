"""A source of images: their bytes, by index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from auditor.data.decoding.stored import Stored


@runtime_checkable
class Source(Protocol):
    """Images in a fixed order, each read on its own.

    A source is sent to the processes that decode, so it can be pickled. It keeps no file open that a process after a
    fork, or another thread, would read from.
    """

    def __len__(self) -> int: ...

    def path(self, index: int) -> Path:
        """Return the path of an image as messages name it; inside of an archive it leads through the archive."""
        ...

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of an image.

        Args:
            most: The largest number of bytes.

        Raises:
            OSError: They can't be read, or there are more. `strerror` says why in a few words.
        """
        ...


@runtime_checkable
class Decoded(Source, Protocol):
    """Images that a program has in memory, decoded, and not in files.

    Attributes:
        digests: SHA-256 of the contents of each image.
    """

    digests: Sequence[str]

    def stored(self, index: int) -> Stored:
        """Return an image.

        Raises:
            Refused: It can't be used.
            DataError: It is not the one that was listed.
        """
        ...
