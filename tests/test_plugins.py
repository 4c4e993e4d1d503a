import subprocess
import sys
from pathlib import Path

import pytest

import auditor
from auditor import Check, hookimpl, plugins
from auditor.checks import READING_ORDER
from auditor.errors import PluginError
from auditor.plugins import BUILT_IN, Plugin
from auditor.results import Finding, Verdict

CHECK = '''
from auditor import Check, Finding, Verdict

@Check
def {name}(context, *, limit: float = 0.5):
    """Is anybody there?"""
    yield Finding("{name}.there", Verdict.PASS, "yes")
'''


@Check
def lonely(context):
    """Is this check alone?"""
    yield Finding("lonely.alone", Verdict.PASS, "yes")


class Guest:
    """A plugin that is an object; what its hooks return is chosen by the test."""

    def __init__(self, **answers):
        for name, answer in answers.items():
            setattr(self, name, hookimpl(lambda answer=answer: answer))


@pytest.fixture
def audit_file(tmp_path):
    def write(text, folder="."):
        path = tmp_path / folder / "auditfile.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path.parent

    return write


def provided(**answers):
    return plugins.collected([Plugin("guest", Guest(**answers))])


def refusal(**answers):
    with pytest.raises(PluginError) as caught:
        provided(**answers)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_finds_every_built_in_check_under_its_own_name(tmp_path):
    found = plugins.load(start=tmp_path)
    assert {name: check.name for name, check in found.checks.items()} == {name: name for name in found.checks}
    built_in = [name for name, origin in found.origins.items() if origin == BUILT_IN]
    modules = [path.stem for path in Path(auditor.__file__).parent.glob("checks/[a-z]*")]
    assert sorted(built_in) == sorted(modules)


def test_lists_the_built_in_checks_in_the_order_in_which_a_report_is_read(tmp_path):
    built_in = [name for name, origin in plugins.load(start=tmp_path).origins.items() if origin == BUILT_IN]
    assert tuple(built_in[: len(READING_ORDER)]) == READING_ORDER


def test_collects_the_checks_of_an_audit_file_without_any_hook(audit_file):
    folder = audit_file(CHECK.format(name="greeting"))
    found = plugins.load(start=folder)
    assert found.checks["greeting"].question == "Is anybody there?"
    assert found.origins["greeting"].endswith("auditfile.py")


def test_reads_audit_files_from_the_root_of_the_project_inwards(audit_file, tmp_path):
    (tmp_path / ".git").mkdir()
    audit_file(CHECK.format(name="outer"))
    inner = audit_file(CHECK.format(name="inner"), "a/b")
    assert list(plugins.load(start=inner).checks)[-2:] == ["outer", "inner"]


def test_does_not_take_a_check_that_a_module_only_imported(audit_file, tmp_path, monkeypatch):
    (tmp_path / "shelf_of_checks.py").write_text(CHECK.format(name="borrowed"))
    monkeypatch.syspath_prepend(tmp_path)
    folder = audit_file("from shelf_of_checks import borrowed\n")
    assert "borrowed" not in plugins.load(start=folder).checks


def test_loads_a_module_by_name_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "my_named_checks.py").write_text(CHECK.format(name="by_name"))
    found = plugins.load(["my_named_checks"], start=tmp_path)
    assert found.origins["by_name"] == "my_named_checks"


def test_takes_a_module_that_is_named_twice_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "named_twice.py").write_text(CHECK.format(name="again"))
    assert "again" in plugins.load(["named_twice", "named_twice"], start=tmp_path).checks


def test_collects_what_every_hook_provides(tmp_path):
    def build(rest):
        return rest

    found = provided(
        auditor_checks=[lonely],
        auditor_architectures={"zoo": build},
        auditor_data={"bucket": build},
        auditor_formats={"markdown": build},
        auditor_templates=[tmp_path],
    )
    assert found == plugins.Plugins(
        {"lonely": lonely}, {"lonely": "guest"}, {"zoo": build}, {"bucket": build}, {"markdown": build}, (tmp_path,)
    )


def test_a_check_that_is_module_level_and_returned_counts_once():
    here = sys.modules[__name__]
    assert plugins.collected([Plugin("here", here)]).checks == {"lonely": lonely}


