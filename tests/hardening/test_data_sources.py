"""An archive or a table of a stranger is read, read in part, or refused in one line; nothing leads out of it."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.data.listing import listing
from auditor.errors import DataError
from tests.data.sources import made

PNG = made.IMAGES[0][2]
MOST = 2**22
BOMB = b"\0" * (8 * 2**20)
OUT = "its name leads out of the archive"
LINK = "a link inside of an archive, not a regular file"


def tried(place: Path | str) -> dict[str, str] | str:
    """Return what reading each image gave, or the line of the error."""
    try:
        found = listing(str(place))
    except DataError as error:
        return str(error)
    outcomes = {}
    for index, name in enumerate(found.names):
        try:
            outcomes[name] = "read" if found.source.content(index, most=MOST) == PNG else "wrong"
        except OSError as error:
            outcomes[name] = error.strerror or "no reason"
    return outcomes


def tar(root: Path, *members: tuple[str, bytes]) -> Path:
    """Write a tar archive of pictures and, where the kind is not that of a file, of something else."""
    with tarfile.open(root / "a.tar", "w") as archive:
        for name, kind in members:
            about = tarfile.TarInfo(name)
            about.type, about.linkname, about.size = kind, "/etc/passwd", len(PNG) if kind == tarfile.REGTYPE else 0
            archive.addfile(about, io.BytesIO(PNG))
    return root / "a.tar"


def resized(root: Path, field: bytes) -> Path:
    """Write a tar archive whose first header declares another size, with the right checksum."""
    path = tar(root, ("cat/1.png", tarfile.REGTYPE), ("cat/2.png", tarfile.REGTYPE))
    content = bytearray(path.read_bytes())
    content[124:136], content[148:156] = field, b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    return path


def sparse(root: Path) -> Path:
    path = tar(root, ("cat/1.png", tarfile.REGTYPE))
    os.truncate(path, 2**40)
    return path


def zipped(root: Path, *members: tuple[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.create_system, about.external_attr, about.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(about, content)
    return root / "a.zip"


def patched(path: Path, offset: int, value: int) -> Path:
    """Write another number into the first entry of the index of a zip archive."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, content.find(b"PK\x01\x02") + offset, value)
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    os.truncate(path, int(path.stat().st_size * share))
    return path


def large_page(root: Path) -> Path:
    pq.write_table(pa.table({"image": [BOMB, PNG], "label": [0, 1]}), root / "a.parquet", compression="zstd")
    return root / "a.parquet"


def named_elsewhere(root: Path) -> Path:
    place = Path(made.dataset(root))
    (place / "state.json").write_text('{"_data_files": [{"filename": "../../etc/passwd"}]}')
    return place


def fifo(root: Path) -> Path:
    os.mkfifo(root / "a.tar")
    return root / "a.tar"


TWO = (("cat/1.png", PNG), ("cat/2.png", PNG))

READ_IN_PART: dict[str, tuple[Callable[[Path], Path], dict[str, str]]] = {
    "names that lead out of a tar": (
        lambda root: tar(root, *[(name, tarfile.REGTYPE) for name in ("../x/1.png", "/abs/2.png", "cat/3.png")]),
        {"x_1.png": OUT, "abs_2.png": OUT, "cat/3.png": "read"},
    ),
    "links and devices in a tar": (
        lambda root: tar(root, ("a/1.png", b"2"), ("a/2.png", b"1"), ("a/3.png", b"3"), ("a/4.png", b"6")),
        {
            "a/1.png": LINK,
            "a/2.png": LINK,
            "a/3.png": LINK.replace("link", "device"),
            "a/4.png": LINK.replace("link", "FIFO"),
        },
    ),
    "size over the file": (
        lambda root: resized(root, b"77777777777\0"),
        {"cat/1.png": "cut: the archive ends before it"},
    ),
    "size below zero": (lambda root: resized(root, b"\xff" * 12), {"cat/1.png": "cut: the archive ends before it"}),
    "tar of a terabyte": (sparse, {"cat/1.png": "read"}),
    "names that lead out of a zip": (
        lambda root: zipped(root, ("..\\..\\x.png", PNG), ("C:/w.png", PNG), ("cat/3.png", PNG)),
        {"x.png": OUT, "C:_w.png": OUT, "cat/3.png": "read"},
    ),
    "links in a zip": (lambda root: zipped(root, ("a/1.png", b"/etc/passwd"), mode=0o120777), {"a/1.png": LINK}),
    "zip bomb": (
        lambda root: zipped(root, ("cat/1.png", BOMB), ("cat/2.png", PNG)),
        {"cat/1.png": f"larger than {MOST:,} bytes", "cat/2.png": "read"},
    ),
    "zip bomb that declares little": (
        lambda root: patched(zipped(root, ("cat/1.png", BOMB), ("cat/2.png", PNG)), 24, 1000),
        {
            "cat/1.png": "damaged: its size or its checksum is not the one that the index declares",
            "cat/2.png": "read",
        },
    ),
    "wrong checksum": (
        lambda root: patched(zipped(root, *TWO), 16, 1),
        {
            "cat/1.png": "damaged: its size or its checksum is not the one that the index declares",
            "cat/2.png": "read",
        },
    ),
    "large page": (large_page, {"a.parquet/0": f"larger than {MOST:,} bytes", "a.parquet/1": "read"}),
}

REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "overlapping members": (lambda root: patched(zipped(root, *TWO), 20, 10_000), "its members overlap"),
    "members that lie at one place": (lambda root: patched(zipped(root, *TWO), 42, 1600), "its members overlap"),
    "zip cut": (lambda root: cut(zipped(root, *TWO), 0.9), "its index is missing; is it whole?"),
    "Parquet cut": (lambda root: cut(Path(made.parquet(root)), 0.9), "can't be read: damaged"),
    "Arrow cut": (lambda root: cut(Path(made.dataset(root)) / "data-00000-of-00002.arrow", 0.5), "damaged"),
    "state that leads out": (named_elsewhere, "names no files of its folder in state.json"),
    "FIFO": (fifo, "a.tar is a file; expected"),
}


@pytest.mark.parametrize(("make", "expected"), READ_IN_PART.values(), ids=READ_IN_PART)
def test_what_harms_is_unreadable_and_the_rest_is_read(
    make: Callable[[Path], Path], expected: dict[str, str], tmp_path: Path
) -> None:
    assert tried(make(tmp_path)) == expected


@pytest.mark.parametrize(("make", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_itself_is_refused_in_one_line(
    make: Callable[[Path], Path], expected: str, tmp_path: Path
) -> None:
    line = tried(make(tmp_path))
    assert isinstance(line, str)
    assert expected in line
    assert line.isprintable()


@pytest.mark.parametrize("make", [made.zip_of_folders, made.tar_of_folders, made.parquet, made.dataset])
def test_a_damaged_byte_ends_in_no_other_exception(make: Callable[[Path], str], tmp_path: Path) -> None:
    place = Path(make(tmp_path))
    file = place / "data-00000-of-00002.arrow" if place.is_dir() else place
    whole, random = file.read_bytes(), np.random.default_rng(0)
    for _round in range(40):
        content = bytearray(whole)
        for at in random.integers(0, len(whole), 3):
            content[at] = random.integers(256)
        file.write_bytes(content)
        tried(place)


def test_a_tar_that_is_packed_as_a_whole_names_the_command(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(made.class_folders(tmp_path), arcname="pets")
    line = tried(tmp_path / "a.tar.gz")
    assert isinstance(line, str)
    assert "unpack it: tar -xf a.tar.gz" in line
