"""The help of the commands, and the catalogue of rules."""

import pytest

from auditor.cli.commands import demo, run
from auditor.cli.help import HEADINGS
from auditor.plugins import load


@pytest.mark.parametrize("command", [run, demo])
def test_every_flag_is_under_a_heading(command):
    headed = [name for names in HEADINGS.values() for name in names]
    flags = {one.name for one in command.params if one.param_type_name == "option"}
    assert flags <= set(headed)
    assert len(headed) == len(set(headed))


def test_the_help_has_headings_and_examples(command_line):
    _, out, _ = command_line("run", "--help")
    assert all(f"\n{title}:\n" in out for title in HEADINGS)
    assert "\n  auditor run net.pt --data photos/\n" in out.replace("    auditor", "  auditor")


def test_a_dot_lists_all_rules_by_check(command_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = command_line("checks", ".")
    assert code == 0
    assert all(f"\n  {rule} " in out for rule in load().rules)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_check_fits_the_terminal(command_line, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = command_line("checks", "shortcut")
    assert all(len(line) <= int(columns) or " " not in line.strip() for line in out.splitlines())


def test_an_unknown_rule_is_one_short_line(command_line):
    code, _, err = command_line("checks", "no.such.rule")
    assert code == 4
    assert len(err) < 200
    assert "auditor checks ." in err
