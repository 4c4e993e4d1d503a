"""What a report tells of the machine that made it, and of its user."""

import json
import shutil
import zlib
from contextlib import suppress

import pypdf
import pytest

from auditor.cli.commands import main
from auditor.report import privacy, read
from auditor.results import ArchitectureFacts, Audit, CheckpointFacts, DataFacts, Finding, Provenance, Result, Verdict
from tests import folders, networks

TELLTALE = "SECRETUSER"
PLUGIN = '''
from pathlib import Path

import numpy as np

from auditor import Check, Finding, Table, Verdict, hookimpl


@hookimpl
def auditor_formats():
    return {"text": lambda audit, folder: (folder / "audit.txt").write_text(repr(audit))}


@Check
def telltale(context):
    """Does it tell where it ran?"""
    here = Path(__file__).resolve()
    yield Finding("telltale.found", Verdict.WARN, f"{here} was read", subject=str(here), detail=f"see {here.parent}")
    yield Finding("telltale.spaces", Verdict.FAIL, f"can't read '{here.parent / 'my own folder' / 'a b.png'}'")
    yield Finding("telltale.user", Verdict.FAIL, "secretuser has no rights on secretuser@host")
    yield Table(f"Files of {here.parent}", str(here), ("file",), ((str(here),),))
    raise RuntimeError(f"no weights in {here.parent}/weights")
'''
FORMATS = "html,pdf,json,junit,summary,sarif,pdf-summary,text"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Reports of one audit in a folder of a telltale name: one redacted, one in full, one redacted from that."""
    home = tmp_path_factory.mktemp("base") / TELLTALE
    (home / "nets").mkdir(parents=True)
    photos = folders.noise(home / "my photos", ("cat", "dog", "fox", "owl"), 1, (40, 40))
    (photos / "cat" / "broken.png").write_bytes(b"none")
    networks.write(home / "nets" / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), home / "nets" / "net.pt")
    (home / "nets" / "auditfile.py").write_text(PLUGIN)
    (home / "nets" / "pre.toml").write_text("[preprocess]\nresize = 32\n")
    flags = ["--arch", f"{home}/nets/tiny.py:Tiny", "--data", str(photos), "--preprocess", f"{home}/nets/pre.toml"]
    flags += ["--check", "telltale", "--check", "predictions", "--check", "data", "--check", "checkpoint"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home / "nets")
        patch.setenv("HOME", str(home))
        patch.setenv("LOGNAME", "secretuser")
        assert main(["run", f"{home}/nets/net.pt", *flags, "--out", "full", "--format", "html,json"]) == 1
        flags += ["--redact", "--baseline", f"{home}/nets/full", "--format", FORMATS]
        assert main(["run", "net.pt", *flags, "--out", "redacted"]) == 1
        assert main(["render", "full", "--redact", "--out", "handed", "--format", FORMATS]) == 0
    out = tmp_path_factory.mktemp("moved")
    return {name: shutil.copytree(home / "nets" / name, out / name) for name in ("full", "redacted", "handed")}


def readable(path):
    """Return all bytes of a file, with its compressed streams, in lower case."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        reader = pypdf.PdfReader(path)
        content += repr(reader.metadata).encode() + (
            reader.xmp_metadata.stream.get_data() if reader.xmp_metadata else b""
        )
        content += "".join(page.extract_text() for page in reader.pages).replace("\n", "").encode()
    if path.suffix == ".png":
        for start in (at for at in range(len(content)) if content[at : at + 4] in (b"zTXt", b"iTXt")):
            with suppress(zlib.error):
                content += zlib.decompress(content[start + 4 :].split(b"\0", 2)[-1])
    return content.lower()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["redacted", "handed"])
def test_no_byte_of_a_redacted_report_names_the_folder_or_the_user(made, name):
    files = [path for path in made[name].rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "report.html",
        "report.pdf",
        "summary.pdf",
        "audit.json",
        "report.sarif",
        "audit.txt",
    }
    assert not [path for path in files if TELLTALE.lower().encode() in readable(path)]
    assert not [path for path in files if TELLTALE.lower() in str(path.relative_to(made[name])).lower()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["redacted", "handed"])
