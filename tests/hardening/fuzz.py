"""Fuzz the readers: mutated files, each of which has to be read or refused in one line.

    python -m tests.hardening.fuzz --seconds 600              # all targets in turn
    python -m tests.hardening.fuzz --target image --cases 500 --seed 7

A case is made from the seed, the target's name and its number, so that it can be made again. It runs in a process of
its own, with limits on time and memory. A finding is an exception that is no `AuditorError`, a process that dies, a
file that takes too long or too much memory. It is written to `.cache/fuzz` in its smallest form that was found, with
the traceback. Exit code 1: there are findings.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Process, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from tests.hardening.mutation import mutated
from tests.hardening.targets import TARGETS, Target

MEMORY = 2 * 2**30
"""Bytes that a case may take, beyond what the process has when it begins."""

_ROUND = 200
"""Cases of one target before the next one has its turn."""


@dataclass(frozen=True)
class Limits:
    """Of one case."""

    seconds: float = 30.0
    memory: int = MEMORY


@dataclass(frozen=True)
class Finding:
    """A file that a reader neither reads nor refuses.

    Attributes:
        kind: `raised`, `died`, `hung` or `memory`.
        signature: The same for files that fail in the same way.
        told: The traceback.
    """

    target: str
    kind: str
    signature: str
    told: str
    content: bytes
    case: int = -1

    def save(self, folder: Path, seed: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(self.content).hexdigest()[:12]
        path = folder / f"{self.target}-{digest}{TARGETS[self.target].suffix}"
        path.write_bytes(self.content)
        path.with_suffix(".txt").write_text(
            f"{self.kind}: {self.signature}\ntarget {self.target}, seed {seed}, case {self.case}\n\n{self.told}"
        )
        return path


@dataclass
class Tally:
    """What came of the cases of a target."""

    cases: int = 0
    read: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)


def case(target: str, seed: int, number: int, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Return the content of a case."""
    random = Random(f"{seed}:{target}:{number}")
    return mutated(random, random.choice(seeds), seeds, tokens)


class Reader:
    """A process that reads one file after another, replaced where one of them ends it."""

    def __init__(self, target: Target, limits: Limits, folder: Path) -> None:
        self.target, self.limits, self.folder = target, limits, folder
        self.crash = folder / "crash.txt"
        self._process: Process | None = None
        self._pipe: Any = None

    def outcome(self, content: bytes) -> tuple[str, str, str]:
        """Return what came of a file: `read` or `refused`, or a finding's kind, with its signature and traceback."""
        if self._process is None:
            self._begin()
        self._pipe.send_bytes(content)
        begun = time.monotonic()
        while time.monotonic() - begun < self.limits.seconds:
            try:
                if self._pipe.poll(0.5):
                    return self._pipe.recv()  # type: ignore[no-any-return]
            except (EOFError, OSError):
                return self._died()
        return self._hung()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def _begin(self) -> None:
        context = get_context("fork")  # torch is imported once
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.target, other, self.limits, self.folder, self.crash))
        self._process.start()
        other.close()

    def _died(self) -> tuple[str, str, str]:
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self._ended("died", how)

    def _hung(self) -> tuple[str, str, str]:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGABRT)  # faulthandler then writes where it is
        self._process.join(5)
        return self._ended("hung", f"over {self.limits.seconds:.0f} s")

    def _ended(self, kind: str, how: str) -> tuple[str, str, str]:
        told = self.crash.read_text(errors="replace") if self.crash.exists() else ""
        self.close()
        places = [line.strip() for line in told.splitlines() if "auditor/" in line][:1]
        return kind, f"{how} {' '.join(places)}".strip(), told


def _serve(target: Target, pipe: Connection, limits: Limits, folder: Path, crash: Path) -> None:
    """Read files until the pipe is closed, and say of each what came of it."""
    with crash.open("w") as file:
        faulthandler.enable(file)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        held = _memory("VmSize") + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (held, held))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        while True:
            try:
                content = pipe.recv_bytes()
            except EOFError:
                return
            pipe.send(_read(target, content, folder, limits))


