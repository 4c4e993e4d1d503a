"""Plant defects in small networks, audit these and sound ones, and print what was found.

    python -m benchmarks.defects [--out DIR] [--data NAME,...] [--networks NAME,...] [--defects NAME,...] [--jobs N]

A defect of a network counts as found if a rule that was made for it warns or fails. All networks are trained here,
seeded, and kept below DIR; the table is written to DIR/defects.md. Aims: recall over 90 %, no failure and at most one
warning on a sound network, in under 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.defects import building, demonstration, running
from benchmarks.defects.building import Built
from benchmarks.defects.courses import COURSES
from benchmarks.defects.images import SETS
from benchmarks.defects.networks import NETWORKS
from benchmarks.defects.planting import DEFECTS
from benchmarks.defects.running import Case, Found
from benchmarks.defects.table import table


def main() -> None:
    asked = _asked()
    begun = time.perf_counter()
    os.environ["OMP_NUM_THREADS"] = "1"  # each process has a core
    cases = list(_cases(asked))
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = _found(pool, asked.out, cases, every=asked.every_check, demo=not asked.no_demo)
    written = table(found)
    (asked.out / "defects.md").write_text(written)
    print(f"\n{written}\n{time.perf_counter() - begun:.0f} s with {asked.jobs} processes")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/defects"))
    for name, known in (("data", SETS), ("networks", NETWORKS), ("defects", DEFECTS)):
        parser.add_argument(f"--{name}", type=_names(known), default=tuple(known), metavar="NAME,...")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes, each with one thread")
    parser.add_argument("--every-check", action="store_true", help="run all checks on the defective networks, too")
    parser.add_argument("--no-demo", action="store_true", help="leave EfficientNet-Lite0 out")
    return parser.parse_args()


def _names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of: {', '.join(known)}")
        return chosen

    return names


def _cases(asked: argparse.Namespace) -> Iterator[Case]:
    for data in asked.data:
        for network in asked.networks:
            yield Case(data, network)
            yield from (Case(data, network, name) for name in asked.defects if DEFECTS[name].fits(data, network))


def _found(pool: ProcessPoolExecutor, out: Path, cases: Sequence[Case], *, every: bool, demo: bool) -> list[Found]:
    """Build what the audits need, and do them."""
    root = building.root(out)
    shown = [pool.submit(demonstration.audited, out / "audits")] if demo else []  # the longest, beside all else
    wanted = {case: DEFECTS[case.defect].course if case.defect else "sound" for case in cases}
    courses = [course for course in COURSES if course in wanted.values()]
    _done([pool.submit(building.draw, root, data, courses) for data in dict.fromkeys(case.data for case in cases)])
    networks = dict.fromkeys(Built(root, case.data, course, case.network) for case, course in wanted.items())
    _done([pool.submit(building.trained, network) for network in networks])
    audits = [pool.submit(running.audited, root, out / "audits", case, every=every) for case in cases]
    return _done([*shown, *audits])


def _done(tasks: Sequence[Future[Any]]) -> list[Any]:
    """Wait for tasks, say what comes of each, and return that in their order."""
    for number, task in enumerate(as_completed(tasks), start=1):
        result = task.result()
        print(f"{number:3} of {len(tasks)}  {_line(result) if isinstance(result, Found) else result}", flush=True)
    return [task.result() for task in tasks]


def _line(found: Found) -> str:
    name = " ".join((found.case.data, found.case.network, found.case.defect or "sound"))
    verdict = ("found" if found.finders() else "MISSED") if found.case.defect else ""
    return f"{name:45} {verdict:6} {', '.join(sorted(found.fired))}"


if __name__ == "__main__":
    main()
