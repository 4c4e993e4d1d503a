"""A PDF is made in a process of its own, which may die."""

import os
import signal

import pypdf
import pytest

from auditor import report
from auditor.errors import OutputError
from auditor.report import pdf_process
from tests.report.sample_audits import audit, hostile, maps, predictions

ALL = ("html", "pdf", "json", "junit", "summary")


@pytest.fixture
def no_fonts(monkeypatch, tmp_path):
    (tmp_path / "none").mkdir()
    config = f"<fontconfig><dir>{tmp_path}/none</dir><cachedir>{tmp_path}/none</cachedir></fontconfig>"
    (tmp_path / "fonts.conf").write_text(f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">{config}')
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))


def test_on_a_machine_without_fonts_the_pdf_has_those_of_matplotlib(no_fonts, tmp_path):
    pdf_process.save(audit(predictions(), maps()), tmp_path, name="report.pdf")
    pages = pypdf.PdfReader(tmp_path / "report.pdf").pages
    fonts = {str(font.get_object()["/BaseFont"]) for page in pages for font in page["/Resources"]["/Font"].values()}
    assert fonts
    assert all("DejaVu" in font for font in fonts)
    assert "predictions" in "".join(page.extract_text() for page in pages)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("death", "told"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "was ended by SIGSEGV"),
        ("import os; os._exit(0 + 3)", "broke with exit code 3"),
        ("import os; os._exit(0)", "without writing it"),
        ("1 / 0", "broke with exit code 1 (ZeroDivisionError: division by zero)"),
    ],
)
def test_if_its_process_dies_all_other_files_are_written_and_one_line_says_why(monkeypatch, tmp_path, death, told):
    monkeypatch.setattr(pdf_process, "_CODE", death)
    with pytest.raises(OutputError) as error:
        report.write(audit(predictions()), tmp_path / "out", formats=ALL)
    assert told in str(error.value)
    assert str(error.value).startswith("report.pdf could not be written: ")
    assert "\n" not in str(error.value)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "audit.json",
        "junit.xml",
        "summary.md",
    }


def test_a_layout_that_does_not_end_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(pdf_process, "_CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(pdf_process, "_SECONDS", 0.5)
    with pytest.raises(OutputError, match="its layout took longer than"):
        pdf_process.save(audit(), tmp_path, name="report.pdf")


def test_a_template_that_is_invalid_is_named_as_in_this_process(tmp_path):
    (tmp_path / "print.html").write_text("{% no such tag %}")
    with pytest.raises(OutputError, match=r"^template \S*print.html:1 is invalid: "):
        pdf_process.save(audit(), tmp_path, [tmp_path], name="report.pdf")


def test_a_full_disk_is_an_error_of_the_system(monkeypatch, tmp_path):
    (tmp_path / "report.pdf").symlink_to("/dev/full")
    with pytest.raises(OSError, match=os.strerror(28)):
        pdf_process.save(audit(), tmp_path, name="report.pdf")


def test_texts_without_a_place_in_unicode_reach_the_process(tmp_path):
    pdf_process.save(hostile("\ud800 \x00 \u202e"), tmp_path, name="summary.pdf")
    assert pypdf.PdfReader(tmp_path / "summary.pdf").pages
