"""Audits that die as from `kill -9`, in processes that are forked by a server that has imported torch once."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["auditor.cli.commands", "auditor.runner", "auditor.sweep.sweep"])


def run_and_kill(arguments: Sequence[str], batches: int, log: Path) -> int:
    """Run the command line, kill it right before it takes in one more batch, and return how it ended."""
    process = _PROCESSES.Process(target=_run, args=(arguments, batches, log, dict(os.environ)))
    process.start()
    process.join(300)
    assert process.exitcode in (0, 1, -signal.SIGKILL), log.read_text()
    return process.exitcode


def _run(arguments: Sequence[str], batches: int, log: Path, environment: dict[str, str]) -> None:
    import torch

    from auditor.cli.commands import main
    from auditor.sweep import sweep

    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    step, left = sweep._step, batches

    def counted(*given: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        step(*given)

    sweep._step = counted
    sys.exit(main(list(arguments)))
