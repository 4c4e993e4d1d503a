"""Where plugins come from: built in, installed, named by `-p`, or an `auditfile.py` on the way up."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from auditor.config.file import shown
from auditor.errors import PluginError

BUILT_IN = "auditor"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module (or an object) that may hold checks and hooks; built-in ones share one name."""

    name: str
    content: Any


def built_in() -> Iterator[Plugin]:
    """Yield the modules of `auditor.checks`, in the order in which a report is read."""
    package = importlib.import_module("auditor.checks")
    found = {module.name: module.ispkg for module in pkgutil.iter_modules(package.__path__)}
    order = [name for name in package.READING_ORDER if name in found]
    for name in dict.fromkeys([*order, *found]):
        place = f"auditor.checks.{name}.check" if found[name] else f"auditor.checks.{name}"
        yield Plugin(BUILT_IN, importlib.import_module(place))


def installed() -> Iterator[Plugin]:
    """Yield what installed packages declare in the entry-point group `auditor`."""
    for point in sorted(entry_points(group="auditor"), key=lambda point: point.name):
        name = point.dist.name if point.dist else point.name
        with imported(name):
            content = _with_torchvision(point.load)
        yield Plugin(name, content)


def named(modules: Sequence[str], start: Path) -> Iterator[Plugin]:
    """Yield the modules that `-p` names; they may lie in the folder `start`, as for `python -m`."""
    if modules and str(start) not in sys.path:
        sys.path.append(str(start))  # last, so that no local file shadows a library
    for name in modules:
        with imported(name):
            content = _with_torchvision(partial(importlib.import_module, name))
        yield Plugin(name, content)


def files(start: Path) -> Iterator[Plugin]:
    """Yield every `auditfile.py` in `start` and its parents, the outermost first."""
    for folder in (*reversed(start.absolute().parents), start.absolute()):
        if (path := folder / "auditfile.py").is_file():
            with imported(shown(path)):
                content = _with_torchvision(partial(_from_path, path))
            yield Plugin(shown(path), content)


def _with_torchvision(load: Callable[[], Any]) -> Any:
    """Load a plugin; where torchvision can't be imported as it is, once more with what makes it so."""
    try:
        return load()
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    importlib.import_module("auditor.process.torchvision")
    return load()


def _from_path(path: Path) -> ModuleType:
    """Import a file under a name of its own: several are called `auditfile.py`."""
    name = "auditfile_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def imported(name: str) -> Iterator[None]:
    """Tell in one line which plugin could not be imported, and why."""
    try:
        yield
    except PluginError as error:
        raise PluginError(f"plugin {name!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name!r} can't be imported: {told(error)}") from error


def told(error: BaseException) -> str:
    """Return an exception in one line, with the place where it was raised."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    ours = str(Path(__file__).parent)
    theirs = [f for f in frames if not f.filename.startswith((ours, importlib.__file__ or ours))]
    return f"{reason} ({shown(Path(theirs[-1].filename))}:{theirs[-1].lineno})" if theirs else reason
