import io
import math

import numpy as np
import pytest
from PIL import Image

from auditor.report import phrases
from auditor.report.album import Album
from auditor.report.blocks import PRINT, SCREEN
from auditor.report.page import Page, page_of
from auditor.results import Audit, Figure, Finding, Gallery, Item, Result, Table, Verdict
from tests.report.sample_audits import audit, maps, photo, predictions


def page(given: Audit, medium=SCREEN) -> Page:
    return page_of(given, medium, Album())


def found(*verdicts: Verdict) -> Result:
    return Result("c", "?", tuple(Finding(f"c.{i}", verdict, f"finding {i}") for i, verdict in enumerate(verdicts)))


def test_what_decided_it_is_what_failed_or_broke_the_worst_first():
    shown = page(audit(found(Verdict.WARN, Verdict.FAIL, Verdict.PASS, Verdict.ERROR)))
    assert [finding.rule for finding in shown.deciding] == ["c.3", "c.1"]


def test_where_nothing_failed_the_warnings_decide():
    shown = page(audit(found(Verdict.PASS, Verdict.WARN)))
    assert [finding.rule for finding in shown.deciding] == ["c.1"]
    assert shown.deciding_title == "Warnings"


def test_where_all_passed_nothing_needs_deciding():
    assert page(audit(found(Verdict.PASS, Verdict.INFO))).deciding == ()


def test_more_deciding_findings_than_fit_are_counted():
    shown = page(audit(found(*[Verdict.FAIL] * 11)))
    assert len(shown.deciding) == 8
    assert shown.more_deciding.startswith("3 more findings")


def test_a_check_without_evidence_is_an_error_that_says_so():
    shown = page(audit(Result("silent", "Anything?")))
    assert shown.badge.word == "Error"
    assert "returned no evidence" in shown.deciding[0].message


def test_a_picture_alone_is_information():
    assert page(audit(maps())).sections[0].badge.word == "Information"


def test_findings_that_raised_nothing_are_folded_away_when_they_are_many():
    section = page(audit(found(*[Verdict.PASS] * 30, Verdict.FAIL))).sections[0]
    assert section.findings[0].badge.word == "Fail"
    assert len(section.findings) == SCREEN.passes
    assert section.kept_title == "23 more findings without a warning"


def test_a_long_table_is_cut_on_paper_and_says_how_much_is_missing():
    table = Table("t", "", ("n",), tuple((i,) for i in range(1000)))
    on_paper = page(audit(Result("c", "?", (table,))), PRINT).sections[0].blocks[0]
    on_screen = page(audit(Result("c", "?", (table,)))).sections[0].blocks[0]
    assert len(on_paper.rows) == PRINT.rows
    assert on_paper.note == f"The first {PRINT.rows} rows; {1000 - PRINT.rows} more are in audit.json."
    assert (len(on_screen.rows), on_screen.note) == (1000, "")


def test_a_table_with_ragged_rows_is_still_shown():
    table = Table("t", "", ("a", "b"), ((1,), (1, 2, 3), ()))
    block = page(audit(Result("c", "?", (table,)))).sections[0].blocks[0]
    assert [[cell.text for cell in row] for row in block.rows] == [["1", "", ""], ["1", "2", "3"], ["", "", ""]]


@pytest.mark.parametrize("changes", [{"interrupted": True}, {"not_run": ("maps",)}])
def test_an_incomplete_audit_says_so(changes):
    assert len(page(audit(**changes)).banners) == 1
    assert page(audit()).banners == ()


def test_an_audit_in_which_nothing_ran_has_a_page():
    empty = Audit(audit().provenance, ())
    assert page(empty).headline == "All checks were skipped."


def test_a_trusted_pickle_and_a_partly_loaded_network_are_marked():
    from dataclasses import replace

    given = audit()
    checkpoint = replace(given.provenance.checkpoint, trusted=True, loaded=0.5)
    network = page(replace(given, provenance=replace(given.provenance, checkpoint=checkpoint))).cards[0]
    assert {fact.name for fact in network.facts if fact.kind == "warn"} == {"Weights loaded", "Trusted"}


def test_pictures_that_stand_at_two_places_are_known():
    figure = Figure("a", "", photo())
    shown = page(audit(Result("c", "?", (figure, Gallery("g", "", (Item(photo(), "again"),))))))
    assert len(shown.repeated) == 1


def test_bytes_that_are_no_picture_do_not_break_the_page():
    for damaged in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", photo()[:200]):
        assert page(audit(Result("c", "?", (Figure("a", "", damaged),)))).sections[0].blocks[0].picture.source == ""


