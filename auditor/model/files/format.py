"""The format of a checkpoint, found from its content and not from its suffix."""

from __future__ import annotations

import os
import struct
import zipfile
from io import BufferedReader
from pathlib import Path
from typing import Literal

from auditor.errors import CheckpointError
from auditor.model.files.foreign import magic, packed
from auditor.model.files.foreign.kind import Foreign
from auditor.process import regular_files

Format = Literal["state dict", "safetensors", "TorchScript", "torch.export"]

EXPECTED = "a state dict (.pt, .pth, .bin, .ckpt), safetensors, TorchScript or a torch.export program (.pt2)"
_INTERPRETER = "The following operation failed in the TorchScript interpreter"
_LARGEST_INDEX = 16 * 2**20


def sniff(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        CheckpointError: The file is missing, a folder, empty, damaged or of another format.
    """
    head = _head(path)
    if head.startswith(b"PK"):
        return _of_archive(path)
    if head[257:262] == b"ustar":
        _refuse_foreign(path, head)
        return "state dict"
    if _is_pickle(head):
        if (foreign := magic.of_pickle(head)) is not None:
            raise _foreign(path, foreign)
        return "state dict"
    if head[8:9] == b"{":
        return "safetensors"
    _refuse_foreign(path, head)
    if path.suffix == ".safetensors":
        return "safetensors"  # its reader says what is wrong with it
    raise CheckpointError(f"{path} is {_kind(head)}; expected {EXPECTED}")


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse a file of a known kind that is no checkpoint.

    Raises:
        CheckpointError: It is one.
    """
    try:
        with regular_files.opened(path) as file:
            tar = head[257:262] == b"ustar"
            found = packed.of_tar(path, file) if tar else magic.of_file(path, file, head)
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    if found is not None:
        raise _foreign(path, found)


def refuse_foreign_folder(path: Path) -> None:
    """Refuse the folder of another framework.

    Raises:
        CheckpointError: It is one.
    """
    if (found := magic.of_folder(path)) is not None:
        raise _foreign(path, found)


def _foreign(path: Path, found: Foreign) -> CheckpointError:
    return CheckpointError(f"{path} is {found.what}; expected {EXPECTED}; {found.way}")


def _head(path: Path) -> bytes:
    try:
        with regular_files.opened(path) as file:
            head = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; expected a checkpoint: {EXPECTED}") from None
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    if not head:
        raise CheckpointError(f"{path} is empty; copy or download it again")
    return head


def _of_archive(path: Path) -> Format:
    try:
        with regular_files.opened(path) as file, zipfile.ZipFile(_small_index(file)) as archive:
            every = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error, OverflowError):
        raise CheckpointError(
            f"{path} is damaged or truncated: the index of its archive can't be read; copy it again"
        ) from None
    names = {name.partition("/")[2] for name in every} | set(every)
    if "archive_format" in names:
        return "torch.export"
    if "serialized_exported_program.json" in names:
        raise CheckpointError(f"{path} was written by torch.export of torch 2.7 or older; export the network again")
    if "constants.pkl" in names:
        return "TorchScript"
    if "data.pkl" in names:
        return "state dict"
    if (found := packed.of_zip(path, every)) is not None:
        raise _foreign(path, found)
    raise CheckpointError(f"{path} is a zip archive that torch did not write; expected {EXPECTED}")


def _small_index(file: BufferedReader) -> BufferedReader:
    """Return the file of an archive if its index, of which every entry takes memory, is small.

    Raises:
        ValueError: It is larger than `_LARGEST_INDEX`.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2**16 - 100))
    tail = file.read()
    plain, wide = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    sizes = [int.from_bytes(tail[plain + 12 : plain + 16], "little")] if plain >= 0 else []
    sizes += [int.from_bytes(tail[wide + 40 : wide + 48], "little")] if wide >= 0 else []
    if any(_LARGEST_INDEX < found != 0xFFFFFFFF for found in sizes):
        raise ValueError
    return file


def _is_pickle(head: bytes) -> bool:
    return head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5


def _kind(head: bytes) -> str:
    """Return what a file of an unknown format is, from its first bytes."""
    text = head[:24].decode("utf-8", errors="ignore")
    whole = len(text.encode()) > len(head[:24]) - 4  # the last letter may be cut
    if whole and " ".join(text.split()).isprintable():
        return f"not a checkpoint: it is text that begins with {text!r}"
    return f"not a checkpoint: it begins with the bytes {head[:8].hex(' ')}"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none.

    TorchScript first shows the code that raised, and gives its reason in the last line.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if lines[0].startswith(_INTERPRETER) else 0].rstrip(".")
