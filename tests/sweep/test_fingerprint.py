"""The fingerprint of a pass covers all code of the package: what a summary is may change in any room."""

import shutil
from pathlib import Path

import pytest

import auditor
from auditor.sweep import fingerprint

SOURCE = Path(auditor.__file__).parent
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def test_every_file_of_the_package_is_covered():
    assert {SOURCE / file for file in FILES} <= set(fingerprint._files([]))


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(SOURCE, tmp_path / "auditor", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "_PACKAGE", tmp_path / "auditor")
    return tmp_path / "auditor"


@pytest.mark.slow
def test_a_change_in_any_room_changes_the_digest(copy):
    digests = [fingerprint._code([])]
    for file in {file.parent: file for file in FILES}.values():
        with (copy / file).open("a") as touched:
            touched.write("# touched\n")
        digests.append(fingerprint._code([]))
    assert len(digests) > 20
    assert len(set(digests)) == len(digests)


def test_a_file_in_a_new_room_changes_the_digest(copy):
    before = fingerprint._code([])
    (copy / "room" / "inner").mkdir(parents=True)
    (copy / "room" / "inner" / "module.py").write_text("")
    assert fingerprint._code([]) != before
