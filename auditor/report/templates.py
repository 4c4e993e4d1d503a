"""Finding templates and filling them in.

A user's folder takes precedence over the built-in templates. Its `report.html` may extend `auditor/report.html`, which
is always the built-in one, and replace single blocks of it. Templates run in a sandbox: they read the page that they
are given, and nothing else.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from types import CodeType
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.bccache import Bucket, BytecodeCache
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from auditor.errors import OutputError
from auditor.language import many, translated
from auditor.process.regular_files import content
from auditor.report.page import Page

_LARGEST = 2**24  # bytes of a template
_LARGEST_FACTOR = 10_000
_PACKAGE = Path(__file__).parent.parent

# not allowed in HTML and XML; single surrogates could not be encoded
_ILLEGAL = re.compile("[^\t\n\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # in a name they would turn around the text behind it

# other line ends, and blanks before them: WeasyPrint fails on both
_BREAKS = re.compile("[ \t]*(\r\n|[\n\r\v\f\u0085\u2028\u2029])")


def render(name: str, page: Page, folders: Sequence[Path], **more: object) -> str:
    """Fill in a template.

    Raises:
        OutputError: The template is invalid, or does what the sandbox forbids. The message names file and line.
    """
    try:
        text = _environment(folders).get_template(name).render(page=page, **more)
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise OutputError(f"template {_place(error, name)} is invalid: {_reason(error)}") from error
    legal = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub("\n", text))
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", legal)


def asset(name: str, folders: Sequence[Path]) -> Markup:
    """Return the first style sheet or script of that name, for use inside its element."""
    found = (_text(folder, name) for folder in (*folders, built_in()))
    text, file = next(pair for pair in found if pair is not None)
    if re.search(r"</(style|script)|<!--", text, re.IGNORECASE):
        raise OutputError(f"{file} can't be embedded in a page: it contains </style, </script or <!--")
    return Markup(_ILLEGAL.sub("", text))  # noqa: S704 - the user's own file, checked above


def built_in() -> Path:
    """Return the folder of the built-in templates: in the package, or beside it in a checkout."""
    shipped = _PACKAGE / "templates"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "templates"


class _Compiled(BytecodeCache):
    """The templates that this process has compiled, by where they lie and what stands in them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None  # noqa: S101 - it was compiled just now
        self._kept[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


class _Folder(BaseLoader):
    """The templates in one folder. A name or a link that leads out of it is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        found = _text(self._folder, template)
        if found is None:
            raise TemplateNotFound(template)
        text, file = found
        return text, str(file), lambda: True


def _text(folder: Path, name: str) -> tuple[str, Path] | None:
    """Return the text of a file in a folder of templates, and its path; None if there is none.

    Raises:
        OutputError: It lies outside of the folder, is not a regular file or can't be read.
    """
    file = folder / name
    if not os.path.lexists(file):
        return None
    real = os.path.realpath(file)
    if ".." in PurePath(name).parts or not Path(real).is_relative_to(os.path.realpath(folder)):
        raise OutputError(f"template {name!r} lies outside of the folder {folder}: copy it into the folder")
    try:
        return content(file, most=_LARGEST).decode(), file
    except OSError as error:
        raise OutputError(f"template {file} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise OutputError(f"template {file} is not valid UTF-8: {error}") from None


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which a product can't be endless either."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not (_is_small(left) and _is_small(right)):
            raise SecurityError(f"{operator} is for numbers up to {_LARGEST_FACTOR:,}")
        return super().call_binop(context, operator, left, right)


def _is_small(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _LARGEST_FACTOR


def _place(error: Exception, name: str) -> str:
    """Return the template and the line in which an error was raised."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename or error.name or name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.endswith((".py", ">"))]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else getattr(error, "name", None) or name


def _reason(error: Exception) -> str:
    """Return what is wrong in one line; the type only of what is not an error of a template."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TemplateError) else f"{type(error).__name__}: {text}"


def _environment(folders: Sequence[Path]) -> Environment:
    own = _Folder(built_in())
    loader = ChoiceLoader([*(_Folder(folder) for folder in folders), own, PrefixLoader({"auditor": own})])
    made = _Sandbox(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.globals |= {"_": translated, "many": many}
    del made.globals["lipsum"]  # it makes texts of any length
    return made
