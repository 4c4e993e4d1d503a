"""What stands for the classes and functions that checkpoints name: functions of this package, by the names in files.

Each takes what the file gives and checks it. Where it can't be made sense of, `NotImplemented` or an error of Python
leaves a stand-in. Tensors are made by `storages`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch

from auditor.model.files import storages
from auditor.model.files.budget import Budget
from auditor.model.files.opcodes import Malformed, is_key
from auditor.model.files.stand_in import Global, Key, StandIn
from auditor.model.files.storages import Saved

Makers = Mapping[str, Callable[..., Any]]

TOKENS: Final[Mapping[str, Any]] = {
    f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype | torch.layout)
}
INERT: Final = {
    *("argparse.Namespace", "types.SimpleNamespace", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    *("datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone"),
    *("builtins.object", "__builtin__.object", "builtins.int", "builtins.float", "builtins.str", "builtins.bool"),
    *("torch.per_tensor_affine", "torch.per_channel_affine", "torch.per_channel_affine_float_qparams"),
    *(
        f"{place}.AttributeDict"
        for place in (
            "pytorch_lightning.utilities.parsing",
            "lightning.pytorch.utilities.parsing",
            "lightning_fabric.utilities.data",
            "lightning.fabric.utilities.data",
        )
    ),
}
"""Names whose stand-ins hold settings, or nothing: no one misses what they would be."""

_LETTERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,5})")
_CLASSES = ("torch.nn.parameter.Parameter", "torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Buffer")


class Array:
    """An array of numpy, filled by what the pickle says next."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None
        self.objects: list[Any] = []

    @property
    def listed(self) -> list[Any] | None:
        """Its items, if it has one dimension; None if it has more, or text that is none."""
        if self.value is None or self.value.ndim != 1:
            return self.objects or None
        try:
            return list(self.value.tolist())
        except ValueError:
            return None

    def take_state(self, state: Any) -> None:
        """Take shape, dtype and bytes; those of objects stay a list."""
        _version, shape, kind, by_columns, data = state
        if isinstance(data, list):
            self.objects = data
        elif isinstance(kind, DType) and isinstance(data, bytes | memoryview | str):
            raw = data.encode("latin-1") if isinstance(data, str) else data
            self.value = _array(raw, kind, shape, "F" if by_columns is True else "C")


