"""A whole report in a language that nobody speaks: what still stands there in Latin letters was not marked.

Every message is translated into itself in Cyrillic letters between ⟦ and ⟧. So an English word is seen
also where it was filled into a sentence that was translated.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import markdown_it
import pytest

from auditor import language, plugins
from auditor.cli.commands import main
from auditor.locale import catalogues
from auditor.locale.messages import messages
from auditor.report import cards, phrases, read, templates
from auditor.report.album import Album
from auditor.report.blocks import PRINT
from auditor.report.page import page_of
from auditor.results import Audit

PSEUDO = "eo"  # any that CLDR knows and no catalogue is in
_CYRILLIC = {ord(a): ord("а") + i for i, a in enumerate(string.ascii_lowercase)}
_CYRILLIC |= {ord(a): ord("А") + i for i, a in enumerate(string.ascii_uppercase)}
_EMPTY = ("meta", "img", "input", "col", "br", "link")
_SHOWN = ("data-name", "data-none", "aria-label", "alt", "title")

NAMES = {
    # of the tool, its files and formats, of methods and their authors, of functions and the quantities of a test
    *("auditor", "audit.json", "state dict", "SHA-256", "Grad-CAM", "ReLU", "Simonyan", "p", "T(n)", "scale"),
    # of parameters, as torch calls them
    *("weight", "bias", "running_mean", "running_var"),
}


def pseudo(text: str) -> str:
    """Return a message in Cyrillic letters, its places left as they are."""
    made = []
    for plain, name, spec, how in string.Formatter().parse(text):
        made.append(plain.translate(_CYRILLIC))
        if name is not None:
            made.append("{" + name + (f"!{how}" if how else "") + (f":{spec}" if spec else "") + "}")
    return f"⟦{''.join(made)}⟧"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Iterator[None]:
    """The language is there for as long as the tests of this module run."""
    folder = tmp_path_factory.mktemp("locale")
    made = catalogues.updated(PSEUDO, catalogues.read(PSEUDO, folder / "none"), messages())
    for message in made:
        if message.id:
            message.string = pseudo(message.id) if isinstance(message.id, str) else tuple(map(pseudo, message.id))
    file = folder / PSEUDO / "LC_MESSAGES" / "auditor.po"
    file.parent.mkdir(parents=True)
    catalogues.write(made, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "FOLDER", folder)
        language.load.cache_clear()
        yield
    language.load.cache_clear()


@pytest.fixture(scope="module")
def report(spoken, small, photographs, tmp_path_factory) -> Path:
    """The folder of a report of all checks."""
    out = tmp_path_factory.mktemp("pseudo") / "report"
    files = ["--arch", small.arch, "--preprocess", str(small.preprocess_file), "--data", str(photographs)]
    quick = ["-o", "synthesis.most=2", "-o", "synthesis.steps=3", "-o", "synthesis.natural_steps=3", "--samples", "2"]
    asked = [*files, *quick, "--format", "html,summary", "--lang", PSEUDO, "--out", str(out), "-q"]
    assert main(["run", str(small.checkpoint), *asked]) in (0, 1)
    return out


class Texts(HTMLParser):
    """What a reader of the page meets: text, and what is read aloud, with where it stands.

    Settings, versions and checksums, which stand in code, are left out.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.met: list[tuple[str, str]] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _SHOWN or (tag == "dialog" and name.startswith("data-")):
                self.met.append((f"{tag} {name}", value or ""))
        if tag not in _EMPTY:
            self.inside.append(" ".join([tag, *(value or "" for name, value in attrs if name == "class")]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            while self.inside.pop().split()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "script", "div fact code", "div code"} & set(self.inside):
            self.met.append((" > ".join(self.inside[-3:]), data.strip()))


def known(audit: Audit) -> set[str]:
    """Return the names that stand in the texts of a report as they are."""
    facts, checks = audit.provenance, plugins.load().checks
    names = {*NAMES, *facts.data.classes, facts.data.name, facts.checkpoint.name, facts.architecture.name}
    names |= {answer.file for answer in audit.recorded.answers}
    names |= {word for layer in facts.architecture.layers for word in (layer.name, layer.type)}
    names |= {f"{name}.{option}" for name, check in checks.items() for option in check.options}
    names |= {finding.rule for finding in audit.findings} | {facts.device, facts.started}
    names |= {rule for result in audit.results for rule in result.rules}
    names |= {mark[:length] for mark in (facts.checkpoint.sha256, facts.data.fingerprint) for length in (12, 16, 64)}
    with language.speaking(PSEUDO):
        names.add(phrases.date(facts.started))
    return names - {""}


def wholly_known(audit: Audit) -> set[str]:
    """Return what may be a text of its own, or begin one, but is a word of English elsewhere: checks, and steps."""
    steps = next(f.value for card in cards.overview(audit) for f in card.facts if f.value.startswith("resize"))
    return {result.check for result in audit.results} | {*audit.provenance.preprocess, "rgb", "bilinear", steps}


class Foreign:
    """Finds what nobody marked: the letters that are in no name, number or translation."""

    def __init__(self, *audits: Audit, places: Sequence[Path] = ()) -> None:
        shortened = {"/".join(("…", *place.parts[-2:])) for place in places}
        names = {*map(str, places), *shortened}.union(*map(known, audits))
        self._names = re.compile(rf"(?<![A-Za-z])(?:{any_of(names)})(?![A-Za-z])")
        self._first = re.compile(rf"⟦?(?:{any_of(set().union(*map(wholly_known, audits)))})(?= ·|:|$)")

    def __call__(self, text: str) -> str:
        text = self._names.sub("", self._first.sub("", text, count=1) if self._first.match(text) else text)
        text = re.sub(r"\{\w+\}|(?<=[0-9])e[-−+]?(?=[0-9])|(?<=[0-9] )x(?= [0-9])", "", text)
        return " ".join(re.findall(r"[A-Za-z]+", text))


def any_of(names: set[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def untranslated(page: str, *audits: Audit, places: Sequence[Path] = ()) -> list[tuple[str, str, str]]:
    """Return where something stands that was not marked, what it is, and the text around it."""
    foreign, texts = Foreign(*audits, places=places), Texts(page).met
    assert len(texts) > 50
    return sorted({(where, foreign(text), text[:200]) for where, text in texts if foreign(text)})


def test_an_english_word_is_found_wherever_it_stands(report):
    foreign = Foreign(read(report))
    assert foreign("filters") == foreign("⟦filters: ⟦слова⟧⟧") == foreign("⟦слова⟧ cat/1.png, 1e−05, 8 x 3") == ""
    assert foreign("the filters") == "the filters"
    assert foreign("⟦слова: no images⟧") == "no images"


def test_no_text_of_the_page_stands_there_untranslated(report):
    assert untranslated((report / "report.html").read_text(), read(report)) == []


def test_no_text_on_paper_stands_there_untranslated(report):
    audit = read(report)
    with language.speaking(PSEUDO):
        page = templates.render("print.html", page_of(audit, PRINT, Album()), (), style="")
        assert untranslated(page, audit) == []


def test_no_text_of_the_summary_stands_there_untranslated(report):
    lines = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render((report / "summary.md").read_text())
    assert untranslated(lines, read(report)) == []


def test_no_text_of_a_comparison_stands_there_untranslated(report, tmp_path):
    """Of two audits between which much has changed: images, answers, verdicts, channels, preprocessing."""
    record = json.loads((report / "audit.json").read_text())
    record["provenance"]["preprocess"]["scale"] = 255
    record["provenance"]["data"]["fingerprint"] = "0" * 64
    for place, answer in enumerate(record["recorded"]["answers"]):
        answer[3] = (answer[3] + place % 2) % 4
    for name in record["recorded"]["silent"]:
        record["recorded"]["silent"][name] = [0, 1]
    for result in record["results"]:
        for piece in result["evidence"]:
            if piece["kind"] == "finding" and piece["value"] is not None:
                piece["value"], piece["verdict"] = 2 * piece["value"] + 0.1, "fail"
    later, out = tmp_path / "later", tmp_path / "out"
    later.mkdir()
    (later / "audit.json").write_text(json.dumps(record))
    asked = ["compare", str(report), str(later), "--format", "html", "--out", str(out), "-q"]
    assert main([*asked, "-o", "baseline.few=3"]) in (0, 1)
    page = (out / "report.html").read_text()
    assert untranslated(page, read(report), read(out), places=(later, report)) == []


def test_methods_keep_their_names_in_the_record_for_audits_in_two_languages_are_compared_by_them(report):
    judged = {finding.subject for finding in read(report).findings if finding.rule == "trust.randomization"}
    assert {"gradient", "guided backprop", "guided Grad-CAM"} <= judged


def test_the_page_says_which_language_it_is_in(report):
    assert f'<html lang="{PSEUDO}">' in (report / "report.html").read_text()
