"""A PDF in a process of its own, because the libraries that lay it out can end a process without an exception.

Pango does so where it finds no font. The process therefore has DejaVu, which comes with matplotlib, as its last font.
The audit reaches it as its record, so a PDF that is rendered later is the same.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

from auditor.errors import AuditorError, OutputError
from auditor.language import speaking
from auditor.process.console import say
from auditor.process.foreign_text import printable
from auditor.report import brief, pdf, record
from auditor.results import Audit

_SAVE: Mapping[str, Callable[[Audit, Path, Sequence[Path]], None]] = {pdf.NAME: pdf.save, brief.NAME: brief.save}
_REFUSED, _UNWRITABLE = 4, 5
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from auditor.report.pdf_process import main; sys.exit(main())"
_SECONDS = 900  # for a layout; that of a report of 100 pages takes 30
_PACKAGES = Path(__file__).parents[2]


def save(audit: Audit, folder: Path, folders: Sequence[Path] = (), *, name: str) -> None:
    """Write `report.pdf` or `summary.pdf`.

    Args:
        name: The name of the file.

    Raises:
        OutputError: The file can't be written, or its process died.
        OSError: The disk is full, or the folder can't be written.
    """
    task = pickle.dumps((name, folder.absolute(), tuple(folders), *record.contents(audit)))
    with tempfile.TemporaryDirectory(prefix=".fonts-", dir=folder) as temporary:
        environment = {**os.environ, "FONTCONFIG_FILE": str(_fonts(Path(temporary)))}
        _raise(name, _ended(name, task, environment))
    if not (folder / name).is_file():
        raise OutputError(f"{name} could not be written: its process ended without writing it")


def main() -> int:
    """Write the PDF of the audit on stdin; return an exit code that `save` turns into an error."""
    name, folder, folders, text, pictures = pickle.load(sys.stdin.buffer)  # noqa: S301 - from `save`, in our own pipe
    audit = record.parsed(text, pictures.__getitem__)
    try:
        with speaking(audit.provenance.language):
            _SAVE[name](audit, folder, folders)
    except AuditorError as error:
        say(printable(str(error)))
        return _REFUSED
    except OSError as error:
        say(str(error.errno or 0))
        return _UNWRITABLE
    return 0


def _ended(name: str, task: bytes, environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - this interpreter and this module, without a shell
            [sys.executable, "-P", "-c", _CODE, str(_PACKAGES)],
            input=task,
            capture_output=True,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OutputError(
            f"{name} could not be written: its layout took longer than {_SECONDS} s; leave it out with --format"
        ) from None


def _raise(name: str, ended: subprocess.CompletedProcess[bytes]) -> None:
    said = ended.stdout.decode("utf-8", "replace").strip()
    if ended.returncode == _UNWRITABLE and said.isdecimal():
        raise OSError(int(said), os.strerror(int(said)))
    if ended.returncode == _REFUSED and said:
        raise OutputError(said)
    if ended.returncode:
        last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise OutputError(
            f"{name} could not be written: its process {_end(ended.returncode)}{f' ({last})' if last else ''}; "
            "leave out this format with --format"
        )


def _end(code: int) -> str:
    try:
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"broke with exit code {code}"
    except ValueError:
        return f"was ended by signal {-code}"


def _fonts(folder: Path) -> Path:
    """Write a configuration of fontconfig: the user's own, and the fonts of matplotlib."""
    own = os.environ.get("FONTCONFIG_FILE") or "fonts.conf"  # a name without a path is looked up where fontconfig does
    matplotlib = find_spec("matplotlib")
    fonts = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" if matplotlib and matplotlib.origin else None
    written = folder / "auditor-fonts.conf"
    written.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f'<include ignore_missing="yes">{escape(own)}</include>'
        + (f"<dir>{escape(str(fonts))}</dir>" if fonts else "")
        + f"<cachedir>{escape(str(folder))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    return written
