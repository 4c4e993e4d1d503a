"""The languages that a report can be in: whole catalogues, numbers as their readers write them, an audit in one."""

from __future__ import annotations

import ast
import json
import re
import shutil
import string
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message

from auditor import language
from auditor.cli.commands import main
from auditor.language import _, load, many, speaking
from auditor.locale import catalogues
from auditor.locale.messages import messages
from auditor.report import phrases
from auditor.report.album import Album
from auditor.report.blocks import SCREEN, Blocks
from auditor.results import Table

TRANSLATED = [name for name in language.known() if name != language.ENGLISH]


@pytest.fixture(scope="module", params=TRANSLATED)
def catalogue(request):
    return catalogues.read(request.param, dict(catalogues.files())[request.param])


@pytest.fixture(scope="module")
def wanted():
    return {message.id for message in messages() if message.id}


def said(message: Message) -> list[tuple[str, str]]:
    """Return each translation with the message that it is of: the form for one where it fits, else the one for many."""
    if isinstance(message.id, str):
        return [(message.id, form) for form in catalogues.forms(message)]
    one, more = message.id
    first, *others = catalogues.forms(message)
    return [(one if places(one) == places(first) else more, first), *((more, form) for form in others)]


def places(text: str) -> set[tuple[str, str]]:
    """Return the names of what is filled in, and how it is written."""
    return {(name, spec or "") for _text, name, spec, _how in string.Formatter().parse(text) if name is not None}


def test_there_is_french():
    assert "fr" in TRANSLATED


def test_a_catalogue_holds_all_messages_and_no_others(catalogue, wanted):
    held = {message.id for message in catalogue if message.id}
    assert (wanted - held, held - wanted) == (set(), set()), "run python -m auditor.locale and translate what is new"


