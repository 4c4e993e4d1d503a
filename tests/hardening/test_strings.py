"""Strings of strangers in all fields and on all outputs: none runs, is a command, or breaks a format."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pypdf
import pytest
import torch
from markdown_it import MarkdownIt
from PIL import Image

from auditor import report
from auditor.cli.commands import main
from auditor.cli.terminal import Terminal
from auditor.report.annotations import lines
from auditor.results import Audit, Exit
from tests.report import test_junit, test_sarif
from tests.report.sample_audits import HOSTILE, hostile
from tests.report.test_annotations import heard

FOR_TERMINALS = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;dG91Y2ggcmFu\x07",
    "\x1b]1337;File=name=eA==:AAAA\x07",
    "\x1bP$q\x1b\\",
    "\x9b31m",
    "fail\rpass",
    "fail\b\b\b\bpass",
    "a\nverdict: PASS",
    "a\r\nverdict: PASS",
    "a\x0bb\x0cc\x85d",
    "tab\there",
    "nul\0byte",
    "\u202egnp.exe",
    "\u2067mixed\u2069 \u200f",
    "pay\u200bpal\u2060\ufeff",
    "tags \U000e0001\U000e0041",
    "half \ud83d",
    "\u3164\u2800\u115f",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d" * 20,
    "[red]markup[/red] [link=http://example.org]x[/link]",
]
FOR_CI = [
    "::set-output name=a::b",
    "  ::error::x",
    "::add-mask::a",
    "::stop-commands::x",
    "a\n::error file=x::y",
    "a\r::error::y",
    "%0A::error::x",
    "##[error]x",
    "##[group]x",
    "##vso[task.complete result=Succeeded;]",
    "x ##vso[task.setvariable variable=a]b",
    "###vso[task.logissue]",
    "##teamcity[buildStatus status='SUCCESS']",
    "x ##teamcity[testFailed name='a']",
    "section_start:1560896352:x\r\x1b[0K",
    "section_end:1560896352:x\r\x1b[0K",
    "travis_fold:start:x\r\x1b[0K",
    "--- group",
    "+++ group",
    "~~~ group",
    "^^^ +++",
    "\x1b[8mha:AAAA\x1b[0m",
]
FOR_FORMATS = [
    '=HYPERLINK("http://example.org","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "![x](http://example.org/x.png)",
    "[x](javascript:alert(1))",
    "| a | b |\n|---|---|",
    "<details open><summary>x</summary>",
    "'; DROP TABLE audits; --",
    "$(touch ran) `touch ran` ; touch ran",
    "{{ cycler.__init__.__globals__.os.system('touch ran') }}",
    "{% import 'os' as os %}{# x #}",
    "{0.__class__.__mro__} {name!r:>10} %(x)s %n",
    "]]><x/><![CDATA[",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "<?xml version='1.0'?>",
    "../" * 8 + "etc/passwd",
    "NUL.txt:stream",
    "é" * 40_000,
]
STRINGS = [*FOR_TERMINALS, *FOR_CI, *FOR_FORMATS, *(text for text in HOSTILE if text.strip())]

SGR = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = re.compile(
    r"##(?:vso|teamcity|)\[|(?:section_(?:start|end)|travis_fold):\w|^\s*::|^\s*(?:---|\+\+\+|~~~|\^\^\^)(?:\s|$)",
    re.MULTILINE,
)
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def is_harmless(printed: str) -> bool:
    """Whether a terminal shows each letter as itself, and no line is a command of a CI server."""
    shown = SGR.sub("", printed)
    odd = {letter for letter in shown if not letter.isprintable() and letter not in "\n\u00a0\u200d\u200c"}
    odd -= {letter for letter in odd if letter.isspace() and ord(letter) > 0x1680}
    found = COMMANDS.search(shown)
    assert not odd, odd
    assert not found, shown[max(0, found.start() - 80) : found.end() + 80]
    return True


def everything() -> Audit:
    """Return an audit in which each string stands in each field."""
    first, *others = (hostile(text) for text in STRINGS)
    facts = first.provenance
    joined = " ".join(STRINGS)[:20_000]
    data = replace(facts.data, classes=tuple(STRINGS), skipped=tuple((text, text) for text in STRINGS), name=joined)
    about = replace(
        facts,
        checkpoint=replace(facts.checkpoint, name=joined),
        data=data,
        settings={text: [text] for text in STRINGS} | {"report": {"title": joined, "footer": joined, "logo": joined}},
        notes=tuple(STRINGS),
    )
    results = (*first.results, *(result for other in others for result in other.results))
    return replace(first, provenance=about, results=results, not_run=tuple(STRINGS))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strings")
    report.write(everything(), folder, formats=("html", "json", "junit", "summary", "sarif"))
    return folder


def test_there_are_enough_of_them():
    assert len(set(STRINGS)) > 110


@pytest.mark.slow
@pytest.mark.parametrize("color", [False, True])
def test_on_the_terminal_they_are_shown_with_escapes(color, capsys):
    audit = everything()
    checks = [SimpleNamespace(name=text) for text in STRINGS]
    terminal = Terminal(verbose=True, color=color, durations=5)
    terminal.begun(audit.provenance, checks)
    for check, result in zip(checks, audit.results, strict=True):
        terminal.checking(check)
        with terminal.working(2, "x") as seen:
            seen(1, check.name)
        terminal.checked(result)
    terminal.finished(audit, Exit.FAILED, {text: Path(text) for text in STRINGS})
    terminal.compared(audit, Exit.FAILED, {})
    out, err = capsys.readouterr()
    assert is_harmless(out)
    assert "\\x1b[2J" in out
    assert ("\x1b" in out) == color
    assert is_harmless(
        err.replace("\r", "")
        .replace("\x1b[2K", "")
        .replace("\x1b[1A", "")
        .replace("\x1b[?25l", "")
        .replace("\x1b[?25h", "")
    )


def test_as_annotations_each_is_one_command(written):
    for audit in (everything(), report.read(written)):
        found = lines(audit)
        assert [name for name, _, _ in heard("\n".join(found))] == [line[2:].partition(" ")[0] for line in found]
        assert {name for name, _, _ in heard("\n".join(found))} <= {"error", "warning"}
        assert not any(re.search(r"##\w*\[|[\x00-\x1f\x7f-\x9f\u202e]", line) for line in found)


def test_the_page_has_no_element_or_address_of_theirs(written):
    harmless = Tags((written / "report.html").read_text("utf-8"))
    assert harmless.count["script"] == 1
    assert not {"iframe", "object", "embed", "base", "form", "template", "math"} & harmless.count.keys()
    assert not [name for name in harmless.attributes if name.startswith("on") or name == "srcdoc"]
    assert not [link for link in harmless.links if not link.startswith(("#", "data:image/"))]


class Tags(HTMLParser):
    """The elements, attributes and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}
        self.links |= {
            value for name, value in attrs if name in ("href", "src", "action", "data", "poster", "xlink:href")
        }


