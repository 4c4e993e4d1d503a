"""Kills a process that writes a report before each of its file operations, and looks at what is left.

Run as `python -m tests.hardening.killing FOLDER`. It forks, so it must not load torch.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from auditor import report
from auditor.report import folder as place
from auditor.report import journal
from auditor.results import Verdict
from tests.report.sample_audits import audit, maps, predictions

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
OLD, NEW = audit(predictions(), maps()), audit(predictions(Verdict.PASS))
FORMATS = ("json", "junit", "summary")
MINE = {"notes.txt": b"mine", "evidence/predictions/mine.png": b"my picture", "evidence/maps/notes.txt": b"also mine"}


def written(out: Path) -> None:
    report.write(NEW, out, formats=FORMATS)


def begun(out: Path) -> None:
    with place.claimed(out) as claim:
        claim.begin()
        (out.parent / "begun").touch()
        report.write(NEW, out, formats=FORMATS, claim=claim)


def rendered(out: Path) -> None:
    report.render(out, formats=("summary", "sarif"))


def contents(out: Path) -> dict[str, bytes]:
    """Return the files of a folder by path, without those of the user and the hidden ones."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name not in MINE and not name.startswith(".auditor")}


def killed_before(number: int, act: Callable[[Path], None], out: Path) -> bool:
    """Run `act` in a forked process that dies before its change of that number; return whether it died."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            changes = event in CHANGES or (event == "open" and arguments[1] not in ("r", "rb", None))
            if changes and str(out) in str(arguments[0]):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act(out)
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise AssertionError(f"{act.__name__} broke")
    return os.WIFSIGNALED(status)


def every_moment(act: Callable[[Path], None], template: Path, after: dict[str, bytes]) -> int:
    """Kill before every change; what is left has to be the old report or the new one. Return the number of kills."""
    before, number, out = contents(template), 0, template.parent / "out"
    while True:
        shutil.rmtree(out, ignore_errors=True)
        (out.parent / "begun").unlink(missing_ok=True)
        shutil.copytree(template, out)
        died = killed_before(number, act, out)
        if (out.parent / "begun").exists():
            lying = contents(out).items() & before.items()
            assert not lying, f"a begun run leaves the older {dict(lying).keys()}"
        place.recover(out)
        left, aside = contents(out), journal.previous(out)
        if aside is not None:
            assert left == {}, f"{number}: {sorted(left)}"
            left = contents(aside)
        assert left in (before, after), f"{act.__name__} killed before change {number}: {sorted(left)}"
        assert {name: (out / name).read_bytes() for name in MINE} == MINE
        assert aside or not list(out.glob(".auditor*")), f"{number}: left over"
        written(out)
        assert report.read(out) == NEW
        assert not list(out.glob(".auditor*"))
        assert {name: (out / name).read_bytes() for name in MINE} == MINE
        if not died:
            assert left == after
            return number
        number += 1


def some_moments(count: int, template: Path, out: Path) -> int:
    """Kill a process that writes one report after the other at random moments; return how often it was killed."""
    draw = random.Random(0)  # noqa: S311 - no secret
    for _ in range(count):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(template, out)
        child = os.fork()
        if child == 0:
            while True:
                for act in (begun, rendered, written):
                    act(out)
                report.write(OLD, out, formats=FORMATS)
        time.sleep(draw.uniform(0.0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        place.recover(out)
        assert report.read(journal.previous(out) or out) in (OLD, NEW)
        assert {name: (out / name).read_bytes() for name in MINE} == MINE
        written(out)
        assert report.read(out) == NEW
        assert not list(out.glob(".auditor*"))
    return count


def main(folder: Path) -> None:
    """Print what was done and how many kills it took, a line each."""
    template = folder / "template"
    report.write(OLD, template, formats=FORMATS)
    for name, data in MINE.items():
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_bytes(data)
    for act in (written, begun, rendered):
        done = folder / f"done-{act.__name__}"
        shutil.copytree(template, done)
        act(done)
        (folder / "begun").unlink(missing_ok=True)
        sys.stdout.write(f"{act.__name__} {every_moment(act, template, contents(done))}\n")
    sys.stdout.write(f"random {some_moments(20, template, folder / 'out')}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
