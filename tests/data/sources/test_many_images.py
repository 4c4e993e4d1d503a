"""A source of very many images starts quickly, and takes little memory for each of them."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 100_000
CLASSES = 100


def large_zip(file: Path) -> None:
    """Write an archive of empty members; `zipfile` would take a minute for it."""
    entry = struct.Struct("<4s6H3L5H2L")
    names = [b"train/class%02d/%07d.jpg" % (i % CLASSES, i) for i in range(COUNT)]
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0)
    step = len(head) + len(names[0])
    rest = 20, 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0, 0, 0, 0, 0
    index = b"".join(entry.pack(b"PK\1\2", *rest, place * step) + name for place, name in enumerate(names))
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, COUNT, COUNT, len(index), COUNT * step)
    at = struct.pack("<4sLQL", b"PK\6\7", 0, COUNT * step + len(index), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    file.write_bytes(b"".join(head + name for name in names) + index + end + at + last)


MEASURED = """
import sys
from pathlib import Path
from auditor.data.listing import listing

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
found = listing(sys.argv[1])
print(len(found.names), len(found.folders), found.labels[-1], peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the memory of a process")
def test_a_large_zip_takes_little_memory_for_each_image(tmp_path: Path) -> None:
    large_zip(tmp_path / "data.zip")
    told = subprocess.run(  # in a process of its own, where no types are checked
        [sys.executable, "-c", MEASURED, str(tmp_path / "data.zip")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert told[:3] == [str(COUNT), str(CLASSES), "class99"]
    assert int(told[3]) / COUNT < 300
