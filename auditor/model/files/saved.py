"""Files of `torch.save` and pickles, read by their format: no code of the file runs, and nothing is imported by name.

The formats are the zip archive, the sequence of pickles before torch 1.6, the tar of torch 0.1, and bare pickles.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from auditor.model.files import constructors, storages
from auditor.model.files.archive import Archive
from auditor.model.files.budget import Budget
from auditor.model.files.content import Content
from auditor.model.files.opcodes import Malformed, Unpickler
from auditor.model.files.stand_in import Global
from auditor.model.files.storages import Storage

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_DEEPEST: Final = 1  # a bare pickle holds its storages as files of their own


@dataclass(frozen=True)
class Object:
    """A saved object.

    Attributes:
        value: Containers, numbers, text, `Saved` tensors and stand-ins.
        unknown: The classes and functions that it names and this package does not know.
    """

    value: Any
    unknown: tuple[str, ...]


def read(content: Content) -> Object:
    """Return the object in a file.

    Raises:
        Malformed: It is damaged.
        Exceeded: It asks for far more work or memory than a checkpoint does.
    """
    file = _File(content, Budget(content.size))
    return Object(file.value(), tuple(file.unknown))


class _File:
    """One file while it is read."""

    def __init__(self, content: Content, budget: Budget, depth: int = 0) -> None:
        self.content = content
        self.budget = budget
        self.depth = depth
        self.unknown: dict[str, None] = {}
        self._globals: dict[str, Global] = {}
        self._makers = constructors.makers(budget, self._nested)

    def value(self) -> Any:
        head = bytes(self.content.view[:512])
        if head.startswith(b"PK"):
            return self._of_archive()
        if head[257:262] == b"ustar":
            return self._of_tar()
        return self._of_pickles()

    def pickles(self, view: memoryview, position: int, persistent: Callable[[Any], Any]) -> Unpickler:
        return Unpickler(view, position, budget=self.budget, find=self._find, persistent=persistent)

    def _find(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in constructors.TOKENS:
            return constructors.TOKENS[full]
        if full not in self._globals:
            self._globals[full] = Global(full, self._makers.get(full))
            if full not in self._makers and not _is_storage(full) and full not in constructors.INERT:
                self.unknown[full] = None
        return self._globals[full]

    def _nested(self, data: bytes | memoryview) -> Any:
        if self.depth >= _DEEPEST:
            return NotImplemented
        self.budget.memory(len(data))
        copy = bytearray(data)
        return _File(Content(copy, len(copy)), self.budget, self.depth + 1).value()

    # -- the zip archive

    def _of_archive(self) -> Any:
        archive = Archive(self.content, self.budget)
        order = bytes(archive.bytes("byteorder", most=16)) if "byteorder" in archive else b"little"
        if order not in (b"little", b"big"):
            raise Malformed(f"it has the byte order {order!r}; expected little or big")
        known: dict[str, tuple[torch.dtype, Callable[[], torch.UntypedStorage]]] = {}

        def persistent(saved: Any) -> Any:
            _kind, dtype, untyped, key, numel = _storage_id(saved, 5)
            size = archive.size(f"data/{key}")
            if numel * dtype.itemsize > size:
                raise Malformed(f"it holds a storage of {numel:,} elements, but {size:,} bytes of it")
            if key not in known:
                known[key] = (dtype, _once(lambda: _ordered(archive.storage(f"data/{key}"), dtype, order)))
            if order == b"big" and (known[key][0] is not dtype or untyped):
                raise Malformed("it holds a big-endian storage without a type")
            return Storage(dtype, numel, known[key][1], untyped=untyped)

        return self.pickles(archive.bytes("data.pkl"), 0, persistent).load()

    # -- the sequence of pickles

    def _of_pickles(self) -> Any:
        declared: dict[str, Storage] = {}
        views: dict[str, Storage] = {}
        places: dict[str, tuple[int, int]] = {}

        def persistent(saved: Any) -> Any:
            if isinstance(saved, tuple) and len(saved) == 4 and saved[0] in ("module", b"module"):
                return saved[1]  # the class, before its source code
            _kind, dtype, untyped, key, numel = _storage_id(saved, 6)
            if key not in declared:
                load = _once(lambda: self._placed(places, key))
                declared[key] = Storage(dtype, numel, load, untyped=untyped)
            return _viewed(declared[key], saved[5], views)

        reader = self.pickles(self.content.view, 0, persistent)
        first = reader.load()
        if type(first) is not int or first != _MAGIC:
            return first
        reader.load()  # the version of the protocol
        reader.load()  # the sizes of types on the machine that wrote it
        value = reader.load()
        keys = reader.load()
        if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys) or set(map(str, keys)) != set(declared):
            raise Malformed("its list of storages is not that of its tensors")
        self._locate([declared[str(key)] for key in keys], [str(key) for key in keys], reader.position, places)
        return value

    def _locate(self, each: list[Storage], keys: list[str], place: int, places: dict[str, tuple[int, int]]) -> None:
        for storage, key in zip(each, keys, strict=True):
            place = _begin(self.content.view, place, storage)
            places[key] = (place, storage.bytes)
            place += storage.bytes

    def _placed(self, places: dict[str, tuple[int, int]], key: str) -> torch.UntypedStorage:
        if key not in places:
            raise Malformed("it holds a storage without bytes")
        return self.content.storage(*places[key])

    # -- the tar of torch 0.1

    def _of_tar(self) -> Any:
        parts = _members(self.content)
        if not {"storages", "tensors", "pickle"} <= set(parts):
            raise Malformed("it is a tar archive that torch did not write")
        known = self._tar_storages(*parts["storages"])
        made = self._tar_tensors(*parts["tensors"], known)

        def persistent(saved: Any) -> Any:
            if isinstance(saved, tuple):
                return saved[0] if saved else None
            return made[int(saved)] if int(saved) in made else known[int(saved)]

        return self.pickles(self._part(*parts["pickle"]), 0, persistent).load()

    def _part(self, start: int, size: int) -> memoryview:
        return self.content.view[start : start + size]

    def _tar_storages(self, start: int, size: int) -> dict[int, Storage]:
        view = self._part(start, size)
        reader = self.pickles(view, 0, _refused)
        known: dict[int, Storage] = {}
        for _ in range(_count(reader.load())):
            key, _location, kind = reader.load()
            dtype, untyped = _dtype_of(kind)
            (numel,) = struct.unpack_from("<q", view, reader.position)
            storage = Storage(dtype, numel, lambda: torch.UntypedStorage(0), untyped=untyped)
            place = _begin(view, reader.position, storage)
            storage.load = _once(lambda at=start + place, n=storage.bytes: self.content.storage(at, n))  # type: ignore[misc]
            known[int(key)] = storage
            reader.position = place + storage.bytes
        for target, root, offset, numel in reader.load():
            self.budget.step()
            known[int(target)] = known[int(root)].view(offset, numel)
        return known

    def _tar_tensors(self, start: int, size: int, known: dict[int, Storage]) -> dict[int, Any]:
        view = self._part(start, size)
        reader = self.pickles(view, 0, _refused)
        made: dict[int, Any] = {}
        for _ in range(_count(reader.load())):
            key, storage, _kind = reader.load()
            (ndim,) = struct.unpack_from("<i", view, reader.position)
            if not 0 <= ndim <= storages.MOST_DIMENSIONS:
                raise Malformed(f"it holds a tensor of {ndim} dimensions")
            numbers = struct.unpack_from(f"<{2 * ndim + 1}q", view, reader.position + 8)
            reader.position += 8 + 8 * len(numbers)
            sizes, strides, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
            made[int(key)] = storages.strided(known[int(storage)], offset, sizes, strides, budget=self.budget)
        return made


def _is_storage(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return module in ("torch", "torch.cuda", "torch.storage") and last in storages.DTYPES


def _dtype_of(kind: Any) -> tuple[torch.dtype, bool]:
    if not isinstance(kind, Global) or not _is_storage(kind.name):
        raise Malformed("it holds a storage of an unknown type")
    last = kind.name.rpartition(".")[2]
    return storages.DTYPES[last], last == "UntypedStorage"


def _storage_id(saved: Any, length: int) -> tuple[str, torch.dtype, bool, str, int]:
    """Return what a persistent id says: a kind, the type of the elements, whether it has none, a key and a number."""
    if not isinstance(saved, tuple) or len(saved) != length or saved[0] not in ("storage", b"storage"):
        raise Malformed("it refers to something outside of the file that is no storage")
    dtype, untyped = _dtype_of(saved[1])
    key, numel = saved[2], saved[4]
    if type(key) not in (str, int, bytes) or type(numel) is not int or not 0 <= numel < 2**48:
        raise Malformed("it refers to a storage of an impossible size or name")
    return "storage", dtype, untyped, key.decode("latin-1") if isinstance(key, bytes) else str(key), numel


def _viewed(storage: Storage, view: Any, known: dict[str, Storage]) -> Storage:
    if view is None:
        return storage
    key, offset, numel = view
    if str(key) not in known:
        known[str(key)] = storage.view(offset, numel)
    return known[str(key)]


def _begin(view: memoryview, place: int, storage: Storage) -> int:
    """Return where the bytes of a storage begin, after their number."""
    if place + 8 > len(view):
        raise Malformed("it ends before its storages do")
    (numel,) = struct.unpack_from("<q", view, place)
    if numel != storage.numel or numel < 0:
        raise Malformed(f"it holds a storage of {numel:,} elements; its pickle says {storage.numel:,}")
    if storage.bytes > len(view) - place - 8:
        raise Malformed(f"it holds a storage of {storage.bytes:,} bytes, more than the rest of the file")
    return place + 8


def _ordered(storage: torch.UntypedStorage, dtype: torch.dtype, order: bytes) -> torch.UntypedStorage:
    if order == b"big" and dtype.itemsize > 1:
        storage.byteswap(dtype)
    return storage


def _once(load: Callable[[], torch.UntypedStorage]) -> Callable[[], torch.UntypedStorage]:
    found: list[torch.UntypedStorage] = []

    def loaded() -> torch.UntypedStorage:
        if not found:
            found.append(load())
        return found[0]

    return loaded


def _members(content: Content) -> dict[str, tuple[int, int]]:
    """Return where the three members of a tar archive lie."""
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content.view), mode="r:") as archive:
            for _ in range(16):
                if (member := archive.next()) is None:
                    break
                if member.isreg() and not member.issparse():
                    found[member.name] = (member.offset_data, member.size)
    except (tarfile.TarError, ValueError, OSError, OverflowError, RecursionError) as error:
        raise Malformed("its tar archive can't be read") from error
    if any(start + size > content.size for start, size in found.values()):
        raise Malformed("its tar archive is cut")
    return found


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 10**6:
        raise Malformed("it holds an impossible number of tensors")
    return value


def _refused(saved: Any) -> Any:
    raise Malformed("it refers to something outside of the file")
