"""What becomes of text from strangers before it is printed."""

import ast
from pathlib import Path

import pytest

import auditor
from auditor.process.foreign_text import disarmed, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("layer4.1.conv2", "layer4.1.conv2"),
        ("größe 猫 قطة", "größe 猫 قطة"),
        ("3\N{NO-BREAK SPACE}%", "3\N{NO-BREAK SPACE}%"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nb\tc\0\x7f\x9b", "a\\r\\nb\\tc\\x00\\x7f\\x9b"),
        ("cat\u202egnp.exe", "cat\\u202egnp.exe"),
        ("zero\u200bwidth\u00ad\ufeff", "zero\\u200bwidth\\xad\\ufeff"),
        ("\u2028\u2029\u0085", "\\u2028\\u2029\\x85"),
        ("\ud800\udcff", "\\ud800\\udcff"),
        ("\U000e0041\u3164\u2800", "\\U000e0041\\u3164\\u2800"),
        ("👩\u200d🚀 ☀\ufe0f", "👩\u200d🚀 ☀\ufe0f"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("pay\u200dpal", "pay\\u200dpal"),
        ("::error::x", "\\x3a:error::x"),
        ("  ::error::x", "  \\x3a:error::x"),
        ("a::b", "a::b"),
        ("x ##vso[task.setvariable]", "x #\\x23vso[task.setvariable]"),
        ("##[error]", "#\\x23[error]"),
        ("###[error]", "##\\x23[error]"),
        ("x ##teamcity[buildStatus]", "x #\\x23teamcity[buildStatus]"),
        ("## heading", "## heading"),
        ("section_start:1:x", "section_start\\x3a1:x"),
        ("a\nsection_end:1:x", "a\\nsection_end\\x3a1:x"),
        ("travis_fold:end:x", "travis_fold\\x3aend:x"),
        ("--- group", "\\x2d-- group"),
        ("+++ group", "\\x2b++ group"),
        ("^^^ +++", "\\x5e^^ +++"),
        ("----", "----"),
        ("", ""),
    ],
)
def test_foreign_text_is_shown_with_escapes(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_are_kept_where_lines_are_wanted_and_none_of_them_is_a_command():
    assert printable_lines("a\r\n::b\n\x1b\n") == "a\n\\x3a:b\n\\x1b\n"


def test_a_command_is_found_behind_a_style_and_only_at_the_start_of_a_line():
    assert disarmed("\x1b[1m::error::\x1b[0m") == "\x1b[1m\\x3a:error::\x1b[0m"
    assert disarmed("##\x1b[1mvso[x]") == "#\\x23\x1b[1mvso[x]"
    assert disarmed("::a\n::b", starts_line=False) == "::a\n\\x3a:b"


def test_nothing_prints_but_the_console():
    package = Path(auditor.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        if path != package / "process" / "console.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if _prints(node)
    ]
    assert not found


def _prints(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="print" | "Console" | "pprint")):
            return True
        case ast.Call(
            func=ast.Attribute(attr="echo" | "secho" | "print_exc" | "print_exception" | "Console" | "pprint")
        ):
            return True
        case ast.Call(func=ast.Attribute(attr="write" | "writelines", value=ast.Attribute(attr=stream))):
            return stream in ("stdout", "stderr", "__stdout__", "__stderr__")
        case ast.ImportFrom(module="rich", names=names):
            return any(name.name in ("print", "inspect") for name in names)
        case ast.ImportFrom(module="rich.console", names=names):
            return any(name.name == "Console" for name in names)
    return False
