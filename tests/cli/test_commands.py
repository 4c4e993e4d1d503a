import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.plugins import load
from auditor.version import __version__

GREETING = '''
from auditor import Check, Finding, Share, Verdict

@Check
def greeting(context, *, limit: Share = 0.5, words: tuple[str, ...] = ("hello", "goodbye")):
    """Is anybody there?

    The more greetings the better.

    Args:
        limit: share of greetings under which it warns.

    Rules:
        greeting.silence: nobody answers; a warning.

    Source:
        Emily Post, Etiquette, 1922.
    """
    yield Finding("greeting.silence", Verdict.PASS, "yes")
'''
DESCRIBED = """\
greeting: Is anybody there?  [auditfile.py]

The more greetings the better.

Options
  limit = 0.5
      A number, from 0 to 1. Share of greetings under which it warns.
  words = ["hello", "goodbye"]
      A list, each text.

Rules
  greeting.silence
      nobody answers; a warning.

Source
  Emily Post, Etiquette, 1922.

Set them with -o greeting.limit=VALUE, or under [checks.greeting] in auditor.toml.
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def auditor(command_line):
    return command_line


def refused(auditor, *arguments, code=4):
    got, out, err = auditor(*arguments)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err.removeprefix("error: ").rstrip()


def test_tells_its_version(auditor):
    assert auditor("--version") == (0, f"auditor {__version__}\n", "")


def test_lists_every_check_with_its_question(auditor):
    code, out, err = auditor("checks")
    assert (code, err) == (0, "")
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert listed == {name: check.question for name, check in load().checks.items()}


def test_tells_all_about_one_check(auditor, here):
    (here / "auditfile.py").write_text(GREETING)
    assert auditor("checks", "greeting") == (0, DESCRIBED, "")


@pytest.mark.parametrize("name", load().checks)
def test_can_describe_every_check_there_is(auditor, name):
    code, out, _ = auditor("checks", name)
    assert code == 0
    assert all(option in out for option in load().checks[name].options)
    assert all(rule in out for rule in load().checks[name].rules)


def test_a_plugin_of_the_configuration_file_is_loaded_too(auditor, here, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (here / "my_greetings.py").write_text(GREETING)
    (here / "auditor.toml").write_text("plugin = ['my_greetings']")
    assert "greeting     Is anybody there?  [my_greetings]" in auditor("checks")[1]


def test_suggests_the_check_that_was_meant(auditor):
    assert refused(auditor, "checks", "wieghts") == "no check is called 'wieghts'; did you mean 'weights'?"


def test_suggests_the_flag_that_was_meant(auditor):
    assert "--data" in refused(auditor, "run", "net.pt", "--dta", "x")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], "Missing argument 'CHECKPOINT'"),
        (["run", "net.pt", "--batch-size", "0"], "--batch-size is '0', but has to be a whole number, from 1 to 65536"),
        (["run", "net.pt", "--device", "gpu"], "--device is 'gpu', but has to be auto, cpu, cuda, cuda:N or mps"),
        (["run", "net.pt", "-o", "weights"], "-o is 'weights', but has to be CHECK.OPTION=VALUE"),
        (["run", "net.pt", "-o", "wights.a=1"], "no check is called 'wights'; did you mean 'weights'?"),
        (["run", "net.pt", "-k", "weights or"], "-k 'weights or' is not an expression of names"),
        (["run", "net.pt", "--format", "docx"], "no report format is called 'docx'"),
        (["run", "net.pt", "-p", "no_such_plugin"], "plugin 'no_such_plugin' can't be imported"),
        (["run", "net.pt", "--config", "none.toml"], "none.toml can't be read: No such file or directory"),
        (["run", "net.pt", "--preprocess", "none.toml"], "none.toml can't be read: No such file or directory"),
        (["run", "none.pt"], "none.pt"),
        (["inspect", "none.pt"], "none.pt"),
        (["render", "nowhere"], "nowhere"),
        (["templates"], "Missing option '--export'"),
        (["audit"], "No such command 'audit'"),
    ],
)
def test_wrong_use_costs_one_line_and_leaves_nothing_behind(auditor, here, arguments, expected):
    assert expected in refused(auditor, *arguments)
    assert list(here.iterdir()) == []


def test_says_so_when_no_check_is_left(auditor):
    message = refused(auditor, "run", "net.pt", "-k", "nothing", code=5)
    assert message.startswith("-k 'nothing' selects no check")


def test_refuses_an_output_folder_that_is_a_file(auditor, here):
    (here / "report").write_text("mine")
    message = refused(auditor, "run", "net.pt", "--out", "report/net")
    assert message == "can't write into report/net: Not a directory; choose another folder with --out"
    assert (here / "report").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refuses_an_output_folder_that_is_not_writable(auditor, here):
    (here / "locked").mkdir(mode=0o500)
    assert "can't write into locked/net" in refused(auditor, "run", "net.pt", "--out", "locked/net")


def test_refuses_a_folder_in_which_somebody_else_s_report_lies(auditor, here):
    (here / "report.html").write_text("mine")
    assert "report.html" in refused(auditor, "run", "net.pt", "--out", here)
    assert (here / "report.html").read_text() == "mine"


def test_shows_the_traceback_of_an_expected_error_only_when_asked(auditor):
    code, _, err = auditor("run", "net.pt", "-k", "(", "-v")
    assert code == 4
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: -k '('")


def test_a_bug_costs_one_line_that_says_where_the_traceback_is(auditor, here):
    (here / "auditfile.py").write_text(GREETING + "\ngreeting.guide = None\n")
    message = refused(auditor, "checks", "greeting", code=3)
    log = Path(message.rpartition("the traceback is in ")[2].rstrip(")"))
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_bug_shows_its_traceback_when_asked(auditor, here):
    (here / "auditfile.py").write_text(GREETING + "\ngreeting.guide = None\n")
    code, _, err = auditor("checks", "greeting", "-v")
    assert code == 3
    assert "Traceback" in err


def test_an_interruption_before_the_first_check_has_its_own_exit_code(auditor, here):
    (here / "auditfile.py").write_text("raise KeyboardInterrupt")
    code, _, err = auditor("checks")
    assert code == 2
    assert err.strip() == "error: interrupted before any check finished; no report was written"


def test_exports_templates_into_a_new_folder(auditor, here):
    code, out, _ = auditor("templates", "--export", "mine")
    assert (code, out) == (0, "templates copied to mine; edit them, then pass --templates mine to auditor run\n")
    original = Path(__file__).parents[2] / "templates"
    assert {p.name for p in (here / "mine").iterdir()} == {p.name for p in original.iterdir()}


def test_never_exports_over_somebody_s_templates(auditor, here):
    (here / "mine").mkdir()
    (here / "mine" / "report.html").write_text("mine")
    assert refused(auditor, "templates", "--export", "mine").startswith("mine exists and is not an empty folder")
    assert (here / "mine" / "report.html").read_text() == "mine"


def test_without_a_command_it_shows_what_there_is(auditor):
    code, _, err = auditor()
    assert code == 4
    assert "inspect" in err


def test_the_help_lists_each_exit_code_on_a_line_of_its_own(auditor):
    _, out, _ = auditor("--help")
    assert "  2  interrupted\n    3  a bug in auditor\n" in out
    assert "\\b" not in out


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["checks"], ["checks", "weights"], ["--version"]])
def test_answers_without_loading_torch(arguments):
    script = "import sys; from auditor.cli.commands import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--threads", "99999999"], "from 1 to 1024"),
        (["--batch-size", "99999999999999999999"], "from 1 to 65536"),
        (["--data", ""], "a path is empty"),
        (["--out", ""], "a path is empty"),
        (["--data", "."], "lies inside --data"),
    ],
)
def test_values_that_would_do_harm_are_refused(auditor, here, flags, words):
    (here / "net.pt").write_bytes(b"never read")
    code, out, err = auditor("run", "net.pt", *flags)
    assert code == 4
    assert words in " ".join((out + err).split())


def test_what_would_steer_a_terminal_is_shown_as_a_mark(auditor, here):
    code, out, err = auditor("run", "x\x1b[2J\x07.pt")
    assert code == 4
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