def test_pictures_are_scaled_down_for_paper_and_never_up():
    album = Album(shrink=True)
    assert album.picture(photo(64), "", pixels=32).width == 32
    assert album.picture(photo(64), "", pixels=500).width == 64


@pytest.mark.parametrize(("side", "pixels"), [(96, 500), (96, 64)])
def test_noise_is_a_photograph_on_paper_and_a_drawing_is_none(side, pixels):
    for drawn, format_ in ((noise(side), "JPEG"), (stripes(side), "PNG")):
        album = Album(shrink=True)
        shown = album.picture(drawn, "", pixels=pixels)
        with Image.open(io.BytesIO(album.files[shown.source])) as stored:
            assert stored.format == format_
            assert stored.width == shown.width == min(side, pixels)


def noise(side):
    values = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    return as_png(values)


def stripes(side):
    return as_png(np.repeat(np.arange(side, dtype=np.uint8)[None] // 16 * 40, side, axis=0))


def as_png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).convert("P").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_strip_keeps_the_pixels_of_its_column_on_paper():
    tall = io.BytesIO()
    Image.new("RGB", (60, 96)).save(tall, "JPEG")
    shown = Album(shrink=True).picture(tall.getvalue(), "", pixels=30)
    assert (shown.width, shown.height) == (30, 48)


def test_every_figure_has_words_for_who_can_not_see_it():
    figure, gallery = page(audit(maps())).sections[0].blocks
    assert figure.picture.alt == "a map"
    assert [item.picture.alt for item in gallery.items] == ["the image, cat.png", "channel 3, 0.75"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.125, "", "12.5 %"),
        (0.0, "", "0 %"),
        (1, "", "100 %"),
        (1e-7, "", "1e−05 %"),
        (12.0, "weights", "12 weights"),
        (-0.5, "px", "−0.5 px"),
        (1234567, "images", "1,234,567 images"),
        (math.nan, "", "not a number"),
        (math.inf, "s", "∞ s"),
        (None, "s", ""),
    ],
)
def test_a_value_is_a_share_unless_it_has_a_unit(value, unit, text):
    assert phrases.measured(value, unit) == text


def test_dates_durations_and_sizes_read_as_people_write_them():
    assert phrases.date("2026-11-24T08:17:47+00:00") == "24 November 2026, 08:17 UTC"
    assert phrases.date("whenever") == "whenever"
    assert [phrases.duration(s) for s in (0.4213, 31.2, 200)] == ["0.42 s", "31 s", "3 min 20 s"]
    assert [phrases.size(b) for b in (1, 44_700_000)] == ["1 byte", "44.7 MB"]
    assert [phrases.images(n) for n in (1, 2)] == ["1 image", "2 images"]


def test_a_verdict_has_one_sentence_each():
    sentences = {phrases.headline(audit(found(verdict))) for verdict in Verdict}
    assert len(sentences) == len(Verdict)
    assert phrases.headline(audit(predictions())).startswith("1 failure: ")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("all files could be read", "All files could be read."),
        ("conv1 has 3 dead channels", "conv1 has 3 dead channels."),
        ("is it so?", "is it so?".capitalize()),
        ("one was lost (p = 0.5)", "One was lost (p = 0.5)."),
        ("", ""),
    ],
)
def test_a_message_is_printed_as_a_sentence_and_names_keep_their_case(message, sentence):
    assert phrases.sentence(message) == sentence


def test_numbers_stand_to_the_right_also_where_they_are_texts_with_a_percent_sign():
    table = Table("t", "", ("name", "share", "mixed"), (("a", "61.0%", 1), ("b", None, "never")))
    block = page(audit(Result("c", "?", (table,)))).sections[0].blocks[0]
    assert [column.align for column in block.columns] == ["text", "number", "text"]


@pytest.mark.parametrize(
    ("rows", "width", "columns"),
    [(6, 5, 5), (3, 4, 4), (1, 5, 5), (1, 30, 6), (2, 2, 4), (4, 8, 4)],
)
def test_a_row_begins_where_the_first_picture_comes_again(rows, width, columns):
    """Rows of 2 would be of posters, and of 8 of stamps: these are filled as any gallery."""
    every = [
        Item(noise(9 if place == 0 else 10 + row * width + place), "") for row in range(rows) for place in range(width)
    ]
    block = page(audit(Result("c", "?", (Gallery("g", "", tuple(every)),)))).sections[0].blocks[0]
    assert block.columns == columns
    assert {len(row) for row in block.rows[:-1]} <= {columns}
