"""Templates of strangers: what is tried to get out of the sandbox, and that one line says so."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from auditor import report
from auditor.errors import OutputError
from auditor.report import html, templates
from tests.report.sample_audits import audit


@pytest.fixture
def look(tmp_path):
    folder = tmp_path / "look"
    folder.mkdir()
    return folder


def page(look, block):
    (look / "report.html").write_text(
        '{% extends "auditor/report.html" %}\n{% block footer %}\n' + block + "\n{% endblock %}"
    )
    return html.text(audit(), [look])


CLASSIC = "__subclasses__()[100].__init__.__globals__"
ESCAPES = {
    "the classes of a text": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "the classes of a number": "{{ (1).__class__.__base__.__subclasses__() }}",
    "the classes of a list": "{{ [].__class__.__base__." + CLASSIC + " }}",
    "the classes by index": "{{ ''['__class__']['__mro__'] }}",
    "the classes by a filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "the classes by a filter and parts": "{{ ''|attr('__cl' ~ 'ass__')|attr('__m' ~ 'ro__') }}",
    "the classes by an escape": "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f')|attr('mro') }}",
    "the classes by map": "{{ ['']|map(attribute='__class__')|map(attribute='__mro__')|list }}",
    "the classes by selectattr": "{{ ['']|selectattr('__class__.__mro__')|list|length + 'x' }}",
    "the classes by sort": "{{ ['', 'a']|sort(attribute='__class__.__name__') }}",
    "the classes by groupby": "{{ ['', 'a']|groupby('__class__')|list }}",
    "the globals of cycler": "{{ cycler.__init__.__globals__.os.popen(MARK).read() }}",
    "the globals of joiner": "{{ joiner.__init__.__globals__.os.popen(MARK).read() }}",
    "the globals of namespace": "{{ namespace.__init__.__globals__.os.popen(MARK).read() }}",
    "the globals of lipsum": "{{ lipsum.__globals__['os'].popen(MARK).read() }}",
    "the globals of the catalogue": "{{ _.__globals__['__builtins__']['open'](FILE, 'w') }}",
    "the globals of a plural": "{{ many.__globals__.sys.modules.os.system(MARK) }}",
    "the context of the template": "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen(MARK) }}",
    "the environment": "{{ self._TemplateReference__context.environment.loader }}",
    "the globals of a macro": "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "the function of a macro": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "the globals of a loop": "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "the frame of a generator": "{{ (['']|map('upper')).gi_frame.f_globals }}",
    "the code of a generator": "{{ (['']|map('upper')).gi_code.co_consts }}",
    "a format with an attribute": "{{ '{0.__class__.__mro__}'.format('') }}",
    "a format with an index": "{{ '{0.__init__.__globals__[os]}'.format(cycler) }}",
    "a format of a mapping": "{{ '{x.__class__}'.format_map({'x': ''}) }}",
    "a format that is kept": "{% set f = '{0.__class__}'.format %}{{ f('') }}",
    "a format by a filter": "{{ ('{0.__class__}'|attr('format'))('') }}",
    "a format by map": "{{ ['{0.__class__}']|map(attribute='format')|map('first')|list }}",
    "a format of marked text": "{{ ('{0.__class__}'|safe).format('') }}",
    "the attributes of the page": "{{ page.__class__.__init__.__globals__ }}",
    "the module of the page": "{{ page.__class__.__module__.__class__ + 1 }}",
    "the page is written": "{% set page.title = 'mine' %}",
    "the page is written by a namespace": "{% set n = namespace(page) %}{% set n.title = 'x' %}{{ n.__dict__ }}",
    "a list is changed": "{{ [1].append(2) }}",
    "a dictionary is changed": "{{ {'a': 1}.update({'b': 2}) }}",
    "a type is made": "{{ dict.mro()[1].__subclasses__() }}",
    "a tag that imports": "{% import 'os' as os %}",
    "a tag of an extension": "{% do 1 %}",
    "a tag that debugs": "{% debug %}",
}


@pytest.mark.parametrize("case", ESCAPES)
def test_a_template_gets_nothing_but_its_page(look, tmp_path, case):
    marker = tmp_path / "marker"
    block = ESCAPES[case].replace("MARK", f"'touch {marker}'").replace("FILE", f"'{marker}'")
    with pytest.raises(OutputError) as caught:
        page(look, block)
    assert not marker.exists()
    assert re.match(rf"template {look}/report\.html:[23] is invalid: ", str(caught.value))
    assert "\n" not in str(caught.value)


OUTSIDE = {
    "a folder above": "{% include '../secret.txt' %}",
    "a folder above, from within": "{% include 'sub/../../secret.txt' %}",
    "an absolute path": "{% include '/SECRET' %}",
    "a link": "{% include 'link.html' %}",
    "a link of a folder": "{% include 'linked/secret.txt' %}",
    "an import": "{% import '../secret.txt' as secret %}{{ secret }}",
    "a link that is imported": "{% from 'link.html' import x %}",
    "a template above the built-in ones": "{% include 'auditor/../secret.txt' %}",
    "a file of the system": "{% include '/etc/passwd' %}",
    "a list of templates": "{% include ['none.html', '../secret.txt'] %}",
    "a template that may be missing": "{% include '../secret.txt' ignore missing %}",
    "the parent": "{% include 'two/second.html' %}",
    "a FIFO": "{% include 'fifo.html' %}",
    "a device": "{% include 'device.html' %}",
    "a folder": "{% include 'sub' %}",
    "a link in a circle": "{% include 'circle.html' %}",
    "bytes that are no UTF-8": "{% include 'bytes.html' %}",
    "a null character": "{% include 'a\\0b' %}",
    "a name of 300 letters": "{% include '" + "x" * 300 + "' %}",
    "nothing there": "{% include 'none.html' %}",
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_template_includes_nothing_from_outside_of_its_folder(look, tmp_path, case):
    (tmp_path / "secret.txt").write_text("SECRET OF MINE")
    for folder in ("sub", "two"):
        (look / folder).mkdir()
    (look / "two/second.html").write_text("{% include '../secret.txt' %}")
    (look / "link.html").symlink_to(tmp_path / "secret.txt")
    (look / "linked").symlink_to(tmp_path)
    os.mkfifo(look / "fifo.html")
    (look / "device.html").symlink_to("/dev/zero")
    (look / "circle.html").symlink_to("circle.html")
    (look / "bytes.html").write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError) as caught:
        page(look, OUTSIDE[case].replace("/SECRET", str(tmp_path / "secret.txt")))
    assert "SECRET OF MINE" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("template ")


@pytest.mark.parametrize("name", ["report.css", "report.js"])
def test_a_style_sheet_from_outside_of_the_folder_is_refused(look, tmp_path, name):
    (tmp_path / "secret.txt").write_text("SECRET OF MINE")
    (look / name).symlink_to(tmp_path / "secret.txt")
    with pytest.raises(OutputError, match=f"template '{name}' lies outside of the folder"):
        html.text(audit(), [look])


ENDLESS = {
    "a loop": "{% for x in range(10**9) %}{% endfor %}",
    "a loop over a range that is short to write": "{% for x in range(1000000000) %}{% endfor %}",
    "a power": "{{ 10 ** 10 ** 10 }}",
    "a text": "{{ 'x' * 10 ** 4 * 10 ** 4 }}",
    "a list": "{{ [0] * 1000000000 }}",
    "a text of nonsense": "{{ lipsum(n=1000000000) }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a template that includes itself": "{% include 'round.html' %}",
    "a division": "{{ 1 / 0 }}",
    "a name that is not there": "{{ nothing.at.all }}",
    "a type that does not fit": "{{ 'a' + 1 }}",
    "a tag that is not closed": "{% if true %}",
    "an argument too many": "{{ _('x', 2, 3) }}",
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_template_without_end_or_with_an_error_is_one_line(look, case):
    (look / "round.html").write_text("{% include 'round.html' %}")
    begun = time.perf_counter()
    with pytest.raises(OutputError) as caught:
        page(look, ENDLESS[case])
    assert time.perf_counter() - begun < 10
    assert str(caught.value).startswith("template ")
    assert re.match(r"template \S+/(report|round)\.html:\d+ is invalid: ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_what_a_template_prints_is_escaped_still(look):
    assert "&lt;script&gt;alert(1)" in page(look, "{{ '<script>alert(1)' }}")


def test_what_a_template_needs_works_in_the_sandbox(look):
    block = (
        "{% set n = namespace(i=0) %}{% for x in range(3) %}{% set n.i = n.i + x * 2 %}{% endfor %}{{ n.i }};"
        "{{ 'a-{}'.format(1) }};{{ [1, 2]|join(', ') }};{{ page.title|upper }};{{ cycler('x', 'y').next() }}"
    )
    assert "6;a-1;1, 2;NET.PT;x" in page(look, block)


def test_a_template_of_a_stranger_costs_one_line_of_the_command(look, tmp_path, command_line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report.write(audit(), tmp_path / "r", formats=("json",))
    (look / "report.html").write_text("{{ cycler.__init__.__globals__.os.popen('touch marker').read() }}")
    code, out, err = command_line("render", "r", "--format", "html", "--templates", "look")
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert err.startswith("error: template look/report.html:1 is invalid: access to attribute '__init__'")
    assert not Path("marker").exists()
    assert not Path("r/report.html").exists()


def test_a_folder_of_templates_may_be_a_link(look, tmp_path):
    shutil.copytree(templates.built_in(), look, dirs_exist_ok=True)
    (tmp_path / "link").symlink_to(look)
    assert html.text(audit(), [tmp_path / "link"]) == html.text(audit())
