import base64
import io
from dataclasses import replace

import pypdf
import pytest
from PIL import Image

from auditor import report
from auditor.report import brief
from auditor.results import Audit, Figure, Finding, Gallery, Item, Result, Verdict
from tests.report.sample_audits import HOSTILE, audit, hostile, maps, photo, predictions

pytestmark = pytest.mark.filterwarnings("error")


def printed(given: Audit, folder, *templates) -> pypdf.PdfReader:
    brief.save(given, folder, templates)
    return pypdf.PdfReader(folder / "summary.pdf")


def words_of(reader: pypdf.PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader.pages).replace("\x00", "").split())


def titles(reader: pypdf.PdfReader) -> list[str]:
    return [entry.title for entry in reader.outline if not isinstance(entry, list)]


def found(count: int, text: str = "", rules: int = 1) -> Result:
    return Result(
        "filters",
        "Are the kernels alive?",
        tuple(
            Finding(
                f"filters.{i % rules}", Verdict.FAIL, f"finding {i} {text}", f"layer{i}", 0.5, 0.1, n=64, detail=text
            )
            for i in range(count)
        ),
    )


def test_has_what_who_decides_asks_for(tmp_path):
    reader = printed(audit(), tmp_path)
    words = words_of(reader)
    order = [
        "Summary · Audit of a trained image classifier · 2 January 2026",
        "resnet18 on photographs",
        "Fail",
        "1 failure",
        "What decided the verdict",
        "Right on 40 % of 40 images.",
        "Train longer.",
        "limit 50 %",
        "What was audited",
        "All checks",
        "Where does it look?",
        "Selected pictures",
        "the full report",
    ]
    places = [words.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "net.pt" in words
    assert len(reader.pages) <= 2
    assert f"Page 1 of {len(reader.pages)}" in words


@pytest.mark.slow
@pytest.mark.parametrize("text", ["W" * 3000, "猫" * 2000, "\n" * 500 + "so " * 1000, " ".join(HOSTILE)])
def test_never_has_more_than_four_pages(tmp_path, text):
    checks = tuple(replace(found(1, text), check=f"check{i}{text}", question=text or "?") for i in range(60))
    given = audit(found(300, text, rules=7), *checks, maps(), not_run=(text or "late",) * 200)
    given = replace(
        given, provenance=replace(hostile(text or "x").provenance, notes=(f"note {text}",) * 50), interrupted=True
    )
    reader = printed(given, tmp_path)
    assert len(reader.pages) <= 4
    assert titles(reader)[:3] == ["What decided the verdict", "What was audited", "All checks"]
    words, count = words_of(reader), len(reader.pages)
    assert f"Page {count} of {count}" in words  # nothing was cut off
    if text.isascii():  # pypdf can't read the ligatures of some fonts
        assert "more findings in the full report" in words
        assert "more checks in the full report" in words
        assert "All findings, pictures and tables are in the full report" in words


def test_any_text_may_stand_anywhere(tmp_path):
    words = words_of(printed(hostile(" ".join(HOSTILE)[:300]), tmp_path))
    assert "<script>alert(1)</script>" in words


def test_of_many_findings_each_rule_has_its_turn(tmp_path):
    words = words_of(printed(audit(found(300, rules=6)), tmp_path))
    assert all(f"filters.{rule}" in words for rule in range(6))
    assert "and 288 more findings in the full report" in words


def test_counts_what_the_whole_audit_has(tmp_path):
    assert "300 failed" in words_of(printed(audit(found(300)), tmp_path))


def test_the_verdicts_are_those_of_the_report(tmp_path):
    words = words_of(printed(audit(maps()), tmp_path))
    assert "Information" in words
    assert "The checks describe this network but do not judge it." in words
    assert "No check ran." in words_of(printed(Audit(audit().provenance, ()), tmp_path))


def test_the_pictures_are_of_the_checks_that_judged_worst_and_none_is_blank(tmp_path):
    shown = Figure("A telling picture", "It tells.", photo(300))
    many = Gallery("Many", "", tuple(Item(photo(300), f"tile {i}") for i in range(40)))
    worst = Result("worst", "?", (Finding("worst.x", Verdict.FAIL, "bad"), many))
    reader = printed(
        audit(*[replace(maps(), check=f"m{i}") for i in range(5)], Result("c", "?", (shown,)), worst), tmp_path
    )
    words = words_of(reader)
    assert "tile 5" in words
    assert "tile 6" not in words
    pictures = [image.image for page in reader.pages for image in page.images]
    assert len(pictures) >= 6
    assert all(len(set(p.convert("L").getextrema())) == 2 for p in pictures)


def test_a_damaged_picture_is_left_out(tmp_path):
    reader = printed(audit(Result("c", "?", (Figure("gone", "", b"no"),))), tmp_path)
    assert "gone" not in words_of(reader)


def test_it_is_tagged_and_says_what_it_is(tmp_path):
    reader = printed(audit(), tmp_path)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert "/StructTreeRoot" in root
    assert reader.metadata.title == "Fail: net.pt · auditor summary"
    assert reader.metadata["/checkpointsha256"] == "ab" * 32


def test_a_block_of_ones_own_stands_in_it_and_four_pages_stay_the_most(tmp_path):
    look = tmp_path / "look"
    look.mkdir()
    (look / "brief.html").write_text(
        '{% extends "auditor/brief.html" %}{% block end %}'
        '{% for i in range(9) %}<p style="break-before: page">Signed by {{ page.title }}</p>{% endfor %}{% endblock %}'
    )
    reader = printed(audit(), tmp_path, look)
    assert len(reader.pages) == 4
    assert "Signed by net.pt" in words_of(reader)


def test_is_written_as_a_format_and_made_again(tmp_path):
    assert report.write(audit(predictions()), tmp_path, formats=("pdf-summary",))["pdf-summary"].name == "summary.pdf"
    (tmp_path / "summary.pdf").write_text("old")
    assert report.render(tmp_path, formats=("pdf-summary",)) == {"pdf-summary": tmp_path / "summary.pdf"}
    assert (tmp_path / "summary.pdf").read_bytes().startswith(b"%PDF-")


def logo() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_has_the_letterhead_on_every_page(tmp_path):
    own = {"title": "Line 3 <b>", "logo": logo(), "footer": "Acme & Sons", "confidential": "For Acme only"}
    given = audit(found(12, "and more " * 40), predictions(), maps())
    given = replace(given, provenance=replace(given.provenance, settings={"report": own}))
    reader = printed(given, tmp_path)
    assert len(reader.pages) > 1
    for page in reader.pages:
        words = " ".join(page.extract_text().split())
        assert "Line 3 <b>" in words
        assert "Acme & Sons" in words
        assert "For Acme only" in words
    assert "net.pt: resnet18 on photographs" in words_of(reader)
