"""Templates of one's own, of plugins, and exported ones, for every report that is made from templates."""

import shutil
import subprocess
import sys

import pypdf
import pytest

from auditor.language import speaking
from auditor.report import brief, html, pdf, templates
from tests.report.sample_audits import audit

REPORTS = {"report.html": html, "print.html": pdf, "brief.html": brief}


def words(folder) -> str:
    """Return the text of the one report in a folder."""
    (file,) = [*folder.glob("*.pdf"), *folder.glob("report.html")]
    if file.suffix == ".html":
        return file.read_text()
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(file).pages).split())


def made(name, folder, *looks) -> str:
    folder.mkdir()
    REPORTS[name].save(audit(), folder, looks)
    return words(folder)


def look(folder, **files):
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.html").write_text(text)
    return folder


def blocks(name) -> list[str]:
    source = (templates.built_in() / name).read_text()
    return [part.partition(" ")[0] for part in source.split("{% block ")[1:]]


def test_templates_of_ones_own_speak_the_language_of_the_report(tmp_path):
    words = '{{ _("Contents") }}, {{ many("{count} image", "{count} images", 3) }}, {{ _("Mine alone") }}'
    block = f'{{% extends "auditor/report.html" %}}{{% block footer %}}{words}{{% endblock %}}'
    mine = look(tmp_path / "look", report=block)
    with speaking("fr"):
        assert "Sommaire, 3 images, Mine alone" in html.text(audit(), [mine])


@pytest.mark.parametrize(("name", "block"), [(name, block) for name in REPORTS for block in blocks(name)])
def test_every_block_can_be_replaced_alone(tmp_path, name, block):
    replaced = f'{{% extends "auditor/{name}" %}}{{% block {block} %}}Mine: {{{{ page.title }}}}{{% endblock %}}'
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / name).write_text(replaced)
    text = templates.render(name, *given(name), [tmp_path / "look"], **more(name))
    assert "Mine: net.pt" in text
    assert "Right on 40 %" in text or block in ("deciding", "sections")


def given(name):
    from auditor.report.album import Album
    from auditor.report.blocks import PRINT, SCREEN
    from auditor.report.page import page_of

    return (page_of(audit(), SCREEN if name == "report.html" else PRINT, Album()),)


def more(name):
    empty = brief.Brief((), "", ())
    return {"style": "", "script": "", "policy": "", "compressed": False, "brief": empty}


@pytest.mark.parametrize("name", REPORTS)
def test_a_shared_macro_can_be_replaced(tmp_path, name):
    shutil.copytree(templates.built_in(), tmp_path / "look")
    source = (tmp_path / "look" / "evidence.html").read_text()
    (tmp_path / "look" / "evidence.html").write_text(source.replace('<p class="message">', '<p class="message">Mine: '))
    assert "Mine: Right on 40 %" in made(name, tmp_path / "out", tmp_path / "look")


@pytest.mark.parametrize("name", REPORTS)
def test_exported_templates_that_nobody_changed_make_the_same_report(tmp_path, name):
    shutil.copytree(templates.built_in(), tmp_path / "look")
    assert made(name, tmp_path / "a", tmp_path / "look") == made(name, tmp_path / "b")


def test_a_style_sheet_for_print_of_ones_own_takes_the_place_of_the_built_in_one(tmp_path):
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "print.css").write_text("@page { size: A5; @bottom-left { content: 'My foot' } }")
    (tmp_path / "out").mkdir()
    pdf.save(audit(), tmp_path / "out", [tmp_path / "look"])
    page = pypdf.PdfReader(tmp_path / "out/report.pdf").pages[0]
    assert round(page.mediabox.width) == 420
    assert "My foot" in page.extract_text()


def test_a_folder_of_the_user_stands_before_that_of_a_plugin(tmp_path):
    mine = look(tmp_path / "mine", report='{% extends "auditor/report.html" %}{% block footer %}mine{% endblock %}')
    theirs = look(
        tmp_path / "theirs",
        report='{% extends "auditor/report.html" %}{% block footer %}theirs{% endblock %}',
        print='{% extends "auditor/print.html" %}{% block contents %}of a plugin{% endblock %}',
    )
    page = made("report.html", tmp_path / "a", mine, theirs)
    assert "mine" in page
    assert "theirs" not in page
    assert "of a plugin" in made("print.html", tmp_path / "b", mine, theirs)


def test_a_plugin_ships_a_template_of_its_own(tmp_path):
    from auditor import report

    report.write(audit(), tmp_path / "out", formats=("json",))
    look(tmp_path / "look", report='{% extends "auditor/report.html" %}{% block footer %}By a plugin.{% endblock %}')
    (tmp_path / "auditfile.py").write_text(
        "from pathlib import Path\n"
        "from auditor import hookimpl\n"
        "@hookimpl\n"
        "def auditor_templates():\n"
        "    return [Path(__file__).parent / 'look']\n"
    )
    command = [sys.executable, "-m", "auditor", "render", "out", "--format", "html"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert "By a plugin." in (tmp_path / "out/report.html").read_text()
