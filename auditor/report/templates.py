"""Finding templates and filling them in.

A user's folder takes precedence over the built-in templates. Its `report.html` may extend `auditor/report.html`, which
is always the built-in one, and replace single blocks of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import CodeType

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, TemplateError
from jinja2.bccache import Bucket, BytecodeCache
from markupsafe import Markup

from auditor.errors import OutputError
from auditor.language import many, translated
from auditor.report.page import Page

_PACKAGE = Path(__file__).parent.parent

# not allowed in HTML and XML; single surrogates could not be encoded
_ILLEGAL = re.compile("[^\t\n\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # in a name they would turn around the text behind it

# other line ends, and blanks before them: WeasyPrint fails on both
_BREAKS = re.compile("[ \t]*(\r\n|[\n\r\v\f\u0085\u2028\u2029])")


def render(name: str, page: Page, folders: Sequence[Path], **more: object) -> str:
    """Fill in a template.

    Raises:
        OutputError: The template is invalid. The message names it.
    """
    try:
        text = _environment(folders).get_template(name).render(page=page, **more)
    except TemplateError as error:
        raise OutputError(f"template {getattr(error, 'name', None) or name} is invalid: {error}") from error
    legal = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub("\n", text))
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", legal)


def asset(name: str, folders: Sequence[Path]) -> Markup:
    """Return the first style sheet or script of that name, for use inside its element."""
    file = next(path for folder in (*folders, built_in()) if (path := folder / name).is_file())
    text = file.read_text(encoding="utf-8")
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


def _environment(folders: Sequence[Path]) -> Environment:
    own = FileSystemLoader(built_in())
    loader = ChoiceLoader([*(FileSystemLoader(folder) for folder in folders), own, PrefixLoader({"auditor": own})])
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.globals |= {"_": translated, "many": many}
    return made
