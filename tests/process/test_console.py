"""What is printed where nobody listens."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_without_standard_streams_ends_with_its_own_exit_code(closed, tmp_path):
    refused = [sys.executable, "-m", "auditor", "run", str(tmp_path / "missing.pt")]
    told = [sys.executable, "-m", "auditor", "checks"]
    assert [ended(refused, closed), ended(told, closed)] == [4, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the streams")
def test_no_file_takes_the_place_of_a_standard_stream(tmp_path):
    told = "import os; from auditor.process.console import provide_streams; provide_streams()"
    written = f"file = open({str(tmp_path / 'file')!r}, 'w'); os.write(1, b'text'); os.write(2, b'text')"
    assert ended([sys.executable, "-c", f"{told}; {written}"], "<&- >&- 2>&-") == 0
    assert (tmp_path / "file").read_text() == ""


def ended(command, closed):
    """Return the exit code of a command that a shell starts with closed streams."""
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    return subprocess.run(shell, capture_output=True, timeout=60).returncode