def test_names_a_missing_module():
    with pytest.raises(PluginError, match=r"plugin 'no_such_plugin' can't be imported: ModuleNotFoundError"):
        plugins.load(["no_such_plugin"])


@pytest.mark.parametrize("text", ["raise OSError('two\\nlines')", "def broken(:", "import sys; sys.exit(3)"])
def test_tells_in_one_line_where_an_import_broke(audit_file, text):
    folder = audit_file(text)
    with pytest.raises(PluginError) as caught:
        plugins.load(start=folder)
    assert "\n" not in str(caught.value)
    assert "auditfile.py" in str(caught.value)


def test_names_the_plugin_of_a_check_that_breaks_the_contract(audit_file):
    folder = audit_file("from auditor import Check\n\n@Check\ndef wrong(context):\n    '''No question.'''\n    yield\n")
    with pytest.raises(PluginError, match=r"plugin '.*auditfile.py': the first line of check 'wrong'"):
        plugins.load(start=folder)


def test_refuses_two_checks_with_one_name():
    twins = [Plugin("one", Guest(auditor_checks=[lonely])), Plugin("two", Guest(auditor_checks=[lonely]))]
    with pytest.raises(PluginError, match="two plugins bring the check 'lonely': 'one' and 'two'"):
        plugins.collected(twins)


def test_refuses_a_format_that_is_built_in():
    message = refusal(auditor_formats={"html": print})
    assert message == "two plugins bring the format 'html': 'auditor' and 'guest'"


def test_suggests_the_hook_that_was_meant():
    assert refusal(auditor_cheks=[]) == (
        "plugin 'guest': there is no hook 'auditor_cheks'; did you mean 'auditor_checks'?"
    )


def test_notices_a_hook_that_was_not_marked(audit_file):
    folder = audit_file("def auditor_formats():\n    return {}\n")
    with pytest.raises(PluginError, match=r"auditor_formats needs @auditor.hookimpl above it"):
        plugins.load(start=folder)


def test_refuses_a_hook_with_an_argument_that_nobody_passes(audit_file):
    folder = audit_file("from auditor import hookimpl\n\n@hookimpl\ndef auditor_checks(session):\n    return []\n")
    with pytest.raises(PluginError, match=r"auditfile.py'.*session"):
        plugins.load(start=folder)


def test_names_a_hook_that_breaks(audit_file):
    folder = audit_file("from auditor import hookimpl\n\n@hookimpl\ndef auditor_checks():\n    yield 1 / 0\n")
    with pytest.raises(
        PluginError, match=r"auditor_checks broke: ZeroDivisionError: division by zero .*auditfile.py:5"
    ):
        plugins.load(start=folder)


@pytest.mark.parametrize(
    ("hook", "answer", "expected"),
    [
        ("auditor_checks", [print], "checks made with @auditor.Check"),
        ("auditor_checks", lonely.function, "checks made with @auditor.Check"),
        ("auditor_architectures", ["zoo"], "a mapping of names to functions"),
        ("auditor_data", {"s3": "bucket"}, "names of small letters and digits"),
        ("auditor_formats", {"Mark Down": print}, "names of small letters and digits"),
        ("auditor_templates", ["templates"], "paths of folders that exist"),
    ],
)
def test_refuses_a_hook_that_returns_the_wrong_thing(hook, answer, expected):
    message = refusal(**{hook: answer})
    assert message.startswith(f"plugin 'guest': {hook} returned ")
    assert expected in message


def test_the_hooks_that_are_asked_are_those_that_are_specified():
    specified = {name for name in vars(auditor.hooks) if name.startswith("auditor_")}
    assert set(plugins._HOOKS) == specified


def test_a_plugin_may_import_torchvision_beside_a_cpu_torch(tmp_path):
    """In a process of its own, where nobody has imported torchvision before."""
    check = "from auditor import Check\n\n@Check\ndef mine(context):\n    '''Is torchvision there?'''\n    yield\n"
    (tmp_path / "auditfile.py").write_text(f"import torchvision\n{check}")
    shown = subprocess.run(
        [sys.executable, "-m", "auditor", "checks"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "Is torchvision there?" in shown.stdout
