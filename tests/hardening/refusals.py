"""Run a table of command lines in this one process: `python -m tests.hardening.refusals TABLE`.

The table is JSON: a list of names and arguments. For each a line of JSON says how it ended.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auditor.cli.commands import main

SECONDS = 10  # that one command line may take
MOST = 12 * 2**30  # bytes of addresses, so that no endless file takes the memory of all
NOBODY = 65534


class Hangs(BaseException):
    """The command line took too long."""


def ended(arguments: list[str], *, nobody: bool) -> dict[str, Any]:
    """Return the exit code and the output of one command line, and whether it wrote anything into `out`."""
    out, err, begun = io.StringIO(), io.StringIO(), time.perf_counter()
    code: int | str
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), unprivileged(nobody), watched():
            code = main(arguments)
    except Hangs:
        code = "hangs"
    wrote = Path("out").exists()
    seconds = round(time.perf_counter() - begun, 2)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "wrote": wrote, "seconds": seconds}


@contextlib.contextmanager
def watched() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hangs

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


@contextlib.contextmanager
def unprivileged(nobody: bool) -> Iterator[None]:
    if not nobody or os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


if __name__ == "__main__":
    main(["checks", "no check", "--config", "nowhere.toml"])  # imports what all command lines need
    import auditor.runner  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    for name, arguments in json.loads(Path(sys.argv[1]).read_text()):
        found = ended(arguments, nobody="unreadable" in name)
        sys.__stdout__.write(json.dumps({"name": name, **found}) + "\n")
        sys.__stdout__.flush()
