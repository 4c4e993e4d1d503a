"""Files at an address, as `s3://`, `gs://`, `https://`, read in pieces by fsspec."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.data.sources.library import library
from auditor.errors import DataError
from auditor.language import _

ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII)

_BACKENDS: Final = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
# Of the protocols that fsspec knows some run programs, or chain others; these only fetch.
_REFUSED: Final = ("generic", "dask", "git", "jupyter", "jlab", "libarchive", "reference", "root", "sftp", "ssh", "zip")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at an address."""

    address: str

    @property
    def path(self) -> Path:
        """The address, as a path that messages name."""
        return Path(self.address)

    def size(self) -> int:
        """Return the number of bytes.

        Raises:
            OSError: There is no such file, or its size is unknown.
        """
        size = _tried(self.address, lambda files, inner: files.info(inner).get("size"))
        if not isinstance(size, int):
            raise OSError(errno.EIO, _("the server does not tell its size"), self.address)
        return size

    def read(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on; fewer where the file ends before.

        Raises:
            OSError: They can't be read, or the server can't send a part of a file.
        """
        if length <= 0:
            return b""
        found = _tried(self.address, lambda files, inner: files.cat_file(inner, start=start, end=start + length))
        if len(found) > length:  # a web server without ranges sends the whole file, and not from `start` on
            raise OSError(
                errno.EIO, _("the server sends only whole files, not parts of them; download the file"), self.address
            )
        return bytes(found)

    def content(self, *, most: int) -> bytes:
        """Return all bytes.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        if (size := self.size()) > most:
            raise OSError(errno.EFBIG, _("larger than {most:,} bytes", most=most), self.address)
        return self.read(0, size)

    def open(self) -> Any:
        """Open the file for reading at any place."""
        return _tried(self.address, lambda files, inner: files.open(inner, "rb"))

    def stamp(self) -> str:
        """Return the size, and what the server says of the last change."""
        about = _tried(self.address, lambda files, inner: files.info(inner))
        said = [about.get(key) for key in ("size", "ETag", "etag", "LastModified", "mtime", "created", "md5Hash")]
        return " ".join(map(str, said))


@dataclass(frozen=True, slots=True)
class RemoteImages:
    """Image files below an address.

    Attributes:
        names: Their paths below it.
    """

    base: str
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Return the address of an image, as a path that messages name."""
        return Path(self.base, self.names[index])

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of an image.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        return RemoteFile(f"{self.base}/{self.names[index]}").content(most=most)


def listed(address: str) -> list[str] | None:
    """Return the addresses of all files below a folder, sorted; None if the address is that of a file.

    Raises:
        DataError: There is nothing, or it can't be listed.
    """
    try:
        files, inner = file_system(address)
        if not files.isdir(inner):
            if not files.exists(inner):
                raise DataError(f"data {address} does not exist; expected a folder of images, an archive or a table")
            return None
        scheme = address.partition("://")[0]
        names = [str(name) for name in files.find(inner)]
        return sorted(name if ADDRESS.match(name) else f"{scheme}://{name.lstrip('/')}" for name in names)
    except DataError:
        raise
    except Exception as error:  # each of its file systems raises other kinds
        raise DataError(f"data {address} can't be read: {_reason(error)}") from error


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the address inside of it.

    Raises:
        DataError: The library for it is not installed, or there is none.
    """
    core = library("fsspec.core", extra="remote", what=f"the address {address}")
    scheme = address.partition("://")[0]
    if scheme in _REFUSED or "::" in address:
        raise DataError(
            f"data {address}: addresses of the kind {scheme}:// are not read; give a path, s3:// or https://"
        )
    try:
        files, inner = core.url_to_fs(address)
    except ImportError as error:
        package = _BACKENDS.get(scheme, "a package for it")
        raise DataError(f"the address {address} needs {package}; run pip install {package} ({error})") from error
    except OSError as error:  # a file system that connects at once
        raise DataError(f"data {address} can't be read: {_reason(error)}") from error
    except ValueError as error:
        raise DataError(f"data {address}: {str(error).rstrip('.')}; give a path, s3://, gs:// or https://") from error
    return files, str(inner)


def _tried(address: str, act: Any) -> Any:
    try:
        return act(*file_system(address))
    except DataError as error:
        raise OSError(errno.EIO, str(error), address) from error
    except Exception as error:  # each of its file systems raises other kinds
        raise OSError(errno.EIO, _reason(error), address) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return _("no such file")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
