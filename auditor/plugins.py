"""What plugins provide, collected and validated before anything runs.

A module that holds checks is a plugin already; the hooks are for what else it brings.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

import auditor.process.torchvision  # noqa: F401 - with it, plugins can import torchvision
from auditor import hooks
from auditor.check import Check
from auditor.config import lookup
from auditor.config.file import shown
from auditor.config.settings import FORMATS, SCHEME
from auditor.errors import PluginError, did_you_mean
from auditor.judging.rule import Rule

BUILT_IN = "auditor"

_HOOKS = ("auditor_checks", "auditor_architectures", "auditor_data", "auditor_formats", "auditor_templates")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module (or an object) that may hold checks and hooks; built-in ones share one name."""

    name: str
    content: Any
    version: str = ""


@dataclass(frozen=True, slots=True)
class Plugins:
    """All that plugins provide, the built-in ones first.

    Attributes:
        origins: The plugin that a check comes from, by the check's name.
        architectures: Builders by the scheme of `--arch scheme:...`.
        data: Sources by the scheme of `--data scheme:...`.
        formats: Writers by the name of the format, without the built-in ones.
        templates: Folders that stand before the built-in templates.
        loaded: The plugins, apart from the built-in ones: files by path, packages by name and version.
    """

    checks: Mapping[str, Check] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    architectures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    data: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    formats: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    templates: tuple[Path, ...] = ()
    loaded: tuple[str, ...] = field(default=(), compare=False)

    @property
    def rules(self) -> dict[str, Rule]:
        """The rules of all checks, by name."""
        return {name: rule for check in self.checks.values() for name, rule in check.rules.items()}


def load(modules: Sequence[str] = (), *, start: Path | None = None) -> Plugins:
    """Return what all plugins provide: built in, installed, named, and in files from `start` up to the project's root.

    Raises:
        PluginError: A plugin can't be imported, breaks the contract of a hook, or brings a name
            that another one has.
        UsageError: Another user can change an `auditfile.py`.
    """
    start = start or lookup.working_folder()
    found = [*built_in(), *installed(), *named(modules, start), *audit_files(start)]
    once = {id(plugin.content): plugin for plugin in reversed(found)}
    return collected(list(reversed(once.values())))


def load_built_in() -> Plugins:
    """Return the built-in checks, and import nothing else."""
    return collected(list(built_in()))


def collected(plugins: Sequence[Plugin]) -> Plugins:
    """Return what the given plugins provide.

    Raises:
        PluginError: One breaks the contract of a hook, or two bring one name.
    """
    shelves = [(plugin.name, _provided(plugin)) for plugin in plugins]
    return Plugins(
        checks=_merged("check", [(owner, shelf.checks) for owner, shelf in shelves]),
        origins={name: owner for owner, shelf in shelves for name in shelf.checks},
        architectures=_merged("architecture", [(owner, shelf.architectures) for owner, shelf in shelves]),
        data=_merged("data source", [(owner, shelf.data) for owner, shelf in shelves]),
        formats=_merged("format", [(owner, shelf.formats) for owner, shelf in shelves], taken=FORMATS),
        templates=tuple(folder for _, shelf in shelves for folder in shelf.templates),
        loaded=tuple(dict.fromkeys(_told(plugin) for plugin in plugins if plugin.name != BUILT_IN)),
    )


def _told(plugin: Plugin) -> str:
    """Return the path of a file, or the name of a package or module and its version."""
    is_file = plugin.name.endswith(".py")
    return plugin.name if is_file else " ".join(part for part in ("plugin", plugin.name, plugin.version) if part)


def _merged(what: str, shelves: Iterable[tuple[str, Mapping[str, Any]]], taken: Iterable[str] = ()) -> dict[str, Any]:
    owners = dict.fromkeys(taken, BUILT_IN)
    merged = {}
    for owner, shelf in shelves:
        for name, value in shelf.items():
            if name in owners:
                raise PluginError(f"two plugins bring the {what} {name!r}: {owners[name]!r} and {owner!r}")
            owners[name], merged[name] = owner, value
    return merged


def _provided(plugin: Plugin) -> Plugins:
    """Register one plugin, ask its hooks, and validate the answers."""
    answers = _answers(plugin)
    return Plugins(
        checks=_checks(plugin, answers.get("auditor_checks", ())),
        architectures=_by_scheme(plugin, "auditor_architectures", answers),
        data=_by_scheme(plugin, "auditor_data", answers),
        formats=_by_scheme(plugin, "auditor_formats", answers),
        templates=_folders(plugin, answers.get("auditor_templates", ())),
    )


def _answers(plugin: Plugin) -> dict[str, Any]:
    manager = pluggy.PluginManager("auditor")
    manager.add_hookspecs(hooks)
    _register(manager, plugin)
    answers: dict[str, Any] = {}
    for caller in manager.get_hookcallers(plugin.content) or ():
        try:
            answers[caller.name] = _settled(*caller())
        except Exception as error:
            raise PluginError(f"plugin {plugin.name!r}: {caller.name} broke: {_reason(error)}") from error
    return answers


