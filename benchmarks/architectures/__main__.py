"""Audit one architecture of every family of torchvision and timm, and print a table.

    python -m benchmarks.architectures [--only WORD,...] [--check NAME,...] [--out DIR] [--jobs N]

The weights are random, the images few and small: what is measured is whether every check runs on every architecture,
and whether units and Grad-CAM are those of autograd. The table is written to DIR/architectures.md, the facts to
DIR/architectures.json. Exit code 1 if a check broke or a layer differs from autograd.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.architectures.auditing import Row, row
from benchmarks.architectures.families import MEMBERS
from benchmarks.architectures.table import table


def main() -> int:
    asked = _asked()
    os.environ["OMP_NUM_THREADS"] = "1"  # each process has a core
    members = [one for one in MEMBERS if not asked.only or any(word in one.spec for word in asked.only)]
    found: list[Row] = []
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(row, one, asked.out, asked.check) for one in members]
        for done in as_completed(waiting):
            found.append(done.result())
            print(_line(found[-1]), flush=True)
            _write(asked.out, found)
    print(table(found))
    return int(any(one.broken for one in found))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="words in the names")
    parser.add_argument("--check", type=lambda text: text.split(","), default=[], help="checks; all by default")
    parser.add_argument("--out", type=Path, default=Path("reports/architectures"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes, each with one thread")
    return parser.parse_args()


def _line(one: Row) -> str:
    head = f"{one.architecture:40} {one.size:4} {one.equal}/{one.layers} layers equal, {one.seconds:.0f} s"
    return "\n".join([head, *(f"    {text}" for text in one.broken)])


def _write(folder: Path, found: list[Row]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(found, key=lambda one: one.architecture)
    (folder / "architectures.json").write_text(json.dumps([dataclasses.asdict(one) for one in ordered], indent=1))
    (folder / "architectures.md").write_text(table(ordered))


if __name__ == "__main__":
    sys.exit(main())