def test_the_record_is_strict_json_and_is_read_back(written):
    json.loads((written / "audit.json").read_text("utf-8"), parse_constant=pytest.fail)
    again = report.read(written)
    texts = [finding.message for finding in again.findings]
    assert texts == STRINGS
    names = {path.relative_to(written).as_posix() for path in (written / "evidence").rglob("*")}
    assert all(re.fullmatch(r"[a-z0-9_./-]+", name) for name in names)


@pytest.mark.slow
def test_junit_and_sarif_are_valid_under_their_schemas(tmp_path):
    root = test_junit.saved(everything(), tmp_path)
    assert len(list(root.iter("testcase"))) == 2 * len(STRINGS)
    assert len(test_sarif.saved(everything(), tmp_path)["results"]) == len(STRINGS)


def test_the_summary_has_no_link_picture_or_element_of_theirs(written):
    tokens = [
        child for token in GITHUB.parse((written / "summary.md").read_text("utf-8")) for child in token.children or ()
    ]
    assert not [token for token in tokens if token.type in ("image", "link_open")]
    allowed = {"<code>", "</code>", "<sub>", "</sub>", "<br>"}
    assert {token.content for token in tokens if token.type == "html_inline"} <= allowed


@pytest.mark.slow
def test_the_pdf_has_no_script_link_or_attachment(tmp_path):
    audits = [hostile(text[:200]) for text in STRINGS[::12]]
    report.write(replace(audits[0], results=tuple(a.results[0] for a in audits)), tmp_path, formats=("pdf",))
    reader = pypdf.PdfReader(tmp_path / "report.pdf")
    assert "".join(page.extract_text() for page in reader.pages[:3])
    root = reader.trailer["/Root"]
    assert not {"/OpenAction", "/AA", "/JavaScript", "/EmbeddedFiles"} & {*root, *root.get("/Names", {})}
    for page in reader.pages:
        for annotation in page.get("/Annots", []):
            assert annotation.get_object().get("/A", {}).get("/S") in (None, "/GoTo")