class DType:
    """A type of numpy's numbers."""

    def __init__(self, letters: str) -> None:
        self.value = np.dtype(letters)

    def take_state(self, state: Any) -> None:
        """Take the byte order."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


def makers(budget: Budget, nested: Callable[[bytes | memoryview], Any]) -> Makers:
    """Return the function for each known name.

    Args:
        nested: Reads the storage that a bare pickle holds as bytes.
    """
    containers: dict[str, Callable[..., Any]] = {
        "collections.OrderedDict": _mapping,
        "builtins.dict": _mapping,
        "collections.Counter": _mapping,
        "collections.defaultdict": lambda factory=None, *given: _mapping(*given),
        "builtins.list": lambda *given: list(*_plain_sequence(given)),
        "builtins.tuple": lambda *given: tuple(*_plain_sequence(given)),
        "builtins.set": lambda *given: {item for part in _plain_sequence(given) for item in part if is_key(item)},
        "builtins.frozenset": lambda *given: frozenset(i for part in _plain_sequence(given) for i in part if is_key(i)),
        "builtins.complex": lambda real=0.0, imaginary=0.0: complex(float(real), float(imaginary)),
        "builtins.bytearray": lambda *given: _encoded(budget, *given),
        "_codecs.encode": lambda *given: _encoded(budget, *given),
        "copyreg._reconstructor": _blank,
        "copy_reg._reconstructor": _blank,
        "torch.distributed.checkpoint.metadata.MetadataIndex": lambda: Key(),
        "torch.Size": lambda sizes=(): tuple(sizes),
        "torch.device": lambda *given: ":".join(str(part) for part in given if isinstance(part, str | int)),
        "torch.serialization._get_layout": lambda name: TOKENS[name],
    }
    paths = {
        f"{module}.{name}": lambda *parts: "/".join(part for part in parts if isinstance(part, str))
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
    }
    found = containers | paths | _numpy(budget) | _tensors(budget)
    found["torch.storage._load_from_bytes"] = nested
    return found | {name.replace("builtins.", "__builtin__."): make for name, make in containers.items()}


def _numpy(budget: Budget) -> dict[str, Callable[..., Any]]:
    made: dict[str, Callable[..., Any]] = {"numpy.dtype": _dtype, "numpy.ndarray": lambda *given: NotImplemented}
    for core in ("numpy.core", "numpy._core"):
        made[f"{core}.multiarray._reconstruct"] = lambda *given: Array()
        made[f"{core}.multiarray.scalar"] = _scalar
        made[f"{core}.numeric._frombuffer"] = lambda data, kind, shape, order: _held(_array(data, kind, shape, order))
    return made


def _tensors(budget: Budget) -> dict[str, Callable[..., Any]]:
    def plain(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Saved:
        return storages.strided(storage, offset, size, stride, budget=budget, flags=rest[2] if len(rest) > 2 else None)

    def typed(
        storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *rest: Any
    ) -> Any:
        if not isinstance(dtype, torch.dtype):
            return NotImplemented
        flags = rest[0] if rest else None
        return storages.strided(storage, offset, size, stride, budget=budget, dtype=dtype, flags=flags)

    def quantised(storage: Any, offset: Any, size: Any, stride: Any, parameters: Any, *rest: Any) -> Saved:
        return storages.quantised(storage, offset, size, stride, parameters, budget=budget)

    def subclass(function: Any, _kind: Any, arguments: Any, *rest: Any) -> Any:
        make = ours.get(getattr(function, "name", ""))
        return make(*arguments) if make is not None else NotImplemented

    ours: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": plain,
        "torch._utils._rebuild_tensor_v2": plain,
        "torch._utils._rebuild_tensor_v3": typed,
        "torch._utils._rebuild_qtensor": quantised,
        "torch._utils._rebuild_sparse_tensor": lambda layout, parts: storages.sparse(layout, parts, budget=budget),
    }
    parameters = {
        f"torch._utils.{name}": lambda data, *rest: data if isinstance(data, Saved) else NotImplemented
        for name in ("_rebuild_parameter", "_rebuild_parameter_with_state")
    }
    subclasses = {f"torch._tensor.{name}": subclass for name in ("_rebuild_from_type", "_rebuild_from_type_v2")} | {
        "torch.tensor._rebuild_from_type": subclass
    }
    made = {name: lambda data=None, *rest: data if isinstance(data, Saved) else NotImplemented for name in _CLASSES}
    return ours | parameters | subclasses | made


def _mapping(*given: Any) -> dict[Any, Any]:
    """Return a dict of nothing, of a dict or of pairs."""
    if not given:
        return {}
    (content,) = given
    pairs = content.items() if isinstance(content, dict) else content
    return {key: value for key, value in pairs if is_key(key)}


def _blank(kind: Any, *rest: Any) -> Any:
    """Return the object that protocols 0 and 1 make before they fill it."""
    return StandIn(kind.name) if isinstance(kind, Global) else NotImplemented


def _plain_sequence(given: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(not isinstance(part, list | tuple | set | frozenset | dict) for part in given):
        raise TypeError("a container of something that is none")
    return given


def _encoded(budget: Budget, text: Any = b"", *rest: Any) -> bytes:
    if isinstance(text, bytes | memoryview):
        budget.memory(len(text))
        return bytes(text)
    budget.memory(len(text))
    return str(text).encode("latin-1") if isinstance(text, str) else b""


def _dtype(letters: Any, *rest: Any) -> Any:
    if not isinstance(letters, str) or not _LETTERS.fullmatch(letters):
        return NotImplemented
    return DType(letters)


def _scalar(kind: Any, data: Any = b"") -> Any:
    """Return a number of numpy as one of Python."""
    if not isinstance(kind, DType):
        return NotImplemented
    raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, kind.value, count=1)[0].item()


def _array(raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    size = storages.sizes(shape if isinstance(shape, tuple) else (shape,))
    if not isinstance(kind, DType):
        raise TypeError("an array of no numbers")
    count = int(np.prod(size, dtype=object)) if size else 1
    if count * kind.value.itemsize != len(raw):
        raise Malformed(f"it holds an array of shape {list(size)} and {len(raw):,} bytes")
    return np.frombuffer(raw, kind.value).reshape(size, order="F" if order == "F" else "C")


def _held(value: np.ndarray) -> Array:
    made = Array()
    made.value = value
    return made
