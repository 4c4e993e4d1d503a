"""What is freed stays with the process, unless somebody has said otherwise."""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from auditor.process.allocator import keep_freed

BLOCKS = """
import resource
import numpy as np
from auditor.process.allocator import keep_freed

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

kept = keep_freed()
np.ones(5_000_000)
before = faults()
for _ in range(10):
    np.ones(5_000_000)
print(kept, faults() - before)
"""
PAGES = 10 * 5_000_000 * 8 // 4096


def ran(**variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", BLOCKS]
    told = subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, check=True)
    kept, faults = told.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_pages_are_not_asked_for_again():
    kept, faults = ran()
    assert kept
    assert faults < PAGES // 20


def test_who_has_set_the_allocator_is_left_alone():
    kept, _faults = ran(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept


def test_another_c_library_is_no_error(monkeypatch):
    def without(_name):
        raise TypeError("there is none")

    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ctypes.CDLL", without)
    assert keep_freed() is False


def test_an_older_version_that_takes_no_blocks_so_large_is_asked_for_smaller_ones(monkeypatch):
    asked = []

    def mallopt(what, size):
        asked.append((what, size))
        return int(size <= 2**25 or what == -1)

    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ctypes.CDLL", lambda _name: SimpleNamespace(mallopt=mallopt))
    assert keep_freed() is True
    assert asked == [(-3, 2**30), (-3, 2**25), (-1, 2**31 - 1)]
