"""The pages of the Python API: which public names a page documents, and that none is forgotten.

A page says `{public-names} auditor.methods` above a list of names, once for each topic. The build fails where a name
of `auditor.methods.__all__` is in no list, where a list has a name that is not public, or where a name is in two lists.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

MODULES = ("auditor", "auditor.methods", "auditor.model")

_LOG = logging.getLogger(__name__)


class PublicNames(SphinxDirective):
    """Documents the names that stand in its body, from their docstrings."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, names = self.arguments[0], " ".join(self.content).split()
        self.env.note_dependency(str(inspect.getfile(import_module(module))))
        for name in names:
            _listed(self.env).setdefault(self.env.docname, []).append((module, name))
        lines = [line for name in names for line in _directive(module, name)]
        return self.parse_text_to_nodes("\n".join(["```{eval-rst}", *lines, "```"]))


def _directive(module: str, name: str) -> Iterator[str]:
    """Yield what documents a name; one of `auditor` is documented there, and a foreign object only by its name."""
    value = getattr(import_module(module), name, None)
    if module != MODULES[0] and name in import_module(MODULES[0]).__all__:
        yield f"* :py:class:`~{MODULES[0]}.{name}`, as in :doc:`/reference/auditor`"
    elif inspect.isclass(value):
        yield from (f".. autoclass:: {module}.{name}", "   :members:")
    elif inspect.isroutine(value):
        yield f".. autofunction:: {module}.{name}"
    elif type(value).__module__.partition(".")[0] == "pluggy":
        yield f".. py:data:: {module}.{name}"
    else:
        yield from (f".. autodata:: {module}.{name}", "   :no-value:")
    yield ""


def _listed(env: BuildEnvironment) -> dict[str, list[tuple[str, str]]]:
    """Return the public names by page."""
    if not hasattr(env, "public_names"):
        env.public_names = {}  # type: ignore[attr-defined]
    return env.public_names  # type: ignore[attr-defined,no-any-return]


def _forget(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    _listed(env).pop(page, None)


def _complete(_: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that no page has, and of listed ones that are not public or are listed twice."""
    listed = [entry for page in _listed(env).values() for entry in page]
    for module in MODULES:
        names, public = [name for home, name in listed if home == module], set(import_module(module).__all__)
        for name in sorted(public - set(names)):
            _LOG.warning("%s.%s is public, but no page lists it under `{public-names}`", module, name)
        for name in sorted(set(names) - public):
            _LOG.warning("%s.%s is listed under `{public-names}`, but is not in __all__", module, name)
        for name in sorted({name for name in names if names.count(name) > 1}):
            _LOG.warning("%s.%s is listed under `{public-names}` twice", module, name)


def _homes() -> dict[str, str]:
    """Return the public name of each public class and function by the name under which it was defined."""
    found: dict[str, str] = {}
    for module in MODULES:
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            if home := getattr(value, "__module__", ""):
                found.setdefault(f"{home}.{getattr(value, '__qualname__', name)}", f"{module}.{name}")
    return found


def _public(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> nodes.Element | None:
    """Resolve what annotations name by its own module, as `auditor.unit.Unit`, to the name that is documented."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if not hasattr(env, "public_homes"):
        env.public_homes = _homes()  # type: ignore[attr-defined]
    homes: dict[str, str] = env.public_homes  # type: ignore[attr-defined]
    name = homes.get(target) or next((home for home in homes.values() if home.endswith(f".{target}")), "")
    known = env.domains["py"].objects.get(name)
    if known is None:
        return None
    return make_refnode(app.builder, node["refdoc"], known.docname, known.node_id, content, name)


def _is_annotation(_: Sphinx, domain: object, node: pending_xref) -> bool | None:
    """Let types in signatures stay without a link; what a page refers to by `{py:func}` has to be there."""
    return None if any(isinstance(child, nodes.literal) for child in node.children) else True


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive `public-names` and what looks after it."""
    app.add_directive("public-names", PublicNames)
    app.connect("env-purge-doc", _forget)
    app.connect("env-check-consistency", _complete)
    app.connect("missing-reference", _public)
    app.connect("warn-missing-reference", _is_annotation)
    return {"parallel_read_safe": False}
