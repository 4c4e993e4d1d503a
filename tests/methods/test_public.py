"""What `auditor.methods` offers, and where each name lives."""

import ast
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from auditor import methods


def in_order(names):
    """Return names as ruff orders `__all__`: constants, classes, functions, each by the alphabet."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


def type_checking_imports():
    """Return what the package imports for type checkers, by module."""
    tree = ast.parse(Path(methods.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {node.module: tuple(alias.name for alias in node.names) for node in block.body}


def test_every_name_is_what_its_home_defines_after_every_submodule_is_imported():
    """The package `methods.occlusion` must not hide the function `methods.occlusion`, whichever is loaded first."""
    for module in pkgutil.walk_packages(methods.__path__, "auditor.methods."):
        import_module(module.name)
    for home, names in methods._HOMES.items():
        for name in names:
            assert getattr(methods, name) is getattr(import_module(f"auditor.{home}"), name), name


def test_a_submodule_with_another_name_is_an_attribute_as_usual():
    assert methods.attribution is import_module("auditor.methods.attribution")


def test_all_is_sorted():
    assert methods.__all__ == in_order(methods.__all__)
    assert dir(methods) == sorted(methods.__all__)


def test_all_is_what_the_homes_hold():
    names = [name for home in methods._HOMES.values() for name in home]
    assert in_order(names) == methods.__all__


def test_homes_are_sorted():
    assert list(methods._HOMES) == sorted(methods._HOMES)
    for names in methods._HOMES.values():
        assert list(names) == in_order(names)


def test_type_checkers_see_the_same_names_in_the_same_homes():
    assert type_checking_imports() == {f"auditor.{home}": names for home, names in methods._HOMES.items()}


def test_a_name_that_does_not_exist_is_refused():
    assert not hasattr(methods, "no_such_method")


def test_importing_the_package_loads_no_torch():
    code = "import sys, auditor.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