def test_a_redacted_report_says_so_and_keeps_what_was_found(made, name):
    text = (made[name] / "audit.json").read_text()
    record = json.loads(text)
    assert "Paths, names of users and hosts, and tracebacks were left out" in record["provenance"]["notes"][-1]
    assert "Traceback" not in text
    assert "auditfile.py was read" in text
    assert record["provenance"]["data"]["name"] == "my photos"
    assert record["provenance"]["settings"]["arch"] == "tiny.py:Tiny"
    assert record["provenance"]["data"]["skipped"][0]["file"] == "cat/broken.png"
    full = json.loads((made["full"] / "audit.json").read_text())
    names = [result["check"] for result in full["results"]]
    assert [result["check"] for result in record["results"]][: len(names)] == names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["redacted", "handed"])
def test_a_redacted_report_can_be_rendered_again_and_compared(made, name, command_line):
    assert command_line("render", made[name], "--format", "html,summary").code == 0
    assert command_line("render", made[name], "--format", "html", "--lang", "fr").code == 0
    assert "retirés de ce rapport" in (made[name] / "report.html").read_text()
    assert command_line("compare", made["full"], made[name]).code == 0
    assert privacy.redacted(read(made[name])) == read(made[name])


@pytest.mark.slow
def test_by_default_paths_are_relative_and_tracebacks_are_kept(made):
    text = (made["full"] / "audit.json").read_text()
    assert f"{TELLTALE}/nets" not in text
    assert "auditfile.py was read" in text
    assert "Traceback (most recent call last)" in text
    record = json.loads(text)
    assert record["provenance"]["settings"]["arch"] == "tiny.py:Tiny"
    assert record["provenance"]["data"]["name"].endswith(f"{TELLTALE}/my photos")


def audited(message, **facts):
    about = Provenance(CheckpointFacts("net.pt", "", 1), ArchitectureFacts("net", "", 1), DataFacts(1, **facts))
    return Audit(about, (Result("c", "?", (Finding("c.a", Verdict.FAIL, message),)),))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{here}/photos/cat.png", "photos/cat.png"),
        ("'{here}/photos/cat.png'", "'photos/cat.png'"),
        ("{here}", "."),
        ("{here}2/photos/cat.png", "…/photos/cat.png"),
        ("/opt/lib/python3/torch/nn.py:12", "…/torch/nn.py:12"),
        ("file:///opt/lib/python3/nn.py", "…/python3/nn.py"),
        ("C:\\Users\\ann\\nets\\net.pt", "…/nets/net.pt"),
        ("~ann/a/b/net.pt", "…/b/net.pt"),
        ("/data/photos", "/data/photos"),
        ("https://pytorch.org/docs/stable/nn.html", "https://pytorch.org/docs/stable/nn.html"),
        ("12 images/s, top-1/top-5, 1/2/3, n/a", "12 images/s, top-1/top-5, 1/2/3, n/a"),
        ("cat/dog/1.png and ../../x/y.png", "cat/dog/1.png and ../../x/y.png"),
    ],
)
def test_a_path_is_shown_relative_or_shortened(text, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = privacy.relative(audited(text.format(here=tmp_path)))
    assert found.findings[0].message == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/ann/photos/cat.png is empty", "…/cat.png is empty"),
        ("/srv/ann/photos is empty", "… is empty"),
        ("'/srv/my own/cat 1.png' is empty", "'…/cat 1.png' is empty"),
        ("C:\\Users\\ann\\net.pt", "…/net.pt"),
        ("../../ann/x/y.png", "…/y.png"),
        ("cat/dog/1.png", "cat/dog/1.png"),
        ("asked by ann@box1-host", "asked by …@…"),
        ("the annex of annie", "the annex of annie"),
        ("https://pytorch.org/docs/nn.html", "https://pytorch.org/docs/nn.html"),
        ("Traceback", "Traceback"),
    ],
)
def test_a_redacted_text_has_no_folder_and_no_name(text, shown, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.setattr("platform.node", lambda: "box1-host.example")
    assert privacy.redacted(audited(text)).findings[0].message == shown


def test_a_user_s_name_that_is_a_class_remains(monkeypatch):
    monkeypatch.setenv("LOGNAME", "cat")
    assert privacy.redacted(audited("a cat", classes=("cat", "dog"))).findings[0].message == "a cat"
