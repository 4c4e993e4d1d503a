"""Settings and plugins that nobody named: from which folders they are taken, whose they may be, and what is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import auditor as package
from auditor import plugins
from auditor.config import file, lookup
from auditor.errors import UsageError
from tests import networks
from tests.audits import record

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
OTHER = 12345  # a user and a group that nobody here has
needs_root = pytest.mark.skipif(not ROOT, reason="only root may give files away")

PLUGIN = '''
from pathlib import Path
Path({marker!r}).touch()

from auditor import Check, Finding, Verdict

@Check
def mine(context):
    """Was it loaded?"""
    yield Finding("mine.loaded", Verdict.PASS, "yes")
'''


class Tree:
    """Folders `outer/project/inner`; the working directory is `inner`. The marker appears if a plugin runs."""

    def __init__(self, base):
        self.base = base
        self.outer, self.project, self.inner = base / "o", base / "o/project", base / "o/project/inner"
        self.marker = base / "marker"
        self.inner.mkdir(parents=True)

    def plugin(self, folder):
        (folder / "auditfile.py").write_text(PLUGIN.format(marker=str(self.marker)))

    def settings(self, folder, text="seed = 7\n", name="auditor.toml"):
        (folder / name).write_text(text)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    made = Tree(tmp_path)
    monkeypatch.chdir(made.inner)
    return made


@pytest.fixture
def auditor(command_line):
    return command_line


def refused(ended, *words):
    code, out, err = ended
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert len(err) < 1000
    assert all(word in err for word in words), err


ROOTS = {
    "a repository of git": lambda folder: (folder / ".git").mkdir(),
    "a work tree of git": lambda folder: (folder / ".git").write_text("gitdir: elsewhere"),
    "a repository of Mercurial": lambda folder: (folder / ".hg").mkdir(),
    "a project of Python": lambda folder: (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n"),
    "a folder with settings": lambda folder: (folder / "auditor.toml").write_text(""),
}


@pytest.mark.parametrize("root", ROOTS)
def test_the_search_ends_at_the_root_of_the_project(tree, root):
    ROOTS[root](tree.project)
    tree.plugin(tree.outer)
    tree.settings(tree.outer)
    (tree.outer / ".git").mkdir()
    assert file.find().table == {}
    assert "mine" not in plugins.load().checks
    assert not tree.marker.exists()


@pytest.mark.parametrize("root", ROOTS)
def test_what_lies_at_the_root_of_the_project_is_read(tree, root):
    ROOTS[root](tree.project)
    tree.plugin(tree.project)
    assert "mine" in plugins.load().checks


def test_without_a_root_only_the_working_directory_is_looked_at(tree):
    tree.plugin(tree.project)
    assert "mine" not in plugins.load().checks
    tree.plugin(tree.inner)
    assert "mine" in plugins.load().checks


@pytest.mark.parametrize("home", ["o/project", "link"])
def test_the_search_never_leaves_the_home_folder(tree, monkeypatch, home):
    (tree.base / "link").symlink_to(tree.project)
    monkeypatch.setenv("HOME", str(tree.base / home))
    (tree.outer / ".git").mkdir()
    tree.plugin(tree.outer)
    tree.settings(tree.outer)
    assert file.find().table == {}
    assert "mine" not in plugins.load().checks


@needs_root
def test_the_search_ends_where_the_owner_of_the_folders_changes(tree):
    (tree.outer / ".git").mkdir()
    tree.plugin(tree.outer)
    tree.settings(tree.outer)
    os.chown(tree.outer, OTHER, OTHER)
    assert file.find().table == {}
    assert "mine" not in plugins.load().checks


@needs_root
def test_a_mark_of_another_user_makes_no_root(tree):
    (tree.outer / ".git").mkdir()
    os.chown(tree.outer / ".git", OTHER, OTHER)
    tree.plugin(tree.outer)
    assert "mine" not in plugins.load().checks


CHANGES = {
    "owned by another user": (lambda path, folder: os.chown(path, OTHER, 0), "belongs to another user", "chown"),
    "changed by everybody": (lambda path, folder: path.chmod(0o666), "can be changed by everybody", "chmod go-w"),
    "changed by another group": (
        lambda path, folder: (os.chown(path, 0, OTHER), path.chmod(0o664)),
        "can be changed by the group 12345",
        "chmod go-w",
    ),
    "in a folder that everybody changes": (
        lambda path, folder: folder.chmod(0o777),
        "can be changed by everybody",
        "chmod go-w",
    ),
    "in a folder that another group changes": (
        lambda path, folder: (os.chown(folder, 0, OTHER), folder.chmod(0o775)),
        "can be changed by the group 12345",
        "chmod go-w",
    ),
    "a link to a file of another user": (
        lambda path, folder: linked(path, lambda target: os.chown(target, OTHER, 0)),
        "belongs to another user",
        "chown",
    ),
    "a link into a folder that everybody changes": (
        lambda path, folder: linked(path, lambda target: target.parent.chmod(0o777)),
        "can be changed by everybody",
        "chmod go-w",
    ),
}


def linked(path, change):
    target = path.parents[3] / f"elsewhere-{path.name}" / path.name
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to(target)
    change(target)


@needs_root
@pytest.mark.parametrize("name", ["auditfile.py", "auditor.toml", "pyproject.toml"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_somebody_else_can_change_is_refused_and_not_run(tree, auditor, change, name):
    (tree.project / ".git").mkdir()
    if name == "auditfile.py":
        tree.plugin(tree.inner)
    else:
        tree.settings(tree.inner, "[tool.auditor]\nseed = 7\n" if name == "pyproject.toml" else "seed = 7\n", name)
    act, *words = CHANGES[change]
    act(tree.inner / name, tree.inner)
    remedy = "--no-plugins" if name == "auditfile.py" else "--config"
    for command in (["checks"], ["run", "net.pt"], ["inspect", "net.pt"], ["render", "r"], ["compare", "a", "b"]):
        refused(auditor(*command), name, remedy, *words)
    assert not tree.marker.exists()
    assert list(tree.inner.iterdir()) == [tree.inner / name]


@needs_root
def test_a_file_of_root_and_a_group_of_one_s_own_are_trusted(tree, monkeypatch):
    tree.plugin(tree.inner)
    (tree.inner / "auditfile.py").chmod(0o664)
    tree.inner.chmod(0o775)
    assert "mine" in plugins.load().checks
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    monkeypatch.setattr(os, "getegid", lambda: OTHER)
    assert "mine" in plugins.load().checks  # root may change everything anyway


@needs_root
def test_a_sticky_folder_for_everybody_is_no_danger_by_itself(tree):
    tree.plugin(tree.inner)
    tree.inner.chmod(0o1777)
    assert "mine" in plugins.load().checks
    os.chown(tree.inner / "auditfile.py", OTHER, OTHER)
    with pytest.raises(UsageError, match="belongs to another user"):
        plugins.load()


@needs_root
def test_a_project_of_another_user_without_settings_of_ours_is_nobody_s_business(tree):
    tree.settings(tree.inner, "[project]\nname = 'x'\n", "pyproject.toml")
    os.chown(tree.inner / "pyproject.toml", OTHER, OTHER)
    assert file.find().table == {}


@needs_root
def test_a_file_that_the_user_names_is_read_whoever_owns_it(tree, auditor):
    tree.settings(tree.inner, "seed = 'x'\n", "theirs.toml")
    os.chown(tree.inner / "theirs.toml", OTHER, OTHER)
    refused(auditor("run", "net.pt", "--config", "theirs.toml"), "theirs.toml: seed is 'x'")


def test_trust_is_not_taken_from_a_file_above_the_working_directory(tree, auditor):
    tree.settings(tree.project, "trust-checkpoint = true\nseed = 3\n")
    refused(auditor("run", "net.pt"), "../auditor.toml says trust-checkpoint = true", "--trust-checkpoint", "--config")
    refused(auditor("inspect", "net.pt"), "trust is not taken")
    refused(auditor("run", "net.pt", "--no-trust-checkpoint"), "net.pt")
    refused(auditor("run", "net.pt", "--trust-checkpoint"), "net.pt")
    refused(auditor("run", "net.pt", "--config", "../auditor.toml"), "net.pt")
    tree.settings(tree.project, "seed = 3\n")
    tree.settings(tree.inner, "trust-checkpoint = true\n")
    refused(auditor("run", "net.pt"), "net.pt")


def test_no_plugins_loads_nothing_but_the_built_in_checks(tree, auditor, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    tree.plugin(tree.inner)
    (tree.inner / "named.py").write_text(PLUGIN.format(marker=str(tree.marker)).replace("mine", "named"))
    tree.settings(tree.inner, "plugin = ['named']\n")

    def installed():
        raise AssertionError("an installed plugin was asked for")
        yield

    monkeypatch.setattr(plugins, "installed", installed)
    code, out, _ = auditor("checks", "--no-plugins")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} == set(plugins.load_built_in().checks)
    assert not tree.marker.exists()
    refused(
        auditor("run", "net.pt", "--no-plugins", "-p", "named"), "--no-plugins loads no plugin, but -p names 'named'"
    )
    refused(auditor("run", "net.pt", "--no-plugins"), "net.pt")
    refused(auditor("render", "r", "--no-plugins"), "r is not a report")
    assert not tree.marker.exists()


def test_one_line_names_what_was_loaded_and_the_report_keeps_it(tree, auditor):
    networks.write(tree.inner / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), tree.inner / "net.pt")
    tree.settings(tree.project, "seed = 3\nformat = ['json']\n")
    tree.plugin(tree.inner)
    command = ("run", "net.pt", "--arch", "tiny.py:Tiny", "--check", "weights")
    code, out, _ = auditor(*command)
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("loaded ")]
    assert line.split()[1] == "../auditor.toml,"
    assert line.endswith("auditfile.py")
    assert record()["provenance"]["settings"]["loaded"] == line.removeprefix("loaded").strip().split(", ")
    assert "loaded" not in auditor(*command, "-q")[1]
    assert "auditfile.py" not in auditor(*command, "--no-plugins")[1]
    assert record()["provenance"]["settings"]["loaded"] == ["../auditor.toml"]
    assert auditor("inspect", "net.pt", "--arch", "tiny.py:Tiny")[2].startswith("loaded ../auditor.toml, ")
    found = package.run("net.pt", arch="tiny.py:Tiny", check="weights")
    assert found.provenance.settings["loaded"][-1] == "auditfile.py"
    assert not any("auditor.toml" in name for name in found.provenance.settings["loaded"])


DEEP = 10_000
FILES = {
    "deep lists of TOML": ("auditor.toml", b"data = " + b"[" * DEEP + b"]" * DEEP),
    "deep tables of TOML": ("auditor.toml", b"x = " + b"{a=" * DEEP + b"1" + b"}" * DEEP),
    "a deep key of TOML": ("auditor.toml", b"preprocess." + b"a." * DEEP + b"b = 1"),
    "a key of half a million parts": ("auditor.toml", b"a." * 450_000 + b"b = 1"),
    "a key of many quoted parts": ("auditor.toml", b"'.#'.\"'.\" . " * 50_000 + b"b = 1"),
    "a key of many parts in a comment's place": ("auditor.toml", b"# '''\n" + b"a." * 50_000 + b"b = 1 # '''"),
    "many keys of many parts": ("auditor.toml", (b"a." * 31 + b"b = 1\n") * 10_000),
    "many keys of many parts, each with a beginning of its own": (
        "auditor.toml",
        b"".join(b"%d." % number + b"a." * 30 + b"b = 1\n" for number in range(1_000)),
    ),
    "a word of a million letters": ("auditor.toml", b"a" * 1_000_000 + b" = 1"),
    "quotes without end": ("auditor.toml", b"x = " + b"'''\"" * 200_000),
    "a deep header of TOML": ("auditor.toml", b"[checks." + b"a." * DEEP + b"b]"),
    "deep text in a project": ("pyproject.toml", b"x = " + b"[" * DEEP),
    "a deep key in a project": ("pyproject.toml", b"[tool.auditor.arch-arg]\n" + b"a." * DEEP + b"b = 1"),
    "deep JSON": ("--preprocess=p.json", b'{"mean": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "JSON cut off": ("--preprocess=p.json", b'{"mean": [1'),
    "JSON that is a list": ("--preprocess=p.json", b"[1, 2]"),
    "Latin-1": ("auditor.toml", 'title = "é"'.encode("latin-1")),
    "Latin-1 in a project": ("pyproject.toml", 'title = "é"'.encode("latin-1")),
    "UTF-16": ("auditor.toml", "seed = 1".encode("utf-16")),
    "a null character": ("auditor.toml", b"seed = 1\0"),
    "a null character in a path": ("auditor.toml", b'data = "a\\u0000b"'),
    "a null character in the output folder": ("auditor.toml", b'out = "a\\u0000b"'),
    "a path of 5,000 letters": ("auditor.toml", b'out = "' + b"x/" * 2500 + b'"'),
    "a name of 300 letters": ("auditor.toml", b'templates = "' + b"x" * 300 + b'"'),
    "the home of nobody": ("auditor.toml", b'data = "~nobody-of-this-name/x"'),
    "a number of 10,000 digits": ("auditor.toml", b"seed = " + b"1" * DEEP),
    "a huge file": ("auditor.toml", 100_000_000),
    "a huge project": ("pyproject.toml", 100_000_000),
    "a huge file that is named": ("--config=c.toml", 100_000_000),
    "a huge plugin": ("auditfile.py", 100_000_000),
    "a FIFO": ("auditor.toml", "fifo"),
    "a FIFO as project": ("pyproject.toml", "fifo"),
    "a FIFO as plugin": ("auditfile.py", "fifo"),
    "a FIFO that is named": ("--config=c.toml", "fifo"),
    "a FIFO as preprocessing": ("--preprocess=p.toml", "fifo"),
    "a folder": ("auditor.toml", "folder"),
    "a folder as plugin": ("auditfile.py", "folder"),
    "a folder that is named": ("--config=c.toml", "folder"),
    "a link in a circle": ("auditor.toml", "circle"),
    "a link in a circle as plugin": ("auditfile.py", "circle"),
    "a link in a circle that is named": ("--config=c.toml", "circle"),
    "a link to nowhere": ("auditor.toml", "nowhere"),
    "a link to nowhere as plugin": ("auditfile.py", "nowhere"),
    "a link to a device": ("auditor.toml", "device"),
    "a link to a device as plugin": ("auditfile.py", "device"),
    "a plugin with a null character": ("auditfile.py", b"x = 1\0"),
    "a plugin that is no UTF-8": ("auditfile.py", b"x = '\xff'"),
    "a plugin that is nested too deep": ("auditfile.py", b"x = " + b"(" * 1000 + b")" * 1000),
    "a tool that is a number": ("pyproject.toml", b"[tool]\nauditor = 3"),
    "settings that are a list": ("--config=c.json", b"[1]"),
}
KINDS = {
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "circle": lambda path: path.symlink_to(path.name),
    "nowhere": lambda path: path.symlink_to("nowhere/at/all"),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_can_not_be_read_is_one_line(tree, auditor, case):
    name, made = FILES[case]
    path = tree.inner / name.rpartition("=")[2]
    if isinstance(made, bytes):
        path.write_bytes(made)
    elif isinstance(made, int):
        path.touch()
        os.truncate(path, made)
    else:
        KINDS[made](path)
    flags = [name] if name.startswith("--") else []
    refused(auditor("run", "net.pt", *flags))


@pytest.mark.parametrize(
    "flags",
    [
        ["--config", "x" * 300],
        ["--config", "x/" * 3000],
        ["--preprocess", "x" * 300],
        ["--templates", "x/" * 3000],
        ["--baseline", "x" * 300],
        ["--classes", "x/" * 3000],
        ["--out", "x" * 300],
        ["--data", "x/" * 3000],
        ["--data", "circle"],
        ["--baseline", "circle"],
        ["--templates", "circle"],
        ["--config", "circle"],
        ["--out", "circle"],
    ],
    ids=lambda flags: f"{flags[0]} {flags[1][:8]}",
)
def test_a_path_that_can_not_be_is_one_line(tree, auditor, flags):
    (tree.inner / "circle").symlink_to("circle")
    refused(auditor("run", "net.pt", *flags), flags[1][:50])


@pytest.mark.parametrize("command", [["render"], ["compare", "a"]])
@pytest.mark.parametrize("path", ["x" * 300, "x/" * 3000, "circle", "circle/r", "/dev/null", "/dev/null/r"])
def test_a_report_that_can_not_be_is_one_line(tree, auditor, command, path):
    (tree.inner / "circle").symlink_to("circle")
    code, _, err = auditor(*command, path)
    assert code == 4
    assert err.count("\n") == 1


GONE = """
import os, sys, tempfile
from auditor.cli.commands import main
for arguments in (["checks"], ["run", "net.pt"], ["inspect", "net.pt"], ["render", "r"], ["compare", "a", "b"],
                  ["templates", "--export", "t"], ["run", "net.pt", "--no-plugins", "--config", "/dev/null"]):
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)
    assert main(arguments) == 4, arguments
"""


@pytest.mark.parametrize("home", [None, "/nowhere", ""])
def test_a_working_directory_that_is_gone_is_one_line(home):
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment |= {} if home is None else {"HOME": home}
    done = subprocess.run([sys.executable, "-c", GONE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("error: the working directory can't be used: ") for line in lines)


def test_the_folders_of_a_search_are_those_of_the_project(tree):
    assert lookup.folders(tree.inner) == (tree.inner,)
    (tree.project / ".git").mkdir()
    assert lookup.folders(tree.inner) == (tree.inner, tree.project)
