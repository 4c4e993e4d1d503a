"""Draws the layers of `auditor/` as they stand in pyproject.toml, where import-linter holds the code to them.

    python docs/_ext/layers.py > layers.svg

In a page the directive `layers` puts the picture.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
PACKAGE = "auditor"

_WIDTH, _MARGIN, _NUMBER = 720, 8, 34  # pixels: of the picture, around it, and of a row's number
_LETTER, _BOX, _GAP, _PAD = 7.4, 26, 8, 10  # of a letter, a module's height, between modules, inside a row
_STYLE = """
  .layers-row { fill: var(--color-background-secondary, #f4f5f7); stroke: var(--color-background-border, #d5d8dd); }
  .layers-box { fill: var(--color-background-primary, #ffffff); stroke: var(--color-brand-primary, #2a5fb0); }
  .layers-name { fill: var(--color-foreground-primary, #14171a); font: 12px ui-monospace, monospace; }
  .layers-number { fill: var(--color-foreground-muted, #5b626b); font: 12px system-ui, sans-serif; }
  .layers-arrow { stroke: var(--color-foreground-muted, #5b626b); fill: none; }
"""


class Module(NamedTuple):
    """A module or package of the contract, and the first line of its docstring."""

    name: str
    about: str


def contract(pyproject: Path = ROOT / "pyproject.toml") -> list[list[str]]:
    """Return the layers from top to bottom, each as the names of its modules below `auditor`.

    Raises:
        LookupError: There is no contract of the type `layers`.
    """
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    found = next((one["layers"] for one in contracts if one["type"] == "layers"), None)
    if not found:
        raise LookupError(f"{pyproject} has no contract of the type 'layers'")
    return [[_short(name) for name in re.split(r"[|:]", layer)] for layer in found]


def _short(name: str) -> str:
    """Return `cli` for `auditor.cli`, and for `(auditor.cli)`, as a layer that may be absent is written."""
    return name.strip().strip("()").strip().removeprefix(f"{PACKAGE}.")


def picture(layers: Sequence[Sequence[Module]]) -> str:
    """Return the drawing as SVG: a row a layer, which may import what is in the rows below it."""
    rows, top = [], float(_MARGIN)
    for number, layer in enumerate(layers, start=1):
        lines = list(_lines(layer))
        height = len(lines) * (_BOX + _GAP) - _GAP + 2 * _PAD
        rows.append(_row(number, lines, top, height))
        top += height + _GAP
    names = "; ".join(f"{number}: {', '.join(m.name for m in layer)}" for number, layer in enumerate(layers, start=1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top - _GAP + _MARGIN:.0f}" role="img" '
        f"aria-label={quoteattr(f'The layers from top to bottom. {names}')}>\n<style>{_STYLE}</style>\n"
        + "\n".join(rows)
        + "\n</svg>\n"
    )


def _lines(layer: Sequence[Module]) -> Iterator[list[tuple[Module, float]]]:
    """Break a layer's modules into lines that fit the row, each module with its width."""
    line: list[tuple[Module, float]] = []
    room = _WIDTH - 2 * _MARGIN - _NUMBER - 2 * _PAD
    for module in layer:
        width = len(module.name) * _LETTER + 20
        if line and sum(w + _GAP for _, w in line) + width > room:
            yield line
            line = []
        line.append((module, width))
    yield line


def _row(number: int, lines: Sequence[Sequence[tuple[Module, float]]], top: float, height: float) -> str:
    parts = [
        f'<rect class="layers-row" x="{_MARGIN}" y="{top:g}" width="{_WIDTH - 2 * _MARGIN}" height="{height}" rx="6"/>',
        f'<text class="layers-number" x="{_MARGIN + 14}" y="{top + height / 2 + 4:g}">{number}</text>',
    ]
    for place, line in enumerate(lines):
        left, y = float(_MARGIN + _NUMBER + _PAD), top + _PAD + place * (_BOX + _GAP)
        for module, width in line:
            parts.append(_box(module, left, y, width))
            left += width + _GAP
    return "\n".join(parts)


def _box(module: Module, left: float, top: float, width: float) -> str:
    about = f"<title>{escape(module.about)}</title>" if module.about else ""
    return (
        f'<g>{about}<rect class="layers-box" x="{left:g}" y="{top:g}" width="{width:g}" height="{_BOX}" rx="4"/>'
        f'<text class="layers-name" x="{left + width / 2:g}" y="{top + 17:g}" text-anchor="middle">'
        f"{escape(module.name)}</text></g>"
    )


def described(layers: Sequence[Sequence[str]], package: Path = ROOT / PACKAGE) -> list[list[Module]]:
    """Return the modules with the first lines of their docstrings, which are read and not run."""
    return [[Module(name, _about(package / name.replace(".", "/"))) for name in layer] for layer in layers]


def _about(place: Path) -> str:
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive `layers`."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Layers(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            self.env.note_dependency(str(ROOT / "pyproject.toml"))
            drawing = picture(described(contract()))
            return [nodes.raw("", f'<div class="layers">{drawing}</div>', format="html")]

    app.add_directive("layers", Layers)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    sys.stdout.write(picture(described(contract())))
