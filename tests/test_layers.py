"""The import contract of pyproject.toml holds for the package, and refuses modules that break the plan."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def package(tmp_path):
    """A copy of the package and of the contract, whose modules a test may change."""
    shutil.copytree(ROOT / "auditor", tmp_path / "auditor", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path / "auditor"


def contract(package):
    """Return the exit code of `lint-imports`, and what it prints."""
    ended = subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_the_package_keeps_the_contract(package):
    code, output = contract(package)
    assert code == 0
    assert output.rstrip().endswith(" 0 broken.")


@pytest.mark.parametrize("name", ["extra.py", "rooms/__init__.py"])
def test_a_module_outside_of_the_layers_is_refused(package, name):
    module = package / name
    module.parent.mkdir(exist_ok=True)
    module.touch()
    code, output = contract(package)
    assert code == 1
    assert f"- auditor.{name.partition('/')[0].removesuffix('.py')}" in output


@pytest.mark.parametrize(
    ("importing", "imported"),
    [
        ("statistics/paired.py", "auditor.methods"),  # a lower layer, a higher one
        ("checks/occlusion/check.py", "auditor.checks.saliency"),  # two checks
        ("report/html.py", "torch"),
        ("results.py", "torch"),
    ],
)
def test_an_import_against_the_contract_is_refused(package, importing, imported):
    module = package / importing
    module.write_text(f"{module.read_text()}\nimport {imported}\n")
    code, output = contract(package)
    assert code == 1
    name = f"auditor/{importing}".removesuffix(".py").replace("/", ".")
    assert f"{name} -> {imported}" in output


def test_checks_that_import_each_other_through_the_root_are_refused(package):
    """What is imported by way of a module at the root is an import of a higher layer."""
    (package / "unit.py").write_text("from auditor.checks.saliency import check\n")
    code, output = contract(package)
    assert code == 1
    assert "auditor.unit -> auditor.checks.saliency" in output
