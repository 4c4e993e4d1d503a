"""The documentation site builds without a warning, and what its pages show and link to is there."""

import doctest
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS / "_ext"))
layers, rule_pages, configuration, public_names = map(
    importlib.import_module, ("layers", "rule_pages", "configuration", "public_names")
)

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if "_build" not in page.parts and (page.parent.name != "rules" or page.stem == "index")
)
FENCED = re.compile(r"^```(\S+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def texts(*pages):
    return [(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")) for page in pages]


def blocks(*languages):
    """Return the blocks of these languages on all pages, each with its page."""
    return [
        (page, block)
        for page, text in texts(*PAGES)
        for language, block in FENCED.findall(text)
        if language in languages
    ]


@pytest.mark.slow
def test_builds_without_a_warning_and_without_a_network(tmp_path):
    site = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "read"), str(DOCS), str(site)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    pages = {page.relative_to(site).as_posix(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    assert {"index.html", "compare.html", "defects.html", "translation.html", "architecture.html"} <= pages.keys()
    for _check, rule in rule_pages.rules():
        assert f"reference/rules/{rule.name}.html" in pages
    for name, text in pages.items():
        asked = re.findall(
            r"<(?:script|img|iframe)[^>]*\ssrc=\"(?:https?:)?//[^\"]*|<link[^>]*stylesheet[^>]*//[^>]*", text
        )
        assert not asked, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    rules = {f"{rule.name}.md" for _check, rule in rule_pages.rules()}
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:|#", address):
            continue
        place = page.parent / address.partition("#")[0]
        assert place.exists() or (place.parent.name == "rules" and place.name in rules), address


def test_the_picture_of_the_layers_names_every_module_of_the_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    drawn = re.findall(
        r"<text class=\"layers-name\"[^>]*>([^<]+)<", layers.picture(layers.described(layers.contract()))
    )
    named = re.findall(r"[\w.]+", " ".join(contract["layers"]))
    assert drawn == [name.removeprefix("auditor.") for name in named]


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        ("auditor.cli", ["cli"]),
        ("auditor.cli | auditor.pytest_plugin", ["cli", "pytest_plugin"]),
        ("auditor.check : auditor.context", ["check", "context"]),
        ("(auditor.gpu) | demo", ["gpu", "demo"]),
    ],
)
def test_reads_layers_as_import_linter_writes_them(tmp_path, layer, names):
    (tmp_path / "pyproject.toml").write_text(
        f'[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["{layer}"]\n', encoding="utf-8"
    )
    assert layers.contract(tmp_path / "pyproject.toml") == [names]


@pytest.mark.parametrize("module", public_names.MODULES)
def test_every_public_name_is_listed_once(module):
    found = re.findall(
        rf"```{{public-names}} {re.escape(module)}\n(.*?)```",
        "\n".join(text for _, text in texts(*(DOCS / "reference").glob("*.md"))),
        re.DOTALL,
    )
    assert sorted(" ".join(found).split()) == sorted(importlib.import_module(module).__all__)


def test_every_rule_has_a_page_with_what_is_measured():
    for check, rule in rule_pages.rules():
        page = rule_pages.page(check, rule)
        assert page.startswith(f"# {rule.name}\n")
        assert rule_pages.escaped(rule.summary) in page
        assert ("## How it is measured" in page) is bool(rule.measured)
        assert ("## What to do" in page) is bool(rule.advice)
        assert ("## Limits" in page) is bool(check.limits(rule.name))


def test_commands_that_pages_show_have_only_flags_that_there_are():
    shown = [(page, line) for page, block in blocks("sh") for line in block.splitlines() if line.startswith("auditor ")]
    assert len(shown) > 20
    for page, line in shown:
        name, *arguments = shlex.split(line, comments=True)[1:]
        told = configuration.command(name)
        told.make_context(name, arguments, obj={})  # raises where a flag or an argument is unknown
        assert page


def test_examples_of_configuration_are_toml():
    for page, block in blocks("toml"):
        assert tomllib.loads(block), page


def test_examples_with_results_give_these_results():
    examples = [block for _, block in blocks("python") if block.startswith(">>>")]
    session = doctest.DocTestParser().get_doctest("\n".join(examples), {}, "the pages", None, None)
    assert len(session.examples) > 5
    assert doctest.DocTestRunner().run(session).failed == 0


def test_checks_that_pages_show_can_be_declared():
    declared = [block for page, block in blocks("python") if "@Check" in block and page.startswith("docs/")]
    assert len(declared) == 2
    for block in declared:
        names = {"__name__": "example"}  # as an imported file has it
        exec(compile(block, "example", "exec"), names)  # noqa: S102 - the page's own example
        assert [name for name, value in names.items() if type(value).__name__ == "Check" and value.question]
