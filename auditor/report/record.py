"""Writing and reading `audit.json` and its pictures.

Unknown fields are ignored, so fields can be added without a new schema number. The verdicts of checks and of the audit
are not read: they follow from the findings.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from auditor.errors import OutputError
from auditor.language import ENGLISH, known
from auditor.process.regular_files import content
from auditor.report import json_reader, picture_files
from auditor.report.document import SCHEMA, document
from auditor.report.folder import reason_without_report, recover
from auditor.report.json_reader import Malformed, Node, number, plain
from auditor.report.translation import restored
from auditor.results import (
    Answer,
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    Evidence,
    FieldFacts,
    Figure,
    FileFacts,
    Finding,
    Gallery,
    Item,
    LayerFacts,
    Limit,
    Provenance,
    Recorded,
    Result,
    RuleFacts,
    Scale,
    Table,
    Verdict,
)

NAME = "audit.json"

_LARGEST = 2**30  # bytes

Load = Callable[[str], bytes]
Cell = str | float | int | bool | None


def save(audit: Audit, folder: Path, *, taken: Collection[str] = ()) -> None:
    """Write the pictures and then `audit.json`.

    Args:
        taken: Paths in `evidence/` that a user's own files have.
    """
    text, pictures = contents(audit, taken=taken)
    for path, image in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(image)
    # a file name that is not valid Unicode becomes an escape, which JSON reads back
    (folder / NAME).write_bytes(text.encode("utf-8", "backslashreplace"))


def contents(audit: Audit, *, taken: Collection[str] = ()) -> tuple[str, dict[str, bytes]]:
    """Return the text of `audit.json`, and the pictures by path, at none of the paths that are taken."""
    shelf = picture_files.Shelf(taken)
    return _text(document(audit, shelf)), shelf.files


def parsed(text: str | bytes, load: Load) -> Audit:
    """Return the audit in the text of an `audit.json`.

    Args:
        load: Returns the bytes of the picture at a path.

    Raises:
        ValueError: The text is not JSON, or not an audit (`Malformed`).
    """
    return _audit(Node.of(restored(json_reader.document(text)), ""), load)


def _text(whole: dict[str, Any]) -> str:
    """Return the document as JSON: the recipes of the texts on one line, the answers one image a line."""
    shown = {name: value for name, value in whole.items() if name not in ("translation", "recorded")}
    text = json.dumps(shown, ensure_ascii=False, allow_nan=False, indent=1).removesuffix("\n}")
    translation = json.dumps(whole["translation"], ensure_ascii=False, allow_nan=False)
    answers = whole["recorded"].pop("answers")
    recorded = json.dumps(whole["recorded"], ensure_ascii=False)
    lines = ",\n".join(json.dumps(answer, ensure_ascii=False, allow_nan=False) for answer in answers)
    return f'{text},\n "translation": {translation},\n "recorded": {recorded[:-1]}, "answers": [\n{lines}\n]}}\n}}\n'


def read(folder: Path) -> Audit:
    """Return the audit of the report in `folder`.

    Raises:
        OutputError: There is no report, it is damaged, or this version can't read its schema.
    """
    recover(folder)
    if not _is_file(folder / NAME):
        raise OutputError(f"{folder} is not a report: it has no readable {NAME}{reason_without_report(folder)}")
    return _read(folder / NAME, lambda path: picture_files.load(folder, path))


def read_numbers(path: Path) -> Audit:
    """Return an audit without its pictures, which may be missing.

    Args:
        path: The folder of the report, or its `audit.json` under any name.

    Raises:
        OutputError: There is no audit, it is damaged or too large, or this version can't read its schema.
    """
    folder = path if _is_folder(path) else path.parent
    recover(folder)
    file = path / NAME if _is_folder(path) else path
    if not _is_there(file):
        reason = reason_without_report(folder)
        raise OutputError(
            f"{path} is not a report: it has no {NAME}{reason}"
            if _is_folder(path)
            else f"{path} does not exist{reason}; give a report's folder or its {NAME}"
        )
    return _read(file, lambda path: b"")


def _is_there(path: Path) -> bool:
    return _mode(path) is not None


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path) or 0)


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path) or 0)


def _mode(path: Path) -> int | None:
    """Return the mode of what is at a path, or None; a path that is too long or leads in a circle has nothing."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def _read(file: Path, load: Load) -> Audit:
    try:
        if file.stat().st_size > _LARGEST:
            raise OutputError(f"{file} is too large for an audit: {file.stat().st_size / 1e9:.1f} GB")
        found = json_reader.document(content(file, most=_LARGEST))
    except OSError as error:
        raise OutputError(f"{file} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise OutputError(f"{file} is damaged: {error}") from None
    try:
        return _audit(Node.of(restored(found), ""), load)
    except Malformed as error:
        raise OutputError(f"{file} can't be read: {error}") from None


def _audit(node: Node, load: Load) -> Audit:
    schema = node.whole("schema")
    if schema != SCHEMA:
        raise Malformed(f"its schema is {schema}, but this version of auditor reads schema {SCHEMA}")
    return Audit(
        _provenance(node.inside("provenance")),
        tuple(_result(result, load) for result in node.each("results")),
        interrupted=node.flag("interrupted", False),
        not_run=node.texts("not_run", []),
        recorded=_recorded(node),
        comparison=node.flag("comparison", False),
    )


def _recorded(node: Node) -> Recorded:
    if node.fields.get("recorded") is None:
        return Recorded()
    recorded, classes = node.inside("recorded"), len(node.inside("provenance").inside("data").texts("classes"))
    layers = recorded.inside("silent") if recorded.fields.get("silent") else Node({})
    answers = tuple(
        _answer(row, f"{recorded.at('answers')}[{i}]", classes) for i, row in enumerate(recorded.items("answers", []))
    )
    return Recorded(answers, {name: layers.wholes(name) for name in layers.fields})


def _answer(row: object, place: str, classes: int) -> Answer:
    if not isinstance(row, list) or len(row) < len(Answer._fields):
        raise Malformed(f"{place} is not a row of file, digest, label, answer and confidence")
    file, digest, label, answer, confidence = row[: len(Answer._fields)]
    if not isinstance(file, str) or not isinstance(digest, str):
        raise Malformed(f"{place} does not begin with two texts")
    for which in (label, answer):
        if which is not None and not (type(which) is int and 0 <= which < classes):
            raise Malformed(f"{place} has {which!r}, which is not an index of the {classes} classes")
    return Answer(file, digest, label, answer, number(confidence, place))


def _provenance(node: Node) -> Provenance:
    return Provenance(
        _checkpoint(node.inside("checkpoint")),
        _architecture(node.inside("architecture")),
        _data(node.inside("data")),
        preprocess=node.mapping("preprocess"),
        device=node.text("device"),
        seed=node.whole("seed"),
        settings=node.mapping("settings"),
        versions=node.mapping("versions"),
        started=node.text("started"),
        notes=node.texts("notes", []),
        language=_language(node),
    )


def _language(node: Node) -> str:
    """Return the language of the audit; older audits without this field are in English."""
    name = node.text("language", ENGLISH)
    if name not in known():
        raise Malformed(
            f"{node.at('language')} is {name!r}, but this version of auditor knows only {', '.join(known())}"
        )
    return name


def _checkpoint(node: Node) -> CheckpointFacts:
    return CheckpointFacts(
        node.text("name"),
        node.text("sha256"),
        node.whole("bytes"),
        format=node.text("format", ""),
        loaded=node.number("loaded", 1.0),
        trusted=node.flag("trusted", False),
        sandbox=node.texts("sandbox", []),
        weights=node.text("weights", ""),
        others=node.texts("others", []),
        files=tuple(
            FileFacts(file.text("name"), file.text("sha256"), file.whole("bytes")) for file in node.each("files", [])
        ),
    )


def _architecture(node: Node) -> ArchitectureFacts:
    layers = tuple(_layer(layer) for layer in node.each("layers"))
    output = node.text("output", "")
    return ArchitectureFacts(node.text("name"), node.text("source"), node.whole("parameters"), layers, output)


def _layer(node: Node) -> LayerFacts:
    field = _field(node.inside("receptive_field")) if node.fields.get("receptive_field") else None
    return LayerFacts(node.text("name"), node.text("type"), node.wholes("output"), node.whole("parameters", 0), field)


def _field(node: Node) -> FieldFacts:
    return FieldFacts(node.pair("size"), node.pair("stride"), node.pair("offset"), node.flag("global"))


def _data(node: Node) -> DataFacts:
    return DataFacts(
        node.whole("images"),
        classes=node.texts("classes"),
        skipped=tuple((skipped.text("file"), skipped.text("reason")) for skipped in node.each("skipped")),
        fingerprint=node.text("fingerprint"),
        name=node.text("name", ""),
        labelled=node.flag("labelled", False),
        task=node.text("task", "multiclass"),
        task_source=node.text("task_source", ""),
    )


def _result(node: Node, load: Load) -> Result:
    return Result(
        node.text("check"),
        node.text("question"),
        tuple(_evidence(piece, load) for piece in node.each("evidence")),
        seconds=node.number("seconds"),
        guide=node.text("guide", ""),
        source=node.text("source", ""),
        rules=_rules(node),
    )


def _rules(node: Node) -> dict[str, RuleFacts]:
    """Return the rules; an audit of an older version has only a text of each."""
    declared = node.inside("rule_facts") if node.fields.get("rule_facts") is not None else None
    return {
        name: _rule(declared.inside(name)) if declared and name in declared.fields else RuleFacts(text)
        for name, text in node.words("rules").items()
    }


def _rule(node: Node) -> RuleFacts:
    limits = tuple(
        Limit(limit.text("level"), limit.number("value"), limit.text("option", "")) for limit in node.each("limits")
    )
    texts = ("level", "basis", "unit", "better", "measured", "advice", "false_alarms", "source", "url")
    return RuleFacts(node.text("summary"), limits=limits, **{name: node.text(name, "") for name in texts})


def _evidence(node: Node, load: Load) -> Evidence:
    match node.text("kind"):
        case "finding":
            return _finding(node)
        case "figure":
            image, scale = load(node.text("file")), _scale(node)
            return Figure(
                node.text("title"), node.text("caption"), image, node.text("alt", ""), scale, node.words("about")
            )
        case "gallery":
            items = tuple(_item(item, load) for item in node.each("items"))
            title, shown = node.text("title"), node.texts("methods", [])
            return Gallery(title, node.text("caption"), items, _scale(node), node.words("about"), shown)
        case "table":
            rows = tuple(_cells(row, f"{node.at('rows')}[{index}]") for index, row in enumerate(node.items("rows")))
            return Table(node.text("title"), node.text("caption"), node.texts("columns"), rows)
        case other:
            raise Malformed(f"{node.at('kind')} is {other!r}, but has to be finding, figure, gallery or table")


def _finding(node: Node) -> Finding:
    return Finding(
        node.text("rule"),
        _verdict(node),
        node.text("message"),
        subject=node.text("subject", ""),
        value=node.optional_number("value"),
        limit=node.optional_number("limit"),
        unit=node.text("unit", ""),
        n=node.optional_whole("n"),
        interval=_interval(node),
        detail=node.text("detail", ""),
        channels=node.wholes("channels", []),
        causes=node.texts("causes", []),
        ends=node.texts("ends", []),
    )


def _verdict(node: Node) -> Verdict:
    name = node.text("verdict")
    if name.upper() not in Verdict.__members__:
        raise Malformed(f"{node.at('verdict')} is {name!r}, which is not a verdict")
    return Verdict[name.upper()]


def _interval(node: Node) -> tuple[float, float] | None:
    if node.fields.get("interval") is None:
        return None
    ends = node.items("interval")
    if len(ends) != 2:
        raise Malformed(f"{node.at('interval')} is not a pair")
    return number(ends[0], node.at("interval")), number(ends[1], node.at("interval"))


def _item(node: Node, load: Load) -> Item:
    image, value = load(node.text("image")), node.optional_number("value")
    words = node.text("label"), value, node.text("file", ""), node.text("alt", "")
    return Item(image, *words, _scale(node), node.text("role", ""))


def _scale(node: Node) -> Scale | None:
    if node.fields.get("scale") is None:
        return None
    scale = node.inside("scale")
    return Scale(scale.number("low"), scale.number("high"), scale.texts("colours"), scale.text("label", ""))


def _cells(row: object, place: str) -> tuple[Cell, ...]:
    cells = plain(row)
    if not isinstance(cells, list) or not all(cell is None or isinstance(cell, Cell) for cell in cells):
        raise Malformed(f"{place} is not a row of texts, numbers, true, false and null")
    return tuple(cells)
