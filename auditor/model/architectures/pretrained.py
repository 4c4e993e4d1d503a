"""Networks of transformers: built from what `config.json` says, offline, and without code from elsewhere.

transformers saves a network under other names than it runs it with, and older versions of it ran others. Its own
conversion mapping translates both.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from auditor.errors import ArchitectureError, did_you_mean
from auditor.model.architectures.builders import Builder
from auditor.model.files.format import first_line
from auditor.model.files.metadata import LARGEST_ARGUMENT

LIBRARY: Final = "transformers"
EXPECTED: Final = "a network of transformers for image classification (...ForImageClassification)"
_FLOOR: Final = 2**26  # elements, and
_FEW: Final = 1000  # tensors: a network this small may be larger than its file
_KEPT: Final = {"num_labels", "id2label", "label2id", "problem_type", "architectures"}
_REMOTE: Final = ("_implementation", "auto_map", "quantization_config", "dtype", "kernel")
"""Parts of keys with which a configuration chooses code, also of a repository, or types."""


def library(name: str) -> Any:
    """Return a module of transformers.

    Raises:
        ArchitectureError: It is not installed.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when it is imported: nothing is downloaded
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ArchitectureError(
            f"a folder of transformers needs transformers; run pip install 'auditor[hf]' ({first_line(error)})"
        ) from error


def builder(config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, where: str) -> Builder:
    """Return the builder of the network that a `config.json` describes.

    Args:
        tensors: Those of the checkpoint: the network may not be much larger.
        where: The file, for messages.

    Raises:
        ArchitectureError: The network is no image classifier, or not one of transformers.
    """
    auto = library("transformers.models.auto.modeling_auto")
    kind = _configuration(config, where)
    declared = _architectures(config)
    if kind not in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        what = declared[0] if declared else f"network of the type {config.get('model_type')!r}"
        raise ArchitectureError(f"{where} describes a {what}; expected {EXPECTED}")
    known = auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[kind]
    classes = {k.__name__: k for k in (known if isinstance(known, tuple) else (known,))}
    chosen = next((classes[name] for name in declared if name in classes), None)
    if chosen is None and declared:
        raise ArchitectureError(
            f"{where} describes a {declared[0]}, which gives no scores of classes; expected {EXPECTED}: "
            f"{' or '.join(classes)}"
        )
    chosen = chosen or next(iter(classes.values()))
    limit = (2 * len(tensors) + _FEW, 2 * sum(tensor.numel() for tensor in tensors.values()) + _FLOOR)
    function = partial(_built, chosen, kind, _plain(config, kind, where), limit, where)
    return Builder(chosen.__name__, LIBRARY, function, LIBRARY)


