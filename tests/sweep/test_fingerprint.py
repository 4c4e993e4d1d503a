"""The fingerprint of a pass covers all code of the package: what a summary is may change in any room."""

import shutil
from pathlib import Path

import pytest

import auditor
from auditor.sweep import fingerprint

SOURCE = Path(auditor.__file__).parent
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def test_the_package_is_the_whole_of_auditor():
    assert fingerprint._PACKAGE == SOURCE


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(SOURCE, tmp_path / "auditor", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "_PACKAGE", tmp_path / "auditor")
    return tmp_path / "auditor"


def test_a_change_of_any_file_changes_the_digest(copy):
    before = fingerprint._code([])
    for file in FILES:
        content = (copy / file).read_bytes()
        (copy / file).write_bytes(content + b"# touched\n")
        assert fingerprint._code([]) != before, file
        (copy / file).write_bytes(content)
    assert fingerprint._code([]) == before


def test_a_file_in_a_new_room_changes_the_digest(copy):
    before = fingerprint._code([])
    (copy / "room" / "inner").mkdir(parents=True)
    (copy / "room" / "inner" / "module.py").write_text("")
    assert fingerprint._code([]) != before
