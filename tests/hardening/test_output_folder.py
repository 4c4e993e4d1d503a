"""The output folder: kills at every moment, full disks, two audits at once, other people's files, hostile lists."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from auditor import report
from auditor.errors import OutputError
from auditor.report import folder as place
from auditor.report import journal
from auditor.results import Verdict
from tests import networks
from tests.hardening import killing
from tests.report.sample_audits import audit, predictions

SHM = Path("/dev/shm")  # noqa: S108 - files there need not wait for a disk
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
OLD, NEW = audit(predictions()), audit(predictions(Verdict.PASS))
LIGHT = ("json", "junit", "summary")


@pytest.fixture
def quick(tmp_path):
    """A folder in main memory if there is room, because these tests write many small files."""
    if not (SHM.is_dir() and os.access(SHM, os.W_OK)):
        yield tmp_path
        return
    folder = SHM / f"auditor-tests-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def auditor(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return command_line


def refused(ended, *words):
    code, out, err = ended
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_kill_before_any_change_of_a_file_or_at_a_random_moment_leaves_one_whole_report(quick):
    command = [sys.executable, "-m", "tests.hardening.killing", str(quick)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills = dict(line.split() for line in done.stdout.splitlines())
    assert {name for name in kills if int(kills[name]) > 15} == {"written", "begun", "rendered", "random"}


def test_an_audit_that_began_and_died_leaves_no_result_and_loses_none(auditor, tmp_path):
    report.write(OLD, tmp_path / "r", formats=LIGHT)
    before = tree(tmp_path / "r")
    with suppress(MemoryError), place.claimed(tmp_path / "r") as claim:
        claim.begin()
        raise MemoryError
    assert {path.name for path in (tmp_path / "r").iterdir()} == {".auditor"}
    assert tree(tmp_path / "r/.auditor/previous") == before
    assert "previous/ is the report" in (tmp_path / "r/.auditor/README.txt").read_text()
    refused(auditor("render", "r"), "is not a report", "the report before it is in r/.auditor/previous")
    refused(auditor("compare", "r", "r"), "the report before it is in r/.auditor/previous")
    assert report.read(tmp_path / "r/.auditor/previous") == OLD
    report.write(NEW, tmp_path / "r", formats=LIGHT)
    assert not (tmp_path / "r/.auditor").exists()


def test_a_run_that_is_refused_leaves_the_older_report_where_it_is(auditor, tmp_path):
    report.write(OLD, tmp_path / "r", formats=LIGHT)
    before = tree(tmp_path / "r")
    refused(auditor("run", "none.pt", "--out", "r"), "none.pt")
    assert tree(tmp_path / "r") == before


def test_of_two_audits_into_one_folder_the_second_is_refused(auditor, tmp_path):
    report.write(OLD, tmp_path / "r", formats=LIGHT)
    before = tree(tmp_path / "r")
    code = (
        "import sys; from pathlib import Path; from auditor.report.folder import claimed\n"
        "with claimed(Path('r')): print('held', flush=True); sys.stdin.read()\n"
    )
    holding = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holding.stdout.readline()
    refused(auditor("run", "none.pt", "--out", "r"), "another audit is writing into r")
    refused(auditor("render", "r", "--format", "summary"), "another audit is writing into r")
    assert tree(tmp_path / "r") == before
    holding.send_signal(signal.SIGKILL)
    holding.communicate()
    assert auditor("render", "r", "--format", "summary")[0] == 0


def test_a_forked_process_does_not_hold_the_folder_of_its_dead_parent(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from auditor.report.folder import claimed\n"
        "with claimed(Path('r')):\n"
        "    if os.fork() == 0: print(os.getpid(), flush=True); time.sleep(60)\n"
        "    os.kill(os.getpid(), 9) if sys.stdin.read() == '' else None\n"
    )
    holding = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(holding.stdout.readline())
    holding.stdin.close()
    holding.wait()
    try:
        with place.claimed(tmp_path / "r"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        holding.stdout.close()


FOREIGN = {
    "a page": ("report.html", "file"),
    "a PDF": ("report.pdf", "file"),
    "a summary for decision makers": ("summary.pdf", "file"),
    "a JUnit file": ("junit.xml", "file"),
    "a summary": ("summary.md", "file"),
    "a SARIF file": ("report.sarif", "file"),
    "a folder called like a page": ("report.html", "folder"),
    "a link called like a page": ("report.html", "link"),
    "a file called like the folder of pictures": ("evidence", "file"),
    "a link called like the folder of pictures": ("evidence", "link"),
    "a link called like the folder of arrays": ("arrays", "link"),
    "an array": ("arrays/maps.safetensors", "file"),
}


def laid(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif kind == "link":
        (path.parent.parent / "elsewhere").mkdir()
        (path.parent.parent / "elsewhere/mine.txt").write_text("mine")
        path.symlink_to(path.parent.parent / "elsewhere")
    else:
        path.write_text("mine")


@pytest.mark.parametrize("beside", ["a report", "nothing"])
@pytest.mark.parametrize("case", FOREIGN)
def test_somebody_else_s_file_is_refused_before_the_audit_and_left_alone(auditor, tmp_path, case, beside):
    name, kind = FOREIGN[case]
    (tmp_path / "r").mkdir()
    if beside == "a report":
        report.write(audit(), tmp_path / "r", formats=("json",))
        if name == "evidence":
            shutil.rmtree(tmp_path / "r/evidence")
    laid(tmp_path / "r" / name, kind)
    before = tree(tmp_path)
    refused(
        auditor("run", "none.pt", "--out", "r"),
        name.partition("/")[0],
        "no audit wrote it" if beside == "nothing" else "which no audit wrote",
    )
    assert tree(tmp_path) == before


KEPT = [
    "notes.txt",
    "evidence/notes.txt",
    "evidence/predictions/mine.png",
    "evidence/maps",
    "arrays/mine.npz",
    "evidence/predictions/which-classes.png",
    "previous/audit.json",
    ".auditor-notes/plan.txt",
    "sub/report.html",
]


def test_a_user_s_own_files_stay_whatever_is_written(tmp_path):
    full = killing.OLD
    report.write(NEW, tmp_path, formats=LIGHT)
    for name in KEPT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for number in range(4):
        report.write((full, NEW)[number % 2], tmp_path, formats=LIGHT)
        with place.claimed(tmp_path) as claim:
            claim.begin()
            report.write(full, tmp_path, formats=("html", *LIGHT), claim=claim)
        report.render(tmp_path, formats=("summary", "sarif"))
        assert {name: (tmp_path / name).read_text() for name in KEPT} == {name: name for name in KEPT}
        assert report.read(tmp_path) == full
    report.write(NEW, tmp_path, formats=("json",))
    assert set(tree(tmp_path)) == {*KEPT, "audit.json"}


def test_a_picture_avoids_the_name_of_a_user_s_file(tmp_path):
    report.write(killing.OLD, tmp_path / "a", formats=("json",))
    (picture, *_) = sorted(name for name in tree(tmp_path / "a") if name.startswith("evidence/"))
    report.write(NEW, tmp_path / "b", formats=("json",))
    (tmp_path / "b" / picture).parent.mkdir(parents=True)
    (tmp_path / "b" / picture).write_text("mine")
    report.write(killing.OLD, tmp_path / "b", formats=("json",))
    assert (tmp_path / "b" / picture).read_text() == "mine"
    assert report.read(tmp_path / "b") == killing.OLD


def test_a_plugin_s_format_never_replaces_a_user_s_file(tmp_path):
    def save(given, folder):
        (folder / "notes.txt").write_text("of the plugin")

    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"contains 'notes\.txt', which no audit wrote"):
        report.write(NEW, tmp_path, formats=("json", "notes"), extra={"notes": save})
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert report.read(tmp_path) == NEW


def test_what_a_plugin_s_format_wrote_goes_with_the_report(tmp_path):
    def save(given, folder):
        (folder / "pages").mkdir()
        (folder / "pages/one.txt").write_text("of the plugin")

    report.write(OLD, tmp_path, formats=("json", "pages"), extra={"pages": save})
    assert (tmp_path / "pages/one.txt").exists()
    report.write(NEW, tmp_path, formats=("json",))
    assert set(tree(tmp_path)) == {"audit.json"}


def test_of_a_report_without_a_list_the_known_files_are_replaced(tmp_path):
    report.write(killing.OLD, tmp_path, formats=("html", *LIGHT))
    document = json.loads((tmp_path / "audit.json").read_text())
    del document["files"]
    (tmp_path / "audit.json").write_text(json.dumps(document))
    (tmp_path / "evidence/mine.png").write_text("mine")
    report.write(NEW, tmp_path, formats=("json",))
    assert set(tree(tmp_path)) == {"audit.json", "evidence/mine.png"}


def test_what_an_older_version_left_when_it_was_killed_is_put_back(tmp_path):
    report.write(killing.OLD, tmp_path, formats=LIGHT)
    before = tree(tmp_path)
    stage = tmp_path / ".auditor-a1b2c3d4"
    (stage / ".old-e5f6a7b8").mkdir(parents=True)
    for path in [path for path in tmp_path.iterdir() if not path.name.startswith(".")]:
        path.rename(stage / ".old-e5f6a7b8" / path.name)
    (tmp_path / "junit.xml").write_text("half")
    place.recover(tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["../victim.txt", "a/../../victim.txt", "/VICTIM", "link/victim.txt", ".git/config", "", ".", "..", "\0", "a\0b"],
)
def test_a_stranger_s_list_of_files_reaches_nothing_outside_of_the_report(tmp_path, name):
    (tmp_path / "victim.txt").write_text("mine")
    (tmp_path / "r/.git").mkdir(parents=True)
    (tmp_path / "r/.git/config").write_text("mine")
    (tmp_path / "r/link").symlink_to(tmp_path)
    name = name.replace("/VICTIM", str(tmp_path / "victim.txt"))
    report.write(OLD, tmp_path / "r", formats=("json",))
    document = json.loads((tmp_path / "r/audit.json").read_text())
    (tmp_path / "r/audit.json").write_text(json.dumps(document | {"files": ["audit.json", name]}))
    report.write(NEW, tmp_path / "r", formats=("json",))
    for moves in ({"remove": [name], "add": [name]}, {"retire": [name]}, {"retire": name}, [name], name):
        (tmp_path / "r/.auditor/new").mkdir(parents=True, exist_ok=True)
        (tmp_path / "r/.auditor/journal.json").write_text(json.dumps(moves))
        place.recover(tmp_path / "r")
    assert (tmp_path / "victim.txt").read_text() == "mine"
    assert (tmp_path / "r/.git/config").read_text() == "mine"
    assert report.read(tmp_path / "r") == NEW


@pytest.mark.parametrize("hidden", [".auditor", ".auditor/new", ".auditor/previous"])
def test_a_stranger_s_link_takes_nothing_from_elsewhere(tmp_path, hidden):
    report.write(OLD, tmp_path / "r", formats=("json",))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret.txt").write_text("mine")
    if hidden != ".auditor":
        (tmp_path / "r/.auditor").mkdir()
        (tmp_path / "r/.auditor/journal.json").write_text(json.dumps({"add": ["secret.txt"], "remove": []}))
    else:
        (tmp_path / "elsewhere/journal.json").write_text(json.dumps({"add": ["secret.txt"], "remove": []}))
    (tmp_path / "r" / hidden).symlink_to(tmp_path / "elsewhere")
    place.recover(tmp_path / "r")
    assert (tmp_path / "elsewhere/secret.txt").read_text() == "mine"
    assert not (tmp_path / "r/secret.txt").exists()


UNUSABLE = {
    "a name of 300 letters": "x" * 300,
    "a path of 5,000 letters": "/".join(["deep"] * 1000),
    "a file": "file",
    "a folder in a file": "file/r",
    "a link to nowhere": "dangling",
    "a link to itself": "circle",
    "a folder behind a link to itself": "circle/r",
    "a device": "/dev/null",
    "a folder of the system": "/proc/r",
}


@pytest.mark.parametrize("command", ["run", "compare", "templates"])
@pytest.mark.parametrize("case", UNUSABLE)
def test_an_output_folder_that_can_not_be_is_one_line(auditor, tmp_path, case, command):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    (tmp_path / "circle").symlink_to("circle")
    report.write(OLD, tmp_path / "a", formats=("json",))
    before = tree(tmp_path)
    arguments = {"run": ["none.pt", "--out"], "compare": ["a", "a", "--out"], "templates": ["--export"]}[command]
    code, _, err = auditor(command, *arguments, UNUSABLE[case])
    assert code == 4
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "can't write into" in err or "can't be a path" in err
    assert tree(tmp_path) == before


@pytest.fixture
def tiny_disk(tmp_path):
    if not ROOT:
        pytest.skip("only root may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("free", [0, 4, 8, 16, 24, 40])
def test_a_full_disk_is_one_line_and_loses_no_report(auditor, tiny_disk, tmp_path, free):
    report.write(killing.OLD, tmp_path / "full", formats=("html", "json"))
    report.write(NEW, tiny_disk / "r", formats=("json",))
    before = tree(tiny_disk / "r")
    left = shutil.disk_usage(tiny_disk).free - free * 1024
    (tiny_disk / "filler").write_bytes(b"x" * max(0, left))
    with pytest.raises(OutputError, match="No space left on device"):
        report.write(killing.OLD, tiny_disk / "r", formats=("html", "json", "junit"))
    assert tree(tiny_disk / "r") == before
    (tiny_disk / "filler").unlink()
    report.write(OLD, tiny_disk / "r", formats=("json",))
    assert report.read(tiny_disk / "r") == OLD


CHECK = '''
from pathlib import Path
from auditor import Check, Finding, Verdict

@Check
def mine(context):
    """Is the older result out of the way?"""
    left = sorted(path.name for path in Path(%r).iterdir() if not path.name.startswith("."))
    yield Finding("mine.left", Verdict.PASS if not left else Verdict.FAIL, str(left))
    Path(%r).joinpath("filler").write_bytes(b"x" * %d)
'''


@pytest.fixture
def net(tmp_path):
    networks.write(tmp_path / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    return ["net.pt", "--arch", "tiny.py:Tiny", "--check", "mine"]


def test_no_verdict_is_printed_that_a_full_disk_could_not_save(auditor, tiny_disk, tmp_path, net):
    report.write(OLD, tiny_disk / "r", formats=("json", "junit"))
    before = tree(tiny_disk / "r")
    left = shutil.disk_usage(tiny_disk).free - 4096
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tiny_disk / "r"), str(tiny_disk), left))
    code, out, err = auditor("run", *net, "--out", tiny_disk / "r", "--format", "json,junit")
    assert code == 4
    assert "verdict" not in out
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.splitlines()[-1]]
    assert "No space left on device" in err
    assert ".auditor/previous" in err
    assert tree(tiny_disk / "r/.auditor/previous") == before
    assert {path.name for path in (tiny_disk / "r").iterdir()} == {".auditor"}
    (tiny_disk / "filler").unlink()
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tiny_disk / "r"), str(tiny_disk), 0))
    code, out, _ = auditor("run", *net, "--out", tiny_disk / "r", "--format", "json,junit")
    assert code == 0
    assert not (tiny_disk / "r/.auditor").exists()


def test_the_older_report_is_out_of_the_way_when_the_first_check_begins(auditor, tmp_path, net):
    report.write(OLD, tmp_path / "r", formats=LIGHT)
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tmp_path / "r"), str(tmp_path), 0))
    code, out, _ = auditor("run", *net, "--out", "r", "--format", "json")
    assert code == 0, out
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"audit.json"}


@pytest.mark.slow
def test_an_output_on_a_full_disk_costs_neither_the_report_nor_the_exit_code(tmp_path, net):
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tmp_path), str(tmp_path), 0))
    command = [sys.executable, "-m", "auditor", "run", *net, "--out", "r", "--format", "json"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "warning: can't print: No space left on device; what is printed from here on is lost\n"
    assert done.returncode == 1
    assert report.read(tmp_path / "r").verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", ["full", "fifo", "folder"])
def test_a_step_summary_that_can_not_be_written_is_a_warning(auditor, tmp_path, net, monkeypatch, kind):
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", {"full": "/dev/full", "fifo": "fifo", "folder": "."}[kind])
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tmp_path / "none"), str(tmp_path), 0))
    (tmp_path / "none").mkdir()
    code, out, err = auditor("run", *net, "--out", "r", "--format", "json")
    assert code == 0
    assert "verdict: PASS" in out
    assert err.startswith("warning: can't append the summary to ")
    assert err.count("\n") == 1


def test_a_folder_that_can_only_be_read_is_one_line_and_a_baseline_still(auditor, tiny_disk, tmp_path):
    report.write(OLD, tiny_disk / "r", formats=("json",))
    (tiny_disk / "r/.auditor").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    refused(auditor("run", "none.pt", "--out", tiny_disk / "r"), "Read-only file system")
    refused(auditor("run", "none.pt", "--out", tiny_disk / "new"), "Read-only file system")
    refused(auditor("render", tiny_disk / "r"), "Read-only file system")
    assert auditor("compare", tiny_disk / "r", tiny_disk / "r")[0] == 0


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_leaves_no_result_of_another_run(tmp_path, net):
    """The command as it is used, killed at moments from the import to the end."""
    (tmp_path / "auditfile.py").write_text(CHECK % (str(tmp_path / "r"), str(tmp_path), 0))
    command = [sys.executable, "-m", "auditor", "run", *net, "--out", "r", "--format", "json,junit,summary"]
    for moment in (0.2, 0.8, 1.2, 1.6, 2.0, 2.4, 3.0):
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        report.write(killing.OLD, tmp_path / "r", formats=LIGHT)
        before = tree(tmp_path / "r")
        running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            running.wait(moment)
        running.kill()
        begun = b"checkpoint" in running.communicate()[0]
        assert not begun or not tree(tmp_path / "r").items() & before.items()
        place.recover(tmp_path / "r")
        kept = journal.previous(tmp_path / "r")
        assert tree(kept or tmp_path / "r") == before or report.read(tmp_path / "r").results[0].check == "mine"
        report.write(NEW, tmp_path / "r", formats=LIGHT)
        assert report.read(tmp_path / "r") == NEW
