"""The program keeps the memory that it has freed."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from auditor.allocation import keep_freed

{first}
def made():
    for _ in range(8):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

print(-made() + made())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_large_block_is_made_of_the_pages_of_the_one_before():
    def faults(first):
        made = subprocess.run([sys.executable, "-c", FAULTS.format(first=first)], capture_output=True, check=True)
        return int(made.stdout)

    assert faults("keep_freed()") < 0.1 * faults("")
