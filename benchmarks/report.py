"""How long it takes to make the page and the PDF of the demo's audit.

python benchmarks/report.py [--rounds 3]

Runs the demo once, then renders its report again. Aims: HTML under 1 s, PDF under 10 s, each under 10 MB.
"""

import argparse
import tempfile
from pathlib import Path

from measuring import interleaved, load

from auditor import report
from auditor.cli.commands import main as auditor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(load())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "demo"
        auditor(["demo", "-q", "--format", "json", "--out", str(folder)])
        seconds = interleaved(
            {form: lambda f=form: report.render(folder, formats=(f,)) for form in ("html", "pdf")}, rounds=asked.rounds
        )
        sizes = {form: (folder / f"report.{form}").stat().st_size / 1e6 for form in seconds}
    for form, taken in seconds.items():
        print(f"{form:5} {taken:6.2f} s, {sizes[form]:.1f} MB")


if __name__ == "__main__":
    main()