def _read(target: Target, content: bytes, folder: Path, limits: Limits) -> tuple[str, str, str]:
    path = folder / f"case{target.suffix}"
    path.write_bytes(content)
    before = _memory("VmHWM")
    try:
        kind = "read" if target.accepts(path) else "refused"
    except MemoryError as error:
        return "memory", _signature(error), traceback.format_exc()
    except Exception as error:
        return "raised", _signature(error), traceback.format_exc()
    taken = _memory("VmHWM") - before
    if taken > limits.memory // 4:
        return "memory", "takes over a quarter of the limit", f"{taken / 2**20:.0f} MiB for {len(content)} bytes"
    return kind, "", ""


def _signature(error: BaseException) -> str:
    """Return the type of an exception, and the last line of the project that it passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/auditor/" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
    return f"{type(error).__name__} {place}".strip()


def _memory(name: str) -> int:
    """Return a number of bytes that Linux tells of this process, such as `VmHWM`, the most it has held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def smallest(reader: Reader, finding: Finding, most: int = 200) -> Finding:
    """Return the finding with as much cut out of its file as leaves the signature the same."""
    content, step, tries = finding.content, len(finding.content) // 2, 0
    while step and tries < most and finding.kind != "hung":
        at = 0
        while at < len(content) and tries < most:
            shorter, tries = content[:at] + content[at + step :], tries + 1
            kind, signature, _ = reader.outcome(shorter)
            if (kind, signature) == (finding.kind, finding.signature):
                content = shorter
            else:
                at += step
        step //= 2
    return Finding(finding.target, finding.kind, finding.signature, finding.told, content, finding.case)


def run(
    targets: Sequence[str], *, seed: int, cases: int | None, seconds: float | None, limits: Limits, folder: Path
) -> dict[str, Tally]:
    """Fuzz the targets in turn, until each had its number of cases or the time is over; save and print findings."""
    tallies = {name: Tally() for name in targets}
    end = time.monotonic() + seconds if seconds else float("inf")
    with tempfile.TemporaryDirectory() as work:
        open_: dict[str, tuple[Reader, list[bytes]]] = {}
        try:
            for name in _turns(targets, tallies, cases, end):
                if name not in open_:
                    own = Path(work, name)
                    own.mkdir()
                    open_[name] = Reader(TARGETS[name], limits, own), TARGETS[name].seeds(own)
                _one(name, *open_[name], seed, tallies[name], folder)
        finally:
            for reader, _ in open_.values():
                reader.close()
    return tallies


def _turns(targets: Sequence[str], tallies: dict[str, Tally], cases: int | None, end: float) -> Iterator[str]:
    """Yield whose turn it is: a round of cases, or a few seconds, of one target after the other."""
    going = list(targets)
    while going:
        for name in list(going):
            until = min(end, time.monotonic() + 10)
            for _ in range(_ROUND):
                if cases is not None and tallies[name].cases >= cases:
                    going.remove(name)
                    break
                if time.monotonic() > until:
                    break
                yield name
            if time.monotonic() > end:
                return


def _one(name: str, reader: Reader, seeds: Sequence[bytes], seed: int, tally: Tally, folder: Path) -> None:
    number, target = tally.cases, TARGETS[name]
    content = case(name, seed, number, seeds, target.tokens)
    kind, signature, told = reader.outcome(content)
    tally.cases += 1
    tally.read += kind == "read"
    if kind in ("read", "refused"):
        return
    tally.again[f"{kind} {signature}"] += 1
    if f"{kind} {signature}" not in tally.findings:
        found = smallest(reader, Finding(name, kind, signature, told, content, number))
        tally.findings[f"{kind} {signature}"] = found
        path = found.save(folder, seed)
        print(f"{name}: {kind} {signature}: {path}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hardening.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="a reader; all without it")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--cases", type=int, help="stop after this number of cases of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds that one file may take")
    parser.add_argument("--out", type=Path, default=Path(".cache/fuzz"), help="the folder of findings")
    given = parser.parse_args(arguments)
    if given.seconds is None and given.cases is None:
        parser.error("give --seconds or --cases")
    chosen = given.target or list(TARGETS)
    limits = Limits(given.limit)
    tallies = run(chosen, seed=given.seed, cases=given.cases, seconds=given.seconds, limits=limits, folder=given.out)
    print(f"{'target':<16} {'cases':>8} {'read':>8} {'findings':>8}")
    for name, tally in tallies.items():
        print(f"{name:<16} {tally.cases:>8} {tally.read:>8} {len(tally.findings):>8}")
        for told, times in tally.again.items():
            print(f"  {times} x {json.dumps(told)}")
    return int(any(tally.findings for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
