"""What the project is installed with: every dependency is locked, with the hashes of its files."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
UNHASHED = {"torch", "torchvision"}
"""Their wheels of one version differ by the index that they come from."""

FILES = {"constraints.txt": CONSTRAINTS, "requirements.lock": LOCK}


def pins(text):
    """Return the requirements of a file by name."""
    lines = [line.partition("\\")[0] for line in text.splitlines() if re.match(r"\w", line)]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def declared():
    """Return all requirements in pyproject.toml, but for the extras of the project itself."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], *(x for e in extras for x in e)]
    return [one for one in map(Requirement, lines) if one.name != "auditor"]


def needed(requirements, found):
    """Return the names of everything that these requirements lead to here, as the installed packages tell."""
    for one in requirements:
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not any(one.marker.evaluate({"extra": e}) for e in one.extras or {""})):
            continue
        found.add(name)
        inside = [Requirement(line) for line in requires(name) or []]
        mine = [i for i in inside if not i.marker or any(i.marker.evaluate({"extra": e}) for e in one.extras or {""})]
        needed([Requirement(f"{i.name}[{','.join(i.extras)}]" if i.extras else i.name) for i in mine], found)
    return found


@pytest.mark.parametrize("one", declared(), ids=str)
def test_every_dependency_is_pinned_to_a_version_in_its_range(one):
    (pin,) = pins(CONSTRAINTS)[canonicalize_name(one.name)].specifier
    assert pin.operator == "=="
    assert one.specifier.contains(pin.version), f"{one} is pinned to {pin.version}: run make lock"


def test_everything_that_the_dependencies_need_is_pinned_too():
    missing = needed(declared(), set()) - pins(CONSTRAINTS).keys()
    assert {name for name in missing if not re.match(r"nvidia|cuda|triton", name)} == set(), "run make lock"


def test_every_pin_has_the_hashes_of_its_files():
    locked, pinned = pins(LOCK), pins(CONSTRAINTS)
    assert {name: str(one) for name, one in pinned.items() if name not in UNHASHED} == {
        name: str(one) for name, one in locked.items()
    }
    for block in re.split(r"(?m)^(?=\w)", LOCK)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


@pytest.mark.parametrize("name", FILES)
def test_no_file_says_where_packages_come_from(name):
    assert re.findall(r"(?m)https?://|file:|^-[^-]|^--|@ ", FILES[name]) == []


def test_setup_lets_no_file_with_another_hash_in():
    setup = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip install -qq --require-hashes --no-deps --requirement requirements.lock" in setup
    others = re.findall(r"pip install (?!-qq --require-hashes).*", setup)
    assert others == [
        "pip install -qq --constraint constraints.txt torch torchvision",
        "pip install -qq --no-deps --no-build-isolation --editable .",
    ]
