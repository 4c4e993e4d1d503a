import os
import tempfile
from pathlib import Path

import pytest

from auditor.process import scratch


def test_nothing_is_made_where_the_system_has_a_folder(tmp_path):
    before = tempfile.gettempdir()
    with scratch.provided(tmp_path / "out"):
        assert tempfile.gettempdir() == before
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_go_beside_the_output_where_the_system_has_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_has_temporary", lambda: False)
    before = tempfile.tempdir
    with scratch.provided(tmp_path / "deep" / "out"):
        own = Path(tempfile.gettempdir())
        assert own.parent == tmp_path
        assert os.environ["TMPDIR"] == str(own)
    assert tempfile.tempdir == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["/nowhere", "~"])
def test_caches_go_into_a_temporary_folder_without_a_home(tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    with scratch.provided(tmp_path / "out"):
        assert os.environ["MPLCONFIGDIR"].startswith(tempfile.gettempdir())
    assert "MPLCONFIGDIR" not in os.environ
