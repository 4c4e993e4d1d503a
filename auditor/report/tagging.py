"""What WeasyPrint's tags lack of PDF/UA-1 (ISO 14289-1:2014), put right before the file is written.

A drawing without words is no figure, heads of tables say what they are the head of, and a list of
definitions is made of items that have a label and a body.
"""

from __future__ import annotations

from typing import Any

Element = dict[str, Any]


def mend(document: Any, pdf: Any) -> None:
    """Mend the tags of a PDF; what WeasyPrint calls a finisher."""
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
                _mend_definitions(element, elements)


def _is_element(made: Any) -> bool:
    return isinstance(made, dict) and made.get("Type") == "/StructElem"


def _is_in_head(cell: Element, elements: dict[Any, Element]) -> bool:
    row = elements.get(cell["P"], {})
    return bool(elements.get(row.get("P"), {}).get("S") == "/THead")


def _mend_definitions(made: Element, elements: dict[Any, Element]) -> None:
    """Of `<dl>`, whose `<div>` hold an item for the name and one for what it is, make an item each."""
    for item in _kids(made, elements):
        parts = _kids(item, elements)
        if item["S"] != "/Div" or not parts:
            continue
        item["S"] = "/LI"
        *names, told = parts
        for part, tag in (*((name, "/Lbl") for name in names), (told, "/LBody")):
            part["S"] = tag
            for inside in _kids(part, elements):
                inside["S"] = "/Span" if tag == "/Lbl" else "/Div"


def _kids(element: Element, elements: dict[Any, Element]) -> list[Element]:
    return [elements[kid] for kid in element["K"] if kid in elements]
