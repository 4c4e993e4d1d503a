"""The builders of networks: torchvision, timm, a module, a file or a plugin; all of them without weights."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from auditor.errors import ArchitectureError, did_you_mean
from auditor.language import _
from auditor.model.architectures import build_errors
from auditor.process.torchvision import torchvision

Schemes = Mapping[str, Callable[..., nn.Module]]

FORMS = "a torchvision name, timm:NAME, package.module:callable or path/to/file.py:callable"
_WEIGHTS = {"weights", "weights_backbone", "pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}


@dataclass(frozen=True)
class Builder:
    """Builds a network without weights.

    Attributes:
        library: `torchvision` or `timm`, whose heads can be resized and whose preprocessing is known; or empty.
        file: The file that `--arch` names, if it is one.
        changes: Functions that change the network after it was built.
    """

    name: str
    source: str
    function: Callable[..., Any]
    library: str = ""
    file: Path | None = None
    changes: tuple[Callable[[nn.Module], None], ...] = ()

    def __call__(self, arguments: Mapping[str, Any]) -> nn.Module:
        """Build the network, with the same random weights each time.

        Raises:
            ArchitectureError: The builder raised, or returned something else.
        """
        _refuse_weights(arguments)
        try:
            with _seeded():
                module = self.function(**arguments)
                for change in self.changes:
                    change(module)
        except ArchitectureError:
            raise
        except (Exception, SystemExit) as error:  # other people's code may raise any exception
            called, cause = (error.function, error.cause) if isinstance(error, _Raised) else (None, error)
            why = build_errors.advice(cause, function=called, arguments=arguments, file=self.file)
            raise ArchitectureError(f"{self.name} can't be built: {why}") from cause
        if not isinstance(module, nn.Module):
            raise ArchitectureError(f"{self.name} returned {type(module).__name__}; expected a torch.nn.Module")
        return module


class _Raised(Exception):
    """What the function of a user raised, with that function."""

    def __init__(self, function: Callable[..., Any], cause: BaseException) -> None:
        super().__init__(str(cause))
        self.function = function
        self.cause = cause


def named(spec: str, schemes: Schemes) -> Builder:
    """Return the builder that `--arch` names.

    Raises:
        ArchitectureError: There is none; the message names the nearest.
    """
    scheme, colon, rest = spec.partition(":")
    if not colon:
        if spec.endswith(".py"):
            raise ArchitectureError(build_errors.without_callable(spec))
        return torchvision_builder(spec)
    if scheme == "timm":
        return timm_builder(rest)
    if scheme in schemes:
        source = _("the plugin's scheme {scheme}", scheme=scheme)
        return Builder(spec, source, partial(schemes[scheme], rest))
    place, attribute = spec.rpartition(":")[::2]
    if place.endswith(".py"):
        path = Path(place)
        return Builder(f"{path.name}:{attribute}", _("a Python file"), partial(_from_file, path, attribute), file=path)
    if "/" in place:
        raise ArchitectureError(f"--arch is {spec!r}, but has to be {FORMS}")
    return Builder(spec, _("a Python module"), partial(_from_module, place, attribute, schemes))


def recorded(name: str) -> list[Builder]:
    """Return the builders of torchvision and timm that a checkpoint's metadata may name."""
    name = name.rpartition("/")[2].removeprefix("timm:").removeprefix("hf-hub:").removeprefix("hf_hub:")
    found = []
    for builder in (torchvision_builder, timm_builder):
        try:
            found.append(builder(name))
        except ArchitectureError:
            continue
    return found


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    return list(torchvision.models.list_models(module=torchvision.models))


def torchvision_builder(name: str) -> Builder:
    """Return the builder of a torchvision network.

    Raises:
        ArchitectureError: There is none of that name.
    """
    known = torchvision_names()
    if name not in known:
        hint = _did_you_mean_timm(name) or did_you_mean(name, known)
        raise ArchitectureError(f"torchvision has no classification network {name!r}; expected {FORMS}{hint}")
    function = torchvision.models.get_model_builder(name)
    if name in ("googlenet", "inception_v3"):
        function = partial(function, init_weights=False)  # otherwise a warning, and minutes of drawing weights
    return Builder(name, "torchvision", function, "torchvision")


def _did_you_mean_timm(name: str) -> str:
    """Return a hint at the timm network of a name, if timm was imported or is installed and has it."""
    bare = name.rpartition("/")[2]
    if not bare.partition(".")[0] or importlib.util.find_spec("timm") is None:
        return ""
    known = bare.partition(".")[0] in importlib.import_module("timm").list_models()
    return f"; did you mean 'timm:{bare}'?" if known else ""


def timm_builder(name: str) -> Builder:
    """Return the builder of a timm network; a tag after the dot selects the weights whose preprocessing is used.

    Raises:
        ArchitectureError: timm is not installed, or has none of that name.
    """
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise ArchitectureError(f"timm:{name} needs timm; run pip install timm ({error})") from error
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        raise ArchitectureError(f"timm has no network {name!r}{did_you_mean(name, known)}")
    return Builder(name, "timm", partial(timm.create_model, name, pretrained=False), "timm")


def _refuse_weights(arguments: Mapping[str, Any]) -> None:
    if refused := sorted(_WEIGHTS & set(arguments)):
        raise ArchitectureError(f"--arch-arg {refused[0]} is not allowed; all weights come from the checkpoint")


def harmless(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without those that would load or download weights."""
    return {key: value for key, value in arguments.items() if key not in _WEIGHTS and "path" not in key}


@contextmanager
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def _from_module(place: str, attribute: str, schemes: Schemes, **arguments: Any) -> Any:
    with _importable(Path.cwd()):
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
            hint = did_you_mean(place, [*schemes, "timm"])
            raise ArchitectureError(f"no module {place!r} can be imported; expected {FORMS}{hint}") from None
        return _made(module, place, attribute, arguments)


def _from_file(path: Path, attribute: str, **arguments: Any) -> Any:
    """Run a file and call what it defines, then remove it and its imports from its own folder from `sys.modules`."""
    if not path.is_file():
        raise ArchitectureError(f"{path} does not exist; give an existing file with --arch path/to/file.py:callable")
    name = f"_{path.stem}_{uuid.uuid4().hex}"
    before = set(sys.modules)
    try:
        with _importable(path.resolve().parent):
            return _made(_executed(name, path), str(path), attribute, arguments)
    finally:
        _forget(set(sys.modules) - before, path.resolve().parent)


def _executed(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ArchitectureError(f"{path} can't be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look up their own module
    spec.loader.exec_module(module)
    return module


def _made(module: ModuleType, place: str, attribute: str, arguments: Mapping[str, Any]) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ArchitectureError(build_errors.absent(attribute, place, vars(found)))
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return copy.deepcopy(found)
    if not callable(found):
        raise ArchitectureError(
            f"{place}:{attribute} is {type(found).__name__}; expected a callable that returns a torch.nn.Module"
        )
    try:
        return found(**arguments)
    except (Exception, SystemExit) as error:  # other people's code may raise any exception
        raise _Raised(found, error) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _forget(names: set[str], folder: Path) -> None:
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).resolve().is_relative_to(folder) and "site-packages" not in file:
            del sys.modules[name]
