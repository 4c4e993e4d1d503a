"""Corrects WeasyPrint's tags for PDF/UA-1 (ISO 14289-1:2014) before the file is written.

A drawing without alternative text is not a figure, table heads name their scope, and a list of definitions consists of
items with a label and a body.
"""

from __future__ import annotations

from typing import Any

Element = dict[str, Any]


def correct(document: Any, pdf: Any) -> None:
    """Correct the tags of a PDF; a finisher of WeasyPrint."""
    objects: list[Any] = pdf.objects
    elements = {made.reference: made for made in objects if _is_element(made)}
    for element in list(elements.values()):
        match element["S"]:
            case "/Figure" if "Alt" not in element:
                element["S"] = "/NonStruct"
                element.pop("A", None)
            case "/TH":
                element["A"]["Scope"] = "/Column" if _is_in_head(element, elements) else "/Row"
            case "/L":
                _correct_definitions(element, elements)


def _is_element(made: Any) -> bool:
    return isinstance(made, dict) and made.get("Type") == "/StructElem"


def _is_in_head(cell: Element, elements: dict[Any, Element]) -> bool:
    row = elements.get(cell["P"], {})
    return bool(elements.get(row.get("P"), {}).get("S") == "/THead")


def _correct_definitions(made: Element, elements: dict[Any, Element]) -> None:
    """Turn the `<div>` of a `<dl>`, each with names and a definition, into list items with label and body."""
    for item in _kids(made, elements):
        parts = _kids(item, elements)
        if item["S"] != "/Div" or not parts:
            continue
        item["S"] = "/LI"
        *names, definition = parts
        for part, tag in (*((name, "/Lbl") for name in names), (definition, "/LBody")):
            part["S"] = tag
            for inside in _kids(part, elements):
                inside["S"] = "/Span" if tag == "/Lbl" else "/Div"


def _kids(element: Element, elements: dict[Any, Element]) -> list[Element]:
    return [elements[kid] for kid in element["K"] if kid in elements]
