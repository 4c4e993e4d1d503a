"""Open regular files only.

To open a FIFO waits for a writer, and to read a device may never end. Where a user, a manifest or an archive names a
file, it is opened here, so that anything else raises an `OSError` at once.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_NOWHERE = {
    errno.ENAMETOOLONG: "it is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.EACCES: "it lies in a folder that this user may not enter",
}


def opened(path: Path) -> BufferedReader:
    """Open a regular file for reading; a link is followed.

    Raises:
        OSError: The file is missing or can't be read, or it is a folder, a FIFO, a device or a socket. `strerror` says
            which.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(errno.EINVAL, "a socket, not a regular file", str(path)) from None
    try:
        _refuse_special(handle, path)
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def content(path: Path, *, most: int) -> bytes:
    """Return the contents of a regular file.

    Args:
        most: The largest number of bytes.

    Raises:
        OSError: As from `opened`, or the file is larger.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        found = file.read(min(size, most) + 1)  # a larger request would take its memory first
        if len(found) > size:  # it grows, or the system doesn't know its size
            found += file.read(most + 1 - len(found))
    if len(found) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return found


def expanded(path: Path) -> Path:
    """Return a path with the home folder in place of `~`; unchanged where there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def impossible(path: Path) -> str:
    """Return why a path leads nowhere, for example through a circle of links; empty if something could be there."""
    try:
        path.stat()
    except OSError as error:
        return _NOWHERE.get(error.errno or 0, "")
    except ValueError:
        return "it has a character that no path can have"
    return ""


def _refuse_special(handle: int, path: Path) -> None:
    mode = os.fstat(handle).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{_kind(mode)}, not a regular file", str(path))


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "special")