def test_no_message_hides_where_extraction_does_not_see_it():
    """Within an f-string nothing is extracted, and of an f-string there is nothing to extract."""
    hidden = []
    for file in Path(language.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            within = ast.walk(node) if isinstance(node, ast.JoinedStr) else ()
            inner = any(is_marked(one, ast.Constant) for one in within)
            if inner or is_marked(node, ast.JoinedStr | ast.BinOp):
                hidden.append(f"{file.name}:{node.lineno}")
    assert hidden == []


def is_marked(node: ast.AST, kind: Any) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return False
    return node.func.id in ("_", "many", "marked") and isinstance(node.args[0], kind)


def test_every_message_is_translated_in_every_form(catalogue):
    assert [m.id for m in catalogue if m.id and not all(catalogues.forms(m))] == []
    assert [m.id for m in catalogue if m.id and m.fuzzy] == []
    assert {len(catalogues.forms(m)) for m in catalogue if m.pluralizable} == {catalogue.num_plurals}


def test_a_translation_fills_in_the_same_values_written_in_the_same_way(catalogue):
    other = [(a, b) for m in catalogue if m.id for a, b in said(m) if places(a) != places(b)]
    assert other == []


def test_a_catalogue_that_is_up_to_date_stays_as_it_is(tmp_path):
    for name, file in catalogues.files():
        catalogues.write(catalogues.updated(name, catalogues.read(name, file), messages()), tmp_path / "again.po")
        assert (tmp_path / "again.po").read_bytes() == file.read_bytes()


def test_french_sets_its_punctuation_apart_with_spaces_that_do_not_break():
    file = dict(catalogues.files())["fr"]
    forms = [form for message in catalogues.read("fr", file) for form in catalogues.forms(message) if message.id]
    assert [form for form in forms if re.search(r"[ \w)][;!?]|[ ][:%»]|« |'", form)] == []


def test_numbers_are_written_as_french_writes_them():
    with speaking("fr"):
        assert _("{n:,}", n=1234567) == "1\u202f234\u202f567"
        assert phrases.measured(0.1234, "") == "12,3\N{NO-BREAK SPACE}%"
        assert phrases.measured(-1234.5, "ms") == "−1\u202f234 ms"
        assert phrases.decimal(0.000012) == "1,2e−05"
        assert phrases.size(44_700_000) == "44,7\N{NO-BREAK SPACE}Mo"
        assert phrases.duration(0.42) == "0,42\N{NO-BREAK SPACE}s"
        assert phrases.date("2026-11-24T08:17:47+00:00").startswith("24 novembre 2026")
    assert phrases.measured(0.1234, "") == "12.3 %"


def test_a_number_that_was_written_is_read_again():
    for name in language.known():
        spoken = load(name)
        assert float(spoken.plain(spoken.number("1,234,567.25"))) == 1234567.25


def test_a_column_of_written_numbers_is_sorted_by_what_they_are():
    rows = (("1\u202f234,5\N{NO-BREAK SPACE}%", "12"), ("−0,5\N{NO-BREAK SPACE}%", "12 à 15"), ("1e−05", ""))
    with speaking("fr"):
        table = Blocks(SCREEN, Album()).table(Table("", "", ("number", "words"), rows))
    assert [(column.name, column.align) for column in table.columns] == [("number", "number"), ("words", "text")]
    assert [[cell.sort for cell in row] for row in table.rows] == [["1234.5", ""], ["-0.5", ""], ["1e-05", ""]]


def test_french_takes_none_for_one():
    with speaking("fr"):
        assert [many("{count} image", "{count} images", n) for n in (0, 1, 2)] == ["0 image", "1 image", "2 images"]


def test_a_sentence_begins_with_a_capital_also_where_it_begins_with_an_apostrophe_or_an_accent():
    assert phrases.sentence("l’image est vide") == "L’image est vide."
    assert phrases.sentence("écrêtés à 6") == "Écrêtés à 6."
    assert phrases.sentence("conv1 is dead") == "conv1 is dead."


def test_a_message_without_a_translation_stands_as_it_was_written():
    with speaking("fr"):
        assert _("no such sentence, {n}", n=0.5) == "no such sentence, 0,5"


@pytest.fixture(scope="module")
def french(small, photographs, tmp_path_factory) -> Path:
    """The folder of a French report."""
    out = tmp_path_factory.mktemp("french") / "report"
    chosen = ["--check", "data", "--check", "predictions", "--check", "filters", "--format", "html,json,junit,summary"]
    files = ["--arch", small.arch, "--preprocess", str(small.preprocess_file), "--data", str(photographs)]
    assert main(["run", str(small.checkpoint), *files, *chosen, "--lang", "fr", "--out", str(out), "-q"]) in (0, 1)
    return out


def test_an_audit_is_french_from_its_findings_to_its_pages(french):
    page, record = (french / "report.html").read_text(), json.loads((french / "audit.json").read_text())
    assert '<html lang="fr">' in page
    assert "Ce qui a été audité" in page
    assert record["provenance"]["language"] == "fr"
    assert (
        record["results"][0]["question"] == "Les images et leurs étiquettes sont-elles utilisables\N{NO-BREAK SPACE}?"
    )
    assert {result["check"] for result in record["results"]} == {"data", "predictions", "filters"}
    assert "### Contrôles" in (french / "summary.md").read_text()
    assert 'name="predictions.accuracy' in (french / "junit.xml").read_text()


def test_a_report_is_made_again_in_the_language_of_its_audit(french):
    before = (french / "report.html").read_text()
    assert main(["render", str(french), "--format", "html"]) == 0
    assert (french / "report.html").read_text() == before


def test_an_audit_is_rendered_in_another_language_and_its_record_stays(french, tmp_path):
    shutil.copytree(french, tmp_path / "copy")
    assert main(["render", str(tmp_path / "copy"), "--format", "html", "--lang", "en"]) == 0
    page = (tmp_path / "copy" / "report.html").read_text()
    assert '<html lang="en">' in page
    assert "Rules and limits" in page
    assert not re.search("Contrôle|exactitude|Ce qui", page)
    assert (tmp_path / "copy" / "audit.json").read_bytes() == (french / "audit.json").read_bytes()


def test_a_language_that_nobody_speaks_is_refused_and_the_known_ones_named(french, capsys):
    assert main(["run", "net.pt", "--lang", "tlh"]) == 4
    assert refused(capsys) == "error: --lang is 'tlh', but has to be one of: en, fr"
    record = json.loads((french / "audit.json").read_text())
    record["provenance"]["language"] = "../../tlh"
    (french.parent / "other").mkdir()
    (french.parent / "other" / "audit.json").write_text(json.dumps(record))
    assert main(["render", str(french.parent / "other")]) == 4
    assert "knows only en, fr" in refused(capsys)


def test_an_audit_from_before_there_were_languages_is_english(french, tmp_path):
    record = json.loads((french / "audit.json").read_text())
    del record["provenance"]["language"]
    record["results"] = []
    (tmp_path / "audit.json").write_text(json.dumps(record))
    assert main(["render", str(tmp_path), "--format", "html"]) == 0
    assert '<html lang="en">' in (tmp_path / "report.html").read_text()


def test_a_comparison_speaks_the_language_of_the_later_audit_or_the_one_asked_for(french, tmp_path, capsys):
    again = ["compare", str(french), str(french), "--format", "html"]
    assert main([*again, "--out", str(tmp_path / "fr")]) == 0
    assert "Les deux audits utilisent-ils les mêmes images" in (tmp_path / "fr" / "report.html").read_text()
    assert main([*again, "--out", str(tmp_path / "en"), "--lang", "en"]) == 0
    english = (tmp_path / "en" / "report.html").read_text()
    assert "Do both audits use the same images" in english
    assert not re.search("Contrôle|exactitude|images lisibles", english)


def refused(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line
