"""`python -m auditor`, and the command `auditor`."""

import signal
import sys

from auditor.cli.commands import main
from auditor.process.allocator import keep_freed


def run() -> None:
    """Run the command line and leave with its exit code, which a late Ctrl-C no longer changes."""
    keep_freed()
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    run()
