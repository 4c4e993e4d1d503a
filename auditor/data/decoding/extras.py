"""Packages of an extra, imported when the first file of their format is read."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from auditor.data.decoding.stored import Refused
from auditor.language import _
from auditor.process.pillow import silence


def package(name: str, extra: str) -> ModuleType:
    """Import a package.

    Raises:
        Refused: It is not installed.
    """
    silence(name)
    try:
        return import_module(name)
    except ImportError as error:
        raise Refused(_("needs {package}; run {command}", package=name, command=install(extra))) from error


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'auditor[{extra}]'"


@cache
def is_installed(name: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return find_spec(name) is not None
