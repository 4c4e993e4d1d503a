"""Whether a verdict of the demo depends on the seed.

python benchmarks/seeds.py [--seeds 5] [ANY FLAG OF `auditor demo` ...]

Audits the demo once for each seed and lists the findings whose verdict is not the same in all of the audits, each with
whether the report says that it is close. Exits with 1 if one that flips is not said to be close.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measuring import load

from auditor.cli.commands import main as auditor

ABSENT = "-"
NO_COMPLAINT = dict.fromkeys((ABSENT, "pass", "info"), "pass")
CLOSE = ("The limit lies inside the 95 % interval", "too few images to rule out chance")

Finding = dict[str, object]
Key = tuple[str, str]
Findings = dict[Key, Finding]


def findings(seed: int, flags: Sequence[str]) -> Findings:
    """Audit the demo with this seed and return its findings, by rule and subject."""
    with tempfile.TemporaryDirectory() as folder:
        auditor(["demo", "--seed", str(seed), "--out", folder, "--format", "json", "-q", *flags])
        audit = json.loads((Path(folder) / "audit.json").read_text())
    every = [piece for result in audit["results"] for piece in result["evidence"] if "rule" in piece]
    return {(one["rule"], one["subject"]): one for one in every}


def said_to_be_close(finding: Finding) -> bool:
    text = f"{finding['message']} {finding.get('detail', '')}"
    return any(words in text for words in CLOSE)


def flips(audits: Sequence[Findings]) -> dict[Key, list[str]]:
    """Return the verdicts, one a seed, of the findings that have several; a missing finding counts as a pass."""
    rows = {
        key: [str(audit[key]["verdict"]) if key in audit else ABSENT for audit in audits]
        for key in sorted(set().union(*audits))
    }
    return {
        key: verdicts for key, verdicts in rows.items() if len({NO_COMPLAINT.get(one, one) for one in verdicts}) > 1
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    arguments, flags = parser.parse_known_args()
    print(load())
    audits = [findings(seed, flags) for seed in range(arguments.seeds)]
    found = flips(audits)
    hidden = 0
    for key, verdicts in found.items():
        close = any(said_to_be_close(audit[key]) for audit in audits if key in audit)
        hidden += not close
        print(f"{' '.join(filter(None, key)):60} {' '.join(verdicts):30} {'reported' if close else 'NOT REPORTED'}")
    count = len(set().union(*audits))
    print(f"{count} findings, {arguments.seeds} seeds: {len(found)} change, {hidden} of these not reported as close")
    return 1 if hidden else 0


if __name__ == "__main__":
    sys.exit(main())