def _configuration(config: Mapping[str, Any], where: str) -> Any:
    """Return the class of transformers for a configuration."""
    known = library("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    name = config.get("model_type")
    if not isinstance(name, str) or name not in known:
        remote = ", and code of its author in auto_map, which is never run" if config.get("auto_map") else ""
        hint = did_you_mean(name, known.keys()) if isinstance(name, str) else ""
        raise ArchitectureError(
            f"{where} has the model_type {str(name)[:80]!r}{remote}; expected one that transformers knows{hint}; give "
            "the network with --arch path/to/file.py:callable"
        )
    return known[name]


def _architectures(config: Mapping[str, Any]) -> list[str]:
    said = config.get("architectures")
    return [str(name)[:80] for name in said[:4]] if isinstance(said, list) else []


def _plain(config: Mapping[str, Any], kind: Any, where: str) -> dict[str, Any]:
    """Return what the configuration says about the network: known keys, harmless values.

    Raises:
        ArchitectureError: The network is quantised, or a number asks for any amount of memory.
    """
    if config.get("quantization_config"):
        raise ArchitectureError(
            f"{where} describes a quantised network (quantization_config), whose tensors only its own kernels can "
            "read; save it without quantisation"
        )
    fields = getattr(kind, "__dataclass_fields__", None)
    known = {*(fields or config), *getattr(kind, "attribute_map", {}), *_KEPT}
    return {key: _harmless(value, key, where) for key, value in config.items() if key in known and not _chooses(key)}


def _chooses(key: str) -> bool:
    return key.startswith("_") or any(part in key for part in _REMOTE)


def _harmless(value: Any, key: str, where: str) -> Any:
    if isinstance(value, dict):
        return {k: _harmless(v, k, where) for k, v in value.items() if not _chooses(k)}
    if isinstance(value, list):
        return [_harmless(each, key, where) for each in value]
    if isinstance(value, int | float) and abs(value) > LARGEST_ARGUMENT:
        raise ArchitectureError(f"{where} has {key[:80]} = {value!r:.80}; expected at most {LARGEST_ARGUMENT:,}")
    return value


def _built(
    chosen: Any, kind: Any, said: Mapping[str, Any], limit: tuple[int, int], where: str, **arguments: Any
) -> nn.Module:
    """Return the network, once it is known that it takes no more memory than its file can explain."""
    config = kind.from_dict(deepcopy(dict(said)) | arguments)
    with _quiet(), _limited(limit, where), torch.device("meta"):
        chosen(deepcopy(config))
    with _quiet():
        built: nn.Module = chosen(config)
    return built


@contextmanager
def _limited(limit: tuple[int, int], where: str) -> Iterator[None]:
    """Refuse networks of more tensors or elements than `limit` while they are built.

    Raises:
        ArchitectureError: The network is larger.
    """
    count, elements = 0, 0

    def counted(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal count, elements
        count, elements = count + 1, elements + (tensor.numel() if isinstance(tensor, Tensor) else 0)
        if count > limit[0] or elements > limit[1]:
            raise ArchitectureError(
                f"{where} describes a network of at least {elements:,} elements in {count:,} tensors, far more than "
                "the file has"
            )

    handles = [
        torch_module.register_module_parameter_registration_hook(counted),
        torch_module.register_module_buffer_registration_hook(counted),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from writing to the terminal."""
    logging = library("transformers.utils.logging")
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def translated(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors under the names with which the networks of transformers in `module` run.

    The tensors are returned unchanged where there is no such network, and where transformers has no mapping for it.

    Args:
        prefix: The prefix that was removed when the file was read; a network inside of another one may need it.
    """
    found = dict(tensors)
    for name, part in _outermost(module):
        place = f"{name}." if name else ""
        if not any(key.startswith(place) for key in found) and prefix.startswith(place):
            found = {prefix + key: tensor for key, tensor in found.items()}
        own = {key.removeprefix(place): found[key] for key in found if key.startswith(place)}
        try:
            renamed = _renamed(part, own)
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue  # tensors of other shapes, which can't be split or joined: their names are told
        rest = {key: tensor for key, tensor in found.items() if not key.startswith(place)}
        found = rest | {place + key: tensor for key, tensor in renamed.items()}
    return found


def _outermost(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the networks of transformers that lie in no other one, by name."""
    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    found: list[tuple[str, nn.Module]] = []
    if kind is None:
        return found
    for name, part in module.named_modules():
        if isinstance(part, kind) and not any(name.startswith(f"{outer}.") or not outer for outer, _ in found):
            found.append((name, part))
    return found


def _renamed(part: Any, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names of the network: renamed, split and joined as transformers does."""
    loading = library("transformers.core_model_loading")
    mapping = library("transformers.conversion_mapping").get_model_conversion_mapping(part)
    renamings = [entry for entry in mapping if isinstance(entry, loading.WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, loading.WeightConverter)]
    by_pattern = {pattern: entry for entry in converters for pattern in entry.source_patterns}
    state = part.state_dict()
    found: dict[str, Tensor] = {}
    collected: dict[str, Any] = {}
    for key, tensor in tensors.items():
        name, pattern = loading.rename_source_key(key, renamings, converters, part.base_model_prefix, state)
        if name not in state and key in state:
            name, pattern = key, None
        if pattern is None:
            found[name] = tensor
            continue
        converter = collected.setdefault(name, deepcopy(by_pattern[pattern]))
        converter.add_tensor(name, key, pattern, tensor)
    for name, converter in collected.items():
        found |= _converted(converter.convert(name, model=part, config=part.config))
    return found


def _converted(values: Mapping[str, Tensor | Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: value if isinstance(value, Tensor) else value[0] for name, value in values.items()}
