"""Audits that are killed or interrupted at random moments, forked from one process in which torch is imported.

Takes the arguments of `auditor`, and prints a line of JSON for each audit: signal, exit code and what it printed.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import torch

import auditor.runner  # noqa: F401 - so that no audit has to import it
from auditor.cli.commands import main
from auditor.process.supervision import Tell, supervised

MOMENTS = 20
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def audited(arguments, seconds, how, *, to_all):
    """Run an audit in a group of its own, send it a signal after some seconds, and return exit code and output."""
    with tempfile.NamedTemporaryFile("r") as told:
        process = os.fork()
        if process == 0:
            os.setsid()
            for stream in (1, 2):
                os.dup2(os.open(told.name, os.O_WRONLY | os.O_APPEND), stream)
            say = Tell(_say, _say)
            os._exit(supervised(lambda: main(arguments), say))
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            (os.killpg if to_all else os.kill)(process, how)
        _, status = os.waitpid(process, 0)
        return os.waitstatus_to_exitcode(status), told.read()


def _say(line, words):
    os.write(2, f"told: {line}\n".encode())


def _write(told):
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    begun = time.monotonic()
    usual, _ = audited(sys.argv[1:], 0, 0, to_all=False)
    took = time.monotonic() - begun
    _write(["none", usual, ""])
    moments = random.Random(7)  # noqa: S311 - it keeps no secret
    out = Path(sys.argv[sys.argv.index("--out") + 1])
    for number in range(MOMENTS):
        how = SIGNALS[number % len(SIGNALS)]
        seconds = moments.uniform(0.1, took)
        code, told = audited(sys.argv[1:], seconds, how, to_all=number % 2 and how is not signal.SIGKILL)
        record = out / "audit.json"
        complete = json.loads(record.read_text())["complete"] if record.exists() else None
        _write([how.name, code, told, complete, seconds])