NETWORK = """
import json
from pathlib import Path

from torch import nn

NAMES = json.loads(Path(__file__).with_name("names.json").read_text())


class Net(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Conv2d(3, 3, 1) for name in NAMES})
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        for layer in self.layers.values():
            x = x + 0.01 * layer(x)
        return self.head(x.mean((2, 3)))
"""
PLUGIN = """
import json
from pathlib import Path

from auditor import Check, Finding, Rule, Table, Verdict

TEXTS = json.loads(Path(__file__).with_name("texts.json").read_text())


def strings(context):
    for text in TEXTS:
        yield Finding("strings.found", Verdict.FAIL, text, subject=text, detail=text)
    yield Table(TEXTS[0], TEXTS[1], tuple(TEXTS), (tuple(TEXTS),))
    raise RuntimeError("\\\\n".join(TEXTS))


strings.__doc__ = " ".join(" ".join(TEXTS).splitlines())[:3000] + "?\\\\n\\\\n" + "\\\\n".join(TEXTS)[:20000]
strings = Check(strings)
""".replace("\\\\n", "\\n")


def as_file_name(text: str) -> str:
    """Return a name of a file that has as much of a string as it can."""
    name = text.replace("/", "\u2215").replace("\0", "").encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
    return name.strip().lstrip(".")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A network, data, settings and a plugin whose names are the strings."""
    folder = tmp_path_factory.mktemp("case")
    names = sorted({name for text in STRINGS if (name := as_file_name(text))})
    for number, name in enumerate(names):
        (folder / "data" / name).mkdir(parents=True)
        pixels = np.full((8, 8, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / "data" / name / f"{name[:60]}.png")
    (folder / "data" / names[0] / "\x1b[2J::error::broken.png").write_bytes(b"none")
    (folder / "names.json").write_text(json.dumps([name.replace(".", "_") for name in names]))
    (folder / "texts.json").write_text(json.dumps(STRINGS))
    (folder / "classes.json").write_text(json.dumps(names))
    (folder / "net.py").write_text(NETWORK)
    (folder / "auditfile.py").write_text(PLUGIN)
    space = {"__file__": str(folder / "net.py"), "__name__": "net"}
    exec(NETWORK, space)  # noqa: S102 - the text above
    torch.manual_seed(0)
    net = space["Net"](len(names))
    checkpoint = folder / "::error::##vso[task.complete]\x1b[31m net.pt"
    torch.save({"state_dict": net.state_dict(), **{text: text for text in STRINGS}}, checkpoint)
    title = json.dumps("\u202e::error::##vso[x] <script>alert(1)</script>")
    (folder / "auditor.toml").write_text(
        f"[report]\ntitle = {title}\nfooter = {title}\n[preprocess]\nresize = 8\ncrop = 8\n", encoding="utf-8"
    )
    return SimpleNamespace(folder=folder, checkpoint=checkpoint.name, classes=len(names))


@pytest.mark.slow
def test_from_files_and_plugins_they_reach_no_log_as_commands(case, monkeypatch, capfd):
    monkeypatch.chdir(case.folder)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    flags = ["--arch", "net.py:Net", "--arch-arg", f"num_classes={case.classes}", "--data", "data"]
    flags += ["--classes", "classes.json", "--format", "html,json,junit,summary,sarif"]
    flags += ["--check", "data", "--check", "checkpoint", "--check", "predictions", "--check", "strings", "-v"]
    ended = {
        "run": main(["run", case.checkpoint, *flags, "--out", "a"]),
        "again": main(["run", case.checkpoint, *flags, "--out", "b", "--baseline", "a", "--seed", "1"]),
        "compare": main(["compare", "a", "b", "-v", "--out", "c", "--format", "html,json"]),
        "inspect": main(["inspect", case.checkpoint, *flags[:4]]),
        "checks": main(["checks"]),
        "describe": main(["checks", "strings"]),
        "render": main(["render", "a", "--format", "html,summary"]),
        **{f"no {n}": main(["run", text]) for n, text in enumerate(STRINGS[:60])},
        **{f"check {n}": main(["run", case.checkpoint, "--check", text]) for n, text in enumerate(STRINGS)},
        **{f"flag {n}": main(["run", f"--{text}", text]) for n, text in enumerate(STRINGS)},
        **{f"verbose {n}": main(["compare", "a", "b", "-v", "-k", text]) for n, text in enumerate(STRINGS[:20])},
        **{f"traceback {n}": main(["render", "-v", text]) for n, text in enumerate(STRINGS[:60])},
    }
    out, err = capfd.readouterr()
    odd = {name: code for name, code in ended.items() if code != 4}
    assert odd == {"run": 1, "again": 1, "compare": 0, "inspect": 0, "checks": 0, "describe": 0, "render": 0}
    assert {name for name, _, _ in heard(out)} <= {"error", "warning"}
    assert is_harmless(err)
    ours = re.compile(r"^::(?:stop-commands::[0-9a-f]{32}|[0-9a-f]{32}::|(?:error|warning) title=.*)$", re.MULTILINE)
    assert is_harmless(ours.sub("", out))
    assert not (case.folder / "ran").exists()
    assert Tags((case.folder / "a" / "report.html").read_text("utf-8")).count["script"] == 1
    assert len(report.read(case.folder / "a").findings) > len(STRINGS)
