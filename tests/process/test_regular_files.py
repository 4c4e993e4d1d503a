"""Only regular files are opened."""

import errno
import os
import socket
from pathlib import Path

import pytest

from auditor.process.regular_files import content, impossible, opened


def test_opens_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with opened(tmp_path / name) as file:
            assert file.read() == b"content"


def test_refuses_a_fifo_a_device_a_folder_and_a_socket_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match=r"No such device or address|socket"):
            opened(tmp_path / "socket")
    with pytest.raises(OSError, match="a FIFO, not a regular file"):
        opened(tmp_path / "fifo")
    with pytest.raises(OSError, match="a device, not a regular file"):
        opened(Path("/dev/zero"))
    with pytest.raises(OSError, match="a folder, not a file"):
        opened(tmp_path)


def test_refuses_more_than_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    assert content(tmp_path / "file", most=10) == bytes(10)
    with pytest.raises(OSError, match="larger than 9 bytes") as refused:
        content(tmp_path / "file", most=9)
    assert refused.value.errno == errno.EFBIG


def test_leaves_no_handle_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(OSError, match="FIFO"):
            opened(tmp_path / "fifo")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", ""),
        ("nothing", ""),
        ("file/below", ""),
        ("x" * 300, "it is too long"),
        ("circle", "its links lead in a circle"),
        ("a\0b", "it has a character that no path can have"),
        ("\ud800", "it has a character that no path can have"),
    ],
)
def test_says_why_nothing_can_be_at_a_path(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "circle").symlink_to("circle")
    assert impossible(tmp_path / name) == reason
