"""Why the code that `--arch` names builds no network, and what to do."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any, Final

from torch import nn

from auditor.errors import did_you_mean
from auditor.model.files.format import first_line
from auditor.process import regular_files

LARGEST_SOURCE: Final = 4 * 2**20
_DOWNLOADERS: Final = {"urllib", "http", "requests", "urllib3", "huggingface_hub", "httpx", "socket", "ssl"}
_TORCH: Final = ("torch", "cuda")


def advice(
    error: BaseException, *, function: Callable[..., Any] | None, arguments: Mapping[str, Any], file: Path | None
) -> str:
    """Return in one line what an exception of other people's code means, and what to do.

    Args:
        function: What was called, if it was reached.
        file: The file that was imported, if it is one.
    """
    told = f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, SystemExit):
        return (
            "its code ends the process (sys.exit or argparse); put what runs as a script under "
            "`if __name__ == '__main__':`"
        )
    if isinstance(error, ImportError):
        return _import(error, told, file)
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or '').name} is no valid Python: line {error.lineno}: {error.msg}"
    if function is not None and (words := _arguments(function, arguments)):
        return words
    return f"{told}{_where(error)}; {_otherwise(error, function)}"


def _import(error: ImportError, told: str, file: Path | None) -> str:
    if file is not None and error.name is None and _imports_relatively(file):
        package, root = _package(file)
        return (
            f"{told}; {file.name} imports from its own package: use --arch {package}:CALLABLE, and run auditor in "
            f"{root} or set PYTHONPATH to it"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"it needs the package {error.name.partition('.')[0]!r}, which is not installed: install it where auditor "
            "is, or set PYTHONPATH to the folder that has it"
        )
    return f"{told}{_where(error)}; install the version of the package that has it"


def _imports_relatively(file: Path) -> bool:
    tree = parsed(file)
    return tree is not None and any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


def _package(file: Path) -> tuple[str, Path]:
    """Return the name of a file in its package, and the folder that holds the package."""
    file = file.resolve()
    root = file.parent
    while (root / "__init__.py").is_file() and root.parent != root:
        root = root.parent
    root = root if root != file.parent else file.parent.parent
    return ".".join(file.relative_to(root).with_suffix("").parts), root


def _arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """Return which arguments are missing or unknown; empty if the function takes what it is given."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    takes = {n: p for n, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    open_ended = len(takes) < len(signature.parameters)
    name = getattr(function, "__name__", "it")
    unknown = [key for key in arguments if key not in takes]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        known = f"it takes {', '.join(takes)}" if takes else "it takes none"
        return f"{name} has no argument {unknown[0]!r}{did_you_mean(unknown[0], takes)}; {known} (--arch-arg KEY=VALUE)"
    missing = [key for key, p in takes.items() if p.default is p.empty and key not in arguments]
    if missing and not (open_ended and not takes):
        flags = " ".join(f"--arch-arg {key}=..." for key in missing)
        return f"{name} wants {len(missing)} more argument{'s' * (len(missing) > 1)}: give {flags}"
    return ""


def _otherwise(error: BaseException, function: Callable[..., Any] | None) -> str:
    modules = {type(e).__module__.partition(".")[0] for e in _chain(error)}
    if modules & _DOWNLOADERS:
        return "it wants to download: build it without pretrained weights, which come from the checkpoint"
    if any(Path(frame.f_code.co_filename).parts[-3:-1] == _TORCH for frame, _ in walk_tb(error.__traceback__)):
        return "its code asks for CUDA while it is built; build it on the CPU"
    if isinstance(error, FileNotFoundError):
        return "its code opens a file that is not here; run auditor in the folder that has it"
    takes = _names(function)
    return f"its arguments are set with --arch-arg KEY=VALUE{f' ({takes})' if takes else ''}"


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _names(function: Callable[..., Any] | None) -> str:
    try:
        return ", ".join(list(inspect.signature(function).parameters)[:12]) if function is not None else ""
    except (TypeError, ValueError):
        return ""


def _where(error: BaseException) -> str:
    """Return the last line of the user's code on the way to the exception."""
    frames = [frame for frame in extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    return f" (in {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _is_library(file: str) -> bool:
    path = Path(file)
    return "site-packages" in path.parts or file.startswith("<") or path.is_relative_to(Path(__file__).parents[2])


def absent(attribute: str, place: str, module: Mapping[str, Any]) -> str:
    """Return the line for a name that a module does not have, with the networks that it defines."""
    public = [name for name in module if not name.startswith("_")]
    own = [n for n in public if isinstance(module[n], type) and issubclass(module[n], nn.Module)]
    own = [n for n in own if module[n].__module__ == module.get("__name__")]
    hint = did_you_mean(attribute.rpartition(".")[2], public)
    defined = f"; it defines {', '.join(own[:8])}" if own and not hint else ""
    return f"{place} has no {attribute!r}{hint}{defined}"


def without_callable(spec: str) -> str:
    """Return the line for a file without the name of what is to be called in it."""
    names = _defined_in(Path(spec)) if Path(spec).is_file() else ()
    defined = f"; it defines {', '.join(names[:8])}" if names else ""
    example = names[0] if names else "callable"
    return f"--arch is {spec!r}, without what to call in it: give {spec}:{example}{defined}"


def _defined_in(file: Path) -> Sequence[str]:
    """Return the names of the classes and functions of a file, without running it; those of networks first."""
    tree = parsed(file)
    if tree is None:
        return ()
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    networks = [c.name for c in classes if any(re.search("Module", ast.unparse(b)) for b in c.bases)]
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    return (*networks, *(c.name for c in classes if c.name not in networks), *functions)


def parsed(file: Path) -> ast.Module | None:
    """Return the syntax of a Python file; None if it can't be read."""
    try:
        return ast.parse(regular_files.content(file, most=LARGEST_SOURCE))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
