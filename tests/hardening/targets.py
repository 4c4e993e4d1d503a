"""A target for each reader of files that other people made: it accepts the file or refuses it in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from auditor import comparison, plugins
from auditor.comparison import explanations, pair
from auditor.config import branding
from auditor.config import file as configfile
from auditor.config import settings as config
from auditor.data import class_names, image, manifest
from auditor.data.preprocessing import Preprocess
from auditor.errors import AuditorError
from auditor.model.files import checkpoint
from auditor.report import html, record, templates
from auditor.report.album import Album
from auditor.report.blocks import SCREEN
from auditor.report.page import page_of
from auditor.sweep.resume import Bookmark, Damaged
from tests.hardening import corpus
from tests.report import sample_audits

PICKLED = (b"\x80\x02", b"\x8a\x08", b"X\x00\x00\x00\x7f", b"K\x00", b"h\x00", *(bytes([c]) for c in b"RQ.}(tb\x85"))
PICKLED += (b"c__builtin__\neval\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n")
HEADER = (b"F32", b"data_offsets", b"[0,")
SCRIPT = (b"torch.", b"def ", b"\n  ", b"ops.", b"\xff")
PROGRAM = (b"s0", b"as_tensor", b"torch.ops.aten.", b"\xff")
MARKUP = tuple(b"<script> <!ENTITY <use url( @import &x; <svg> \\ ]]> </g> <?xml xlink:href= \xff".split())
TABLES = (*b', " ; [ { path label'.split(), b"\n", b"\r", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80")
TOML = (*b"[ ] [[a]] = \"\"\" ' {a=1} # inf nan 1e999 1979-05-27 \\u0000 a.b.c true [checks] -1 \xff".split(),
        b"[checks.predictions]\n", b"\n", b"9" * 400, b"[" * 900)  # fmt: skip
JINJA = (*b"{{ }} {% %} {# | .__class__ [0] () range(99) * ** loop caller() |attr('__class__')".split(),
         b"{% include 'x' %}", b"{% extends 'report.html' %}", b"{% block body %}", b"{{ 1 // 0 }}")  # fmt: skip
ARRAYS = (b"\x93NUMPY\x01\x00", b"'descr': '|O'", *b"'<f8' '<U4' (9,) (-1,) (99999999999,) True".split())


@dataclass(frozen=True)
class Target:
    """A reader and what the fuzzing needs to know of it.

    Attributes:
        suffix: The end of the file's name.
        seeds: Return valid files; it is given an empty folder.
        read: Read a file. Anything but `AuditorError` is a finding.
        tokens: Bytes that mean something in this format.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    tokens: tuple[bytes, ...] = ()

    def accepts(self, path: Path) -> bool:
        """Return whether the file is read; False if it is refused in one line."""
        try:
            self.read(path)
        except AuditorError as error:
            line = str(error)
            assert line, "the error says nothing"
            assert "\n" not in line, f"the error has several lines: {line!r}"
            return False
        return True


def _preprocessed(path: Path) -> None:
    settings = config.load(Path("net.pt"), {"preprocess": str(path)}, checks={})
    if isinstance(settings.preprocess, dict):
        Preprocess.of(settings.preprocess)


def _configured(path: Path) -> None:
    file = configfile.read(path)
    assert file.plugins is not None
    config.load(Path("net.pt"), {}, file=file, checks=_checks(), beside=comparison.DECLARED)


@cache
def _checks() -> Any:
    return plugins.load().checks


def _records(folder: Path) -> list[bytes]:
    record.save(sample_audits.full(), folder)
    return [(folder / record.NAME).read_bytes()]


def _reported(path: Path) -> None:
    path.replace(path.parent / record.NAME)
    html.text(record.read(path.parent))


def _compared(path: Path) -> None:
    ours = pair.Source(sample_audits.full())
    comparison.compared(pair.Pair(pair.read(path), ours))


def _arrays(_: Path) -> list[bytes]:
    maps = {f"{name}/gradient": np.ones((2, 4, 4), dtype=np.float32) for name in ("a.png", "b.png")}
    return [save({**maps, "a.png/classes": np.array([0, 1]), "b.png/classes": np.array([1, 0])})]


def _correlated(path: Path) -> None:
    saved = {check: pair.Saved(path) for check in ("saliency", "occlusion")}
    source = pair.Source(sample_audits.full(), "", saved)
    explanations.correlations(pair.Pair(source, source))


def _resumed(path: Path) -> None:
    mark = Bookmark(path.parent, {})
    path.replace(mark.path)
    try:
        mark.open(corpus.filled())
    except Damaged as error:
        raise AuditorError("damaged") from error


@cache
def _page() -> Any:
    return page_of(sample_audits.full(), SCREEN, Album())


def _rendered(path: Path) -> None:
    path.replace(path.parent / html.NAME)
    templates.render(html.NAME, _page(), [path.parent], style="", script="", policy="", compressed=False)


TARGETS: dict[str, Target] = {
    "pickle": Target(".pt", lambda _: corpus.pickles(), checkpoint.read, PICKLED),
    "safetensors": Target(".safetensors", lambda _: corpus.safetensors(), checkpoint.read, HEADER),
    "torchscript": Target(".pt", lambda _: corpus.torchscript(), checkpoint.read, SCRIPT),
    "exported": Target(".pt2", lambda _: corpus.exported(), checkpoint.read, PROGRAM),
    "image": Target(".png", lambda _: corpus.images(), image.decode),
    "manifest-csv": Target(".csv", lambda _: corpus.MANIFESTS[".csv"], manifest.read, TABLES),
    "manifest-jsonl": Target(".jsonl", lambda _: corpus.MANIFESTS[".jsonl"], manifest.read, TABLES),
    "classes-text": Target(".txt", lambda _: corpus.CLASS_NAMES[".txt"], class_names.class_names, TABLES),
    "classes-json": Target(".json", lambda _: corpus.CLASS_NAMES[".json"], class_names.class_names, TABLES),
    "preprocess-toml": Target(".toml", lambda _: corpus.PREPROCESS[".toml"], _preprocessed, TOML),
    "preprocess-json": Target(".json", lambda _: corpus.PREPROCESS[".json"], _preprocessed, TABLES),
    "settings": Target(".toml", lambda _: corpus.SETTINGS, _configured, TOML),
    "audit": Target(".json", _records, _compared, TABLES),
    "report": Target(".json", _records, _reported, TABLES),
    "arrays": Target(".safetensors", _arrays, _correlated, (*HEADER, b"/gradient", b"/classes")),
    "logo": Target(".svg", lambda _: corpus.logos(), branding.logo, MARKUP),
    "bookmark": Target(".npz", lambda folder: [corpus.bookmark(folder)], _resumed, ARRAYS),
    "template": Target(".html", lambda _: corpus.TEMPLATES, _rendered, JINJA),
}
