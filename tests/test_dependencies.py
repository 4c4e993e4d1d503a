"""What the project is installed with and ships: locked dependencies, a bill of materials, the work of others."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import cyclonedx.schema
import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from referencing import Registry, Resource

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


def needed(requirements, extras=frozenset(), seen=None):
    """Return the names of everything that these requirements lead to here, as the installed packages tell."""
    seen = set() if seen is None else seen
    for one in requirements:
        found = canonicalize_name(one.name), frozenset(one.extras)
        if found in seen or (one.marker and not any(one.marker.evaluate({"extra": e}) for e in extras or {""})):
            continue
        seen.add(found)
        needed(map(Requirement, requires(found[0]) or []), one.extras, seen)
    return {name for name, _ in seen}


@pytest.mark.parametrize("one", declared(), ids=str)
def test_every_dependency_is_pinned_to_a_version_in_its_range(one):
    (pin,) = pins(CONSTRAINTS)[canonicalize_name(one.name)].specifier
    assert pin.operator == "=="
    assert one.specifier.contains(pin.version), f"{one} is pinned to {pin.version}: run make lock"


def test_everything_that_the_dependencies_need_is_pinned_too():
    missing = needed(declared()) - pins(CONSTRAINTS).keys()
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel and its bill of materials, built as by `make wheel`."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    subprocess.run([sys.executable, ROOT / ".ci" / "bill-of-materials", built], check=True)
    return built


@pytest.fixture(scope="module")
def bill(wheel):
    (path,) = wheel.parent.glob("*.cdx.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_bill_of_materials_is_valid_cyclonedx(bill):
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    names = [f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82")]
    whole, *parts = [json.loads((folder / name).read_text(encoding="utf-8")) for name in names]
    places = [whole["$id"].rpartition("/")[0] + f"/{name}" for name in names[1:]]
    inside = zip(places, map(Resource.from_contents, parts), strict=True)
    jsonschema.Draft7Validator(whole, registry=Registry().with_resources(inside)).validate(bill)


@pytest.mark.slow
def test_the_bill_of_materials_has_all_that_the_wheel_needs_with_its_licence(bill):
    runtime = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    components = {one["name"]: one for one in bill["components"]}
    assert components.keys() == needed(runtime)
    for name, one in components.items():
        assert one["version"] == version(name)
        assert one["licenses"], name
    edges = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert components["tinycss2"]["bom-ref"] in edges[components["weasyprint"]["bom-ref"]]


@pytest.mark.slow
def test_the_bill_of_materials_names_the_wheel_by_its_digest(bill, wheel):
    own = bill["metadata"]["component"]
    assert own["name"] == "auditor"
    assert own["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]


NOTICE = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
OWN = {".py", ".po", ".html", ".css", ".js", ".typed"}
FOREIGN = re.compile(
    r"@font-face|url\(['\"]?data:|base64,[A-Za-z0-9+/]{200}|copyright|\(c\) \d{4}|SPDX-License|@licen[cs]e"
    r"|ottosson|okabe",
    re.IGNORECASE,
)


def shipped():
    """Return the files of the wheel, from where they lie in the repository."""
    files = [path for folder in ("auditor", "templates") for path in (ROOT / folder).rglob("*")]
    return [path for path in files if path.is_file() and path.suffix != ".pyc"]


def test_the_work_of_others_is_listed_in_the_notice():
    for path in shipped():
        name = path.relative_to(ROOT).as_posix()
        if f"`{name}`" not in NOTICE:
            assert path.suffix in OWN or name == "auditor/report/schema.json", f"{name} is no code, nor in NOTICE.md"
            assert FOREIGN.findall(path.read_text(encoding="utf-8")) == [], f"{name} is not in NOTICE.md"


def test_what_the_notice_lists_is_there():
    assert all((ROOT / name).is_file() for name in re.findall(r"\| `([^`]+)` \|", NOTICE))


@pytest.mark.slow
def test_the_wheel_ships_license_and_notice(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".dist-info/licenses/")[2] for name in archive.namelist()}
    assert {"LICENSE", "NOTICE.md"} <= names
