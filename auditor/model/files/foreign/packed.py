"""Archives that checkpoints are packed into, and archives of other frameworks."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from auditor.model.files.foreign.kind import ORIGINAL, Foreign, of_framework

_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd"),
    b"\x04\x22\x4d\x18": ("LZ4", "unlz4"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x"),
    b"Rar!\x1a\x07": ("RAR", "unrar x"),
}
_CHECKPOINT = re.compile(r"\.(pt|pth|pt2|bin|ckpt|safetensors|tar|pkl|pickle)$", re.IGNORECASE)
_TORCH_TAR = {"storages", "tensors", "pickle"}
_MOST_MEMBERS = 1000
_KERAS = {"config.json", "model.weights.h5"}


def of_head(path: Path, head: bytes) -> Foreign | None:
    """Return which packed file begins with these bytes."""
    for magic, (name, command) in _PACKED.items():
        if head.startswith(magic):
            tar = _is_gzipped_tar(head) or ".tar" in path.suffixes[:-1] or path.suffix in (".tgz", ".txz", ".tbz2")
            what = (
                f"a {name} archive of a tar archive" if tar else f"{'an' if name[0] in 'LxR' else 'a'} {name} archive"
            )
            unpack = f"tar -xf {path.name}" if tar else f"{command} {path.name}"
            return Foreign(what, f"unpack it first (`{unpack}`) and give the checkpoint inside")
    return None


def of_tar(path: Path, file: BinaryIO) -> Foreign | None:
    """Return what a tar archive is; None for those that torch 0.1 wrote."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = (archive.next() for _ in range(_MOST_MEMBERS))
            names = [member.name for member in iter(members.__next__, None)]
    except (tarfile.TarError, StopIteration, ValueError, OSError, OverflowError, RecursionError):
        return None
    if set(names) >= _TORCH_TAR:
        return None
    return Foreign("a tar archive", _unpack(f"tar -xf {path.name}", names))


def of_zip(path: Path, names: Iterable[str]) -> Foreign | None:
    """Return what a zip archive is that torch did not write; None if its names tell nothing."""
    given = list(names)
    inside = {name.rpartition("/")[2] for name in given}
    if inside >= _KERAS:
        return of_framework("a network of Keras 3 (.keras)", "Keras")
    if given and all(name.endswith(".npy") for name in given):
        tensors = "{k: torch.tensor(v) for k, v in np.load(FILE).items()}"
        way = f"if its names are those of a PyTorch network: torch.save({tensors}, 'net.pt')"
        return Foreign("a numpy archive of arrays (.npz)", way)
    if any("MAR-INF/MANIFEST.json" in name for name in given):
        return Foreign("an archive of TorchServe (.mar)", _unpack(f"unzip {path.name}", given))
    if any(name.endswith("com.apple.CoreML/model.mlmodel") for name in given):
        return Foreign("a packed Core ML package", f"coremltools has no way back: {ORIGINAL}")
    if any(".data/extern_modules" in name for name in given):
        return Foreign("a torch.package", "load it with torch.package and save `model.state_dict()`")
    if found := [name for name in given if _CHECKPOINT.search(name)]:
        return Foreign("a zip archive of checkpoints", _unpack(f"unzip {path.name}", found))
    return None


def _unpack(command: str, names: list[str]) -> str:
    found = [name for name in names if _CHECKPOINT.search(name)]
    what = f"give {found[0][:80]!r}" if len(found) == 1 else f"give one of its {len(found)} checkpoints"
    return f"unpack it (`{command}`) and {what if found else 'give the checkpoint inside, if there is one'}"


def _is_gzipped_tar(head: bytes) -> bool:
    if not head.startswith(b"\x1f\x8b"):
        return False
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 512)[257:262] == b"ustar"
    except zlib.error:
        return False