def _settled(answer: Any = ()) -> Any:
    """Return an answer with the generators in it run, so that they break here or never."""
    return answer if isinstance(answer, Mapping | str) or not isinstance(answer, Iterable) else tuple(answer)


def _register(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    try:
        manager.register(plugin.content)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {plugin.name!r}: {' '.join(str(error).split())}") from error
    callers = manager.get_hookcallers(plugin.content) or []
    for caller in callers:
        if not caller.has_spec():
            hint = did_you_mean(caller.name, _HOOKS)
            raise PluginError(f"plugin {plugin.name!r}: there is no hook {caller.name!r}{hint}")
    for name in set(_HOOKS) - {caller.name for caller in callers}:
        if callable(getattr(plugin.content, name, None)):
            raise PluginError(f"plugin {plugin.name!r}: {name} needs @auditor.hookimpl above it")


def _checks(plugin: Plugin, answer: Any) -> dict[str, Check]:
    offered = answer if isinstance(answer, tuple) else (answer,)
    for check in offered:
        if not isinstance(check, Check):
            raise _wrong(plugin, "auditor_checks", check, "checks made with @auditor.Check")
    found: dict[str, Check] = {}
    for check in [*_written_in(plugin.content), *offered]:
        if found.setdefault(check.name, check) is not check:
            raise PluginError(f"plugin {plugin.name!r} brings two checks called {check.name!r}")
    return found


def _written_in(content: Any) -> Iterator[Check]:
    """Yield the checks that were made in a module, not those that it imported."""
    if isinstance(content, Check):
        yield content
    elif isinstance(content, ModuleType):
        for value in vars(content).values():
            if isinstance(value, Check) and value.function.__module__ == content.__name__:
                yield value


def _by_scheme(plugin: Plugin, hook: str, answers: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    answer = answers.get(hook, {})
    if not isinstance(answer, Mapping):
        raise _wrong(plugin, hook, answer, "a mapping of names to functions")
    for name, function in answer.items():
        if not (isinstance(name, str) and re.fullmatch(SCHEME, name) and callable(function)):
            raise _wrong(plugin, hook, {name: function}, "names of small letters and digits, each with a function")
    return dict(answer)


def _folders(plugin: Plugin, answer: Any) -> tuple[Path, ...]:
    folders = answer if isinstance(answer, tuple) else (answer,)
    for folder in folders:
        if not (isinstance(folder, Path) and folder.is_dir()):
            raise _wrong(plugin, "auditor_templates", folder, "paths of folders that exist")
    return folders


def _wrong(plugin: Plugin, hook: str, answer: object, expected: str) -> PluginError:
    return PluginError(f"plugin {plugin.name!r}: {hook} returned {answer!r}, but has to return {expected}")


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
            content = point.load()
        yield Plugin(name, content, point.dist.version if point.dist else "")


def named(modules: Sequence[str], start: Path) -> Iterator[Plugin]:
    """Yield the modules that `-p` names; they may lie in the folder `start`, as for `python -m`."""
    if modules and str(start) not in sys.path:
        sys.path.append(str(start))  # last, so that no local file shadows a library
    for name in modules:
        with imported(name):
            content = importlib.import_module(name)
        yield Plugin(name, content)


def audit_files(start: Path) -> Iterator[Plugin]:
    """Yield every `auditfile.py` from the root of the project down to `start`."""
    for folder in reversed(lookup.folders(start)):
        if lookup.is_there(path := folder / "auditfile.py"):
            name = lookup.relative(path)
            source = _source(path, start)
            with imported(name):
                content = _from_source(path, source)
            yield Plugin(name, content)


def _source(path: Path, start: Path) -> bytes:
    try:
        return lookup.content(path, start=start)
    except OSError as error:
        raise PluginError(f"plugin {lookup.relative(path)!r} can't be read: {error.strerror}") from None


def _from_source(path: Path, source: bytes) -> ModuleType:
    """Import a file under a name of its own: several are called `auditfile.py`.

    What runs is what was read when its owner was looked at.
    """
    name = "auditfile_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    exec(compile(source, path, "exec"), vars(module))  # noqa: S102 - a plugin is code, and is run
    return module


@contextmanager
def imported(name: str) -> Iterator[None]:
    """Tell in one line which plugin could not be imported, and why."""
    try:
        yield
    except PluginError as error:
        raise PluginError(f"plugin {name!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name!r} can't be imported: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return an exception in one line, with the place where it was raised."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    ours = str(Path(__file__).parent)
    theirs = [f for f in frames if not f.filename.startswith((ours, importlib.__file__ or ours))]
    return f"{reason} ({shown(Path(theirs[-1].filename))}:{theirs[-1].lineno})" if theirs else reason
