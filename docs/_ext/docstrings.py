"""How docstrings and signatures are read: indented blocks are code, and defaults that are objects are three dots."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def _code(_: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make code blocks of paragraphs that are indented by four spaces and follow an empty line."""
    marked = [""] if what in ("attribute", "property") else []  # napoleon takes what is before a colon for a type
    inside = False
    for place, line in enumerate(lines):
        if inside and line.strip() and not line.startswith("    "):
            inside = False
        if not inside and _begins_code(lines, place):
            marked += [".. code-block:: python", ""]
            inside = True
        marked.append(line)
    lines[:] = marked


def _begins_code(lines: list[str], place: int) -> bool:
    if place < 2 or lines[place - 1].strip() or not re.match(r"    \S", lines[place]):
        return False
    before = next((line for line in reversed(lines[:place]) if line.strip()), "")
    return bool(before) and not before.startswith(" ") and not before.rstrip().endswith("::")


def _defaults(
    _: Sphinx, what: str, name: str, obj: object, options: object, arguments: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write `...` for defaults that are no Python, as `<factory>`: Sphinx can't read such a signature."""
    return re.sub(r"<[^<>]*>", "...", arguments) if arguments else arguments, returned


def setup(app: Sphinx) -> dict[str, Any]:
    """Read docstrings before napoleon does."""
    app.connect("autodoc-process-docstring", _code, priority=400)
    app.connect("autodoc-process-signature", _defaults)
    return {"parallel_read_safe": True}
