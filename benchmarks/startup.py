"""How long the commands take that need no network, and whether they load torch.

python benchmarks/startup.py [--rounds 5]

Aim: under 0.5 s each, without torch.
"""

import argparse
import subprocess
import sys

from measuring import interleaved, load

COMMANDS = {"auditor --help": ["--help"], "auditor checks": ["checks"], "auditor checks filters": ["checks", "filters"]}


def started(arguments: list[str]) -> bool:
    """Run a command and return whether it loaded torch."""
    code = f"import sys; from auditor.cli.commands import main; main({arguments!r}); sys.exit('torch' in sys.modules)"
    return bool(subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(load())
    bare = {"python alone": lambda: subprocess.run([sys.executable, "-c", ""], check=True)}
    seconds = interleaved(
        bare | {name: lambda a=arguments: started(a) for name, arguments in COMMANDS.items()}, rounds=asked.rounds
    )
    for name, taken in seconds.items():
        torch = ", loads torch" if name in COMMANDS and started(COMMANDS[name]) else ""
        print(f"{name:24} {taken:6.3f} s{torch}")


if __name__ == "__main__":
    main()
