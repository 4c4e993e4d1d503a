"""`python -m auditor`, and the command `auditor`: it supervises the process that does the work.

Nothing is imported at the top that the supervising process does not need, so that it stays small.
"""

import os
import sys
from contextlib import suppress

from auditor.process.console import command, provide_streams, say
from auditor.process.foreign_text import printable
from auditor.process.supervision import Tell, supervised


def run() -> None:
    """Run the command line in a supervised process, and leave with its exit code."""
    provide_streams()
    together = {"RANK", "WORLD_SIZE"} <= os.environ.keys()  # the other processes can't start again
    sys.exit(supervised(_command, Tell(_warn, _refuse), again=not together))


def _command() -> int:
    from auditor.cli.commands import main
    from auditor.process.allocator import keep_freed

    keep_freed()
    return main()


def _warn(line: str, words: str) -> None:
    _print(f"warning: {line}", words)


def _refuse(line: str, words: str) -> None:
    """Print an error, and annotate a GitHub workflow with it, because there is no report to show it."""
    _print(f"error: {line}", words)
    if "GITHUB_ACTIONS" in os.environ:
        from auditor.cli.github import Workflow

        with suppress(OSError, ValueError), Workflow(command) as workflow:
            workflow.refused(line)


def _print(line: str, words: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # the reader has left, or the stream was never open
        if words:
            command(words)
        say(printable(line), err=True)


if __name__ == "__main__":
    run()
