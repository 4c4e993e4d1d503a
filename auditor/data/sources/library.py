"""Libraries that only some sources need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from auditor.errors import DataError


def library(module: str, *, extra: str, what: str) -> Any:
    """Return a module of a library that is not installed by default.

    Args:
        extra: The extra of this package that installs it.
        what: What needs it, as the beginning of a sentence.

    Raises:
        DataError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise DataError(f"{what} needs {name}; run pip install 'auditor[{extra}]' ({error})") from error
