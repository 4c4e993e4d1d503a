"""Bad inputs of every kind for every flag: each ends with exit code 4 and one line, and nothing is written."""

import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from auditor import report
from tests import folders, networks
from tests.report import sample_audits

ROOT = Path(__file__).parents[2]
GIVEN = "GIVEN"
HTML = "<!doctype html><html><body>Sign in to download this file</body></html>\n"
DEEP = 100_000

ODD = {
    "missing": "nowhere/x",
    "below a file": "empty.txt/x",
    "a folder": "empty-folder",
    "a FIFO": "fifo",
    "a FIFO behind a link": "link-to-fifo",
    "an endless device": "/dev/zero",
    "the null device": "/dev/null",
    "a socket": "socket",
    "unreadable": "unreadable.txt",
    "in an unreadable folder": "unreadable/x",
    "a circle of links": "circle",
    "a link to nothing": "dangling",
    "a name that is too long": "x" * 300,
    "a path that is too long": "x/" * 3000,
    "NUL": "a\0b",
    "an address": "https://example.org/net.pt",
    "no home": "~nobody-of-this-name/x",
    "empty text": "",
    "blank text": "  ",
}
"""Paths by what is there."""

FLAGS = {
    "run CHECKPOINT": ["run", GIVEN, "--out", "out"],
    "inspect CHECKPOINT": ["inspect", GIVEN],
    "--data": ["run", "net.pt", "--arch", "tiny.py:Tiny", "--data", GIVEN, "--out", "out"],
    "--classes": ["run", "net.pt", "--arch", "tiny.py:Tiny", "--classes", GIVEN, "--out", "out"],
    "--preprocess": ["run", "net.pt", "--arch", "tiny.py:Tiny", "--preprocess", GIVEN, "--out", "out"],
    "--config": ["run", "net.pt", "--config", GIVEN, "--out", "out"],
    "--baseline": ["run", "net.pt", "--baseline", GIVEN, "--out", "out"],
    "--templates": ["run", "net.pt", "--templates", GIVEN, "--out", "out"],
    "render": ["render", GIVEN],
    "compare A": ["compare", GIVEN, "report"],
    "compare B": ["compare", "report", GIVEN],
    "--arch": ["run", "net.pt", "--arch", f"{GIVEN}.py:Net", "--out", "out"],
}
"""Command lines in which a path stands; any path above is refused there."""

FINE = {("--templates", "a folder"), ("--arch", "empty text"), ("--arch", "blank text")}

PREPROCESS = {
    "a list": "[]",
    "a text": '"imagenet"',
    "a number": "3",
    "null": "null",
    "no JSON": "{resize = 3}",
    "a table of a list": '{"preprocess": []}',
    "an unknown key": '{"resise": 32}',
    "a negative size": '{"resize": -1}',
    "no size": '{"crop": 0}',
    "an endless size": '{"crop": 1e999}',
    "a size too large": '{"crop": 100000}',
    "a size of many digits": '{"crop": 1' + "0" * 5000 + "}",
    "half a pixel": '{"resize": 0.5}',
    "three sides": '{"resize": [1, 2, 3]}',
    "no sides": '{"resize": []}',
    "a crop over the size": '{"resize": 32, "crop": 64}',
    "a size as text": '{"resize": "big"}',
    "a switch as size": '{"resize": true}',
    "two means": '{"mean": [0, 0]}',
    "a mean as text": '{"mean": "x"}',
    "mean NaN": '{"mean": [NaN, 0, 0]}',
    "mean infinite": '{"mean": Infinity}',
    "mean null": '{"mean": [null, 0, 0]}',
    "std zero": '{"std": 0}',
    "std negative": '{"std": [-1, 1, 1]}',
    "std infinite": '{"std": 1e999}',
    "another scale": '{"scale": 2}',
    "scale as text": '{"scale": "255"}x',
    "another colour": '{"color": "cmyk"}',
    "colour as list": '{"color": ["rgb"]}',
    "another interpolation": '{"interpolation": "magic"}',
    "interpolation as number": '{"interpolation": 3}',
    "invert as text": '{"invert": "perhaps"}',
    "nested deeply": "[" * DEEP + "]" * DEEP,
    "objects nested deeply": '{"mean":' * DEEP + "0" + "}" * DEEP,
    "not UTF-8": b"\xff\xfe{\x00}\x00",
    "binary": bytes(range(256)),
    "empty": "",
    "HTML": HTML,
}

CLASSES = {
    "names.txt": {
        "empty": "",
        "blank lines": "\n\n\n",
        "a blank name": "a\n\nb\nc\n",
        "too few": "a\nb\n",
        "too many": "a\nb\nc\nd\ne\n",
        "far too many": "x\n" * 300_000,
        "not UTF-8": b"\xff\xfea\x00\n\x00",
        "binary": bytes(range(256)) * 10,
        "an image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "HTML": HTML,
    },
    "names.json": {
        "empty": "",
        "no JSON": "{a: 1}",
        "a number": "3",
        "a text": '"abcd"',
        "null": "null",
        "numbers": "[1, 2, 3, 4]",
        "null names": "[null, null, null, null]",
        "blank names": '["a", "", "c", "d"]',
        "objects": '[{"a": 1}, {}, {}, {}]',
        "no index": '{"a": "b", "c": "d"}',
        "gaps": '{"0": "a", "2": "b"}',
        "negative indices": '{"a": -1, "b": 0, "c": 1, "d": 2}',
        "an index twice": '{"a": 0, "b": 0, "c": 1, "d": 2}',
        "endless indices": '{"a": Infinity, "b": 0}',
        "NaN": '{"a": NaN, "b": 0, "c": 1, "d": 2}',
        "an index of many digits": '{"' + "9" * 5000 + '": "a"}',
        "switches": '{"a": true, "b": false}',
        "nested deeply": "[" * DEEP + "]" * DEEP,
        "lists of lists": "[[[]], [[]], [[]], [[]]]",
    },
}

MANIFESTS = {
    "data.csv": {
        "empty": "",
        "only a header": "path,label\n",
        "blank": "\n\n , \n",
        "no path column": "label,weight\n0,1\n",
        "no label column": "path,lable\nphotos/cat/0.png,cat\n",
        "three columns": "a.png,cat,1\n",
        "a row without a path": "path,label\n,cat\n",
        "an open quote": 'path,label\n"photos/cat/0.png,cat\n',
        "text after a quote": 'path,label\n"a"b,cat\n',
        "a label that is no class": "path,label\nphotos/cat/0.png,unicorn\n",
        "a negative label": "path,label\nphotos/cat/0.png,-1\n",
        "NaN as label": "path,label\nphotos/cat/0.png,nan\n",
        "infinity as label": "path,label\nphotos/cat/0.png,inf\n",
        "a label of many digits": "path,label\nphotos/cat/0.png," + "9" * 5000 + "\n",
        "half a label": "path,label\nphotos/cat/0.png,0.5\n",
        "NUL": "path,label\nphotos/\0cat/0.png,0\n",
        "NUL in a label": "path,label\nphotos/cat/0.png,\0\n",
        "not UTF-8": b"path,label\n\xff\xfe,cat\n",
        "UTF-16": "path,label\na,cat\n".encode("utf-16"),
        "binary": bytes(range(256)) * 10,
        "a huge field": "path,label\n" + "x" * 200_000 + ",cat\n",
        "HTML": HTML + "<p>a,b,c,d</p>\n",
    },
    "data.jsonl": {
        "empty": "",
        "no JSON": "path: a\n",
        "half of JSON": '{"path": "photos/cat/0.png", "label":\n',
        "a number": "3\n",
        "null": "null\n",
        "an empty list": "[]\n",
        "a long list": '["a", "b", "c"]\n',
        "no path": '{"label": "cat"}\n',
        "a path that is a number": '{"path": 3}\n',
        "a path that is null": '{"path": null, "label": "cat"}\n',
        "an empty path": '{"path": "", "label": "cat"}\n',
        "a label that is a list": '{"path": "photos/cat/0.png", "label": ["cat"]}\n',
        "a label that is an object": '{"path": "photos/cat/0.png", "label": {"a": 1}}\n',
        "a label that is true": '{"path": "photos/cat/0.png", "label": true}\n',
        "half a label": '{"path": "photos/cat/0.png", "label": 0.5}\n',
        "NaN as label": '{"path": "photos/cat/0.png", "label": NaN}\n',
        "an endless label": '{"path": "photos/cat/0.png", "label": 1e999}\n',
        "a negative label": '{"path": "photos/cat/0.png", "label": -1}\n',
        "a label over the classes": '{"path": "photos/cat/0.png", "label": 4}\n',
        "a label of many digits": '{"path": "photos/cat/0.png", "label": 1' + "0" * 5000 + "}\n",
        "NUL": '{"path": "photos/\\u0000cat/0.png", "label": "cat"}\n',
        "half a pair": '{"path": "photos/\\ud800.png", "label": "unicorn"}\n',
        "nested deeply": "[" * DEEP + "\n",
    },
    "data.parquet": {"another format": b"PAR1"},
    "data.md": {"text": "photos/cat/0.png\n"},
}

NUMBERS = ("--batch-size", "--workers", "--threads", "--samples", "--seed", "--maxfail", "--durations")
NO_NUMBERS = ("-1", "nan", "inf", "", "1e9", "0x10", "1.5", "\u0663", "abc", "9" * 5000, "1" + "0" * 30, "--", "1\0")
NO_POSITIVE = ("--batch-size", "--threads", "--samples")

OTHERS = {
    "-k": [
        "__import__('os').system('touch ran')",
        "a b",
        "(",
        "a.b",
        "1",
        "lambda: 0",
        "[a]",
        "a if b else c",
        "f'{a}'",
        "a := b",
        "a and",
        "{{ a }}",
        "a[0]",
        "a(b)",
        "a\x00",
        "(" * 5000 + "a" + ")" * 5000,
        "not " * 5000 + "a",
    ],
    "--check": ["", "nothing", "../data", "data\x00", "{{ data }}", "\x1b[2J", "x" * 10_000],
    "--device": [
        "",
        "gpu",
        "cuda:-1",
        "cuda:x",
        "cuda:٣",
        "cuda:999999999999999999999",
        "cpu; touch ran",
        "meta",
        "cpu\n",
    ],
    "--format": ["", ",", "exe", "html;pdf", "../html", "html\x00"],
    "--lang": ["", "xx", "../fr", "fr\x00", "FR"],
    "--arch": [
        ":",
        "timm:",
        "tiny.py:",
        "tiny.py:Nothing",
        "tiny.py:torch",
        "none:x",
        "resnet9999",
        "a\x00b",
        "tiny.py:Tiny()",
        "tiny.py:Tiny.forward",
        "torchvision.models:nothing",
        "..:x",
        "tiny.py:__name__",
        "x" * 10_000,
    ],
    "--arch-arg": ["", "a", "=1", "a b=1", "1=1", "nothing=1", "width=-1", "width=x", "width=1e999"],
    "-o": [
        "",
        "a",
        "a=1",
        "a.b",
        ".b=1",
        "a.=1",
        "nothing.at_all=1",
        "filters.nothing=1",
        "filters.dead_warn=x",
        "filters.dead_warn=",
        "filters.dead_warn=nan",
        "filters.dead_warn=[1]",
        "filters.dead_warn={{ 1 }}",
    ],
    "-p": ["", "nothing.at.all", "../x", "a\x00", "1", "x" * 300],
}


def path_cases() -> Iterator[tuple[str, list[str]]]:
    for flag, arguments in FLAGS.items():
        for kind, path in ODD.items():
            if (flag, kind) not in FINE and not (flag == "--config" and kind == "the null device"):
                yield f"{flag}: {kind}", [argument.replace(GIVEN, path) for argument in arguments]


def content_cases(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Write each content to a file, and yield the command line that names it."""
    tables = {"--preprocess": {"pre.json": PREPROCESS}, "--classes": CLASSES, "--data": MANIFESTS}
    for flag, files in tables.items():
        for file, contents in files.items():
            for number, (kind, content) in enumerate(contents.items()):
                folder = root / f"{flag.strip('-')}-{number}"
                folder.mkdir(exist_ok=True)
                data = content if isinstance(content, bytes) else content.encode()
                (folder / file).write_bytes(data.replace(b"photos/", b"../photos/"))
                given = [flag, f"{folder.name}/{file}"]
                more = [] if flag == "--data" else ["--data", "photos"]
                yield (
                    f"{flag} {file}: {kind}",
                    ["run", "net.pt", "--arch", "tiny.py:Tiny", *given, *more, "--out", "out"],
                )


def value_cases() -> Iterator[tuple[str, list[str]]]:
    begin = ["run", "net.pt", "--data", "photos", "--out", "out"]
    for flag in NUMBERS:
        for value in (*NO_NUMBERS, *(["0"] if flag in NO_POSITIVE else [])):
            yield f"{flag}: {value[:20]!r}", [*begin, "--arch", "tiny.py:Tiny", f"{flag}={value}"]
    for flag, values in OTHERS.items():
        arch = [] if flag == "--arch" else ["--arch", "tiny.py:Tiny"]
        for value in values:
            yield f"{flag}: {value[:40]!r}", [*begin, *arch, flag, value]


def other_cases() -> Iterator[tuple[str, list[str]]]:
    run = ["run", "net.pt", "--arch", "tiny.py:Tiny", "--data", "photos"]
    for kind, out in {
        "a file": "empty.txt",
        "the null device": "/dev/null",
        "the data": "photos",
        "inside the data": "photos/report",
        "a FIFO": "fifo",
        "too long": "x" * 300,
        "a circle": "circle",
        "NUL": "a\0b",
        "empty": "",
    }.items():
        yield f"--out: {kind}", [*run, "--out", out]
    yield "--data: a folder without images", [*run[:-1], "texts", "--out", "out"]
    for arguments in (["fly"], ["run"], ["run", "a", "b"], ["run", "net.pt", "--fly"], ["compare", "a"], ["render"]):
        yield f"usage: {arguments}", arguments
    yield "templates: no folder", ["templates"]
    yield "templates: a folder with files", ["templates", "--export", "photos"]
    yield "checks: no such check", ["checks", "nothing\x1b[2J"]


@pytest.fixture(scope="module")
def here():
    folder = Path(tempfile.mkdtemp(prefix="bad-"))  # not below pytest's own folder, which others can't enter
    folders.noise(folder / "photos", ("cat", "dog", "fox", "owl"), 1, (40, 40))
    networks.write(folder / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), folder / "net.pt")
    report.write(sample_audits.audit(sample_audits.predictions()), folder / "report", formats=("json",))
    (folder / "empty-folder").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "readme.txt").write_text("no image")
    (folder / "empty.txt").write_text("")
    (folder / "unreadable.txt").write_text("a\n")
    (folder / "unreadable.txt").chmod(0)
    (folder / "unreadable").mkdir(mode=0)
    os.mkfifo(folder / "fifo")
    (folder / "link-to-fifo").symlink_to("fifo")
    (folder / "circle").symlink_to("circle")
    (folder / "dangling").symlink_to("nothing")
    folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(folder)
        listening.bind("socket")
        os.chdir(ROOT)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ended(here):
    """Run all command lines, and return how each one ended, by name."""
    cases = [*path_cases(), *content_cases(here), *value_cases(), *other_cases()]
    assert len(dict(cases)) == len(cases) > 200
    (here / "table.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-m", "tests.hardening.refusals", "table.json"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(here / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases), done.stderr
    return found


@pytest.mark.slow
def test_each_is_refused_with_exit_code_4_and_one_line(ended):
    odd = [
        (one["name"], one["code"], one["err"][-300:])
        for one in ended
        if one["code"] != 4 or one["out"] or one["err"].count("\n") != 1 or not one["err"].startswith("error: ")
    ]
    assert not odd, "\n".join(map(str, odd))


@pytest.mark.slow
def test_nothing_is_written_and_nothing_runs(ended, here):
    assert not [one["name"] for one in ended if one["wrote"]]
    assert not (here / "ran").exists()
    assert not list(here.glob(".auditor*"))


@pytest.mark.slow
def test_every_line_is_readable(ended):
    assert not [one["name"] for one in ended if len(one["err"]) > 3000 or not one["err"].strip().isprintable()]


@pytest.mark.slow
def test_none_takes_long(ended):
    assert not [(one["name"], one["seconds"]) for one in ended if one["seconds"] > 5]


def test_a_working_directory_that_is_gone_is_one_line(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path}/gone && rmdir ../gone && {sys.executable} -m auditor run net.pt"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: the working directory ")
    assert done.stderr.count("\n") == 1


def image(mode="RGB", size=(8, 8), form="PNG", **how):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **how)
    return buffer.getvalue()


def claims(width, height):
    """Return a PNG whose header names a size that its data does not have."""
    header = struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
    chunk = b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + image()[33:]


UNREADABLE = {
    "empty.png": b"",
    "one-byte.png": b"\x89",
    "text.jpg": b"no image",
    "page.jpg": HTML.encode(),
    "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(touch ran) run\n",
    "huge.png": claims(30_000, 30_000),
    "huger.png": claims(2**31 - 1, 2**31 - 1),
    "no-width.png": claims(0, 8),
    **{f"cut-{at}.png": image(size=(64, 64))[:at] for at in (8, 20, 33, 50, -20)},
    **{f"cut-{at}.jpg": image(form="JPEG", size=(64, 64))[:at] for at in (3, 20, 200, -100)},
    "cut.gif": image("P", form="GIF")[:20],
    "cut.webp": image(form="WEBP")[:20],
    "cut.tif": image(form="TIFF")[:100],
    "checkpoint.png": b"PK\x03\x04" + b"\0" * 100,
    "pickle.png": b"\x80\x02cos\nsystem\nX\x09\0\0\0touch ran\x85R.",
}
READABLE = {
    "dot.png": image(size=(1, 1)),
    "line.png": image(size=(1, 500)),
    "cmyk.jpg": image("CMYK", form="JPEG"),
    "palette.png": image("P"),
    "grey.png": image("L"),
    "bits.png": image("1"),
    "deep.png": image("I;16"),
    "float.tif": image("F", form="TIFF"),
    "alpha.png": image("LA"),
    "animated.gif": image("P", form="GIF", save_all=True, append_images=[Image.new("P", (8, 8), 1)]),
    "both.jpg": image(form="JPEG") + b"PK\x03\x04<script>alert(1)</script>",
    "named.jpg": image(form="PNG"),
}


@pytest.mark.slow
def test_an_image_of_any_kind_is_read_or_listed_with_a_reason(tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    folders.noise(tmp_path / "photos", ("cat", "dog", "fox", "owl"), 1, (40, 40))
    for name, data in (UNREADABLE | READABLE).items():
        (tmp_path / "photos" / "cat" / name).write_bytes(data)
    os.mkfifo(tmp_path / "photos" / "dog" / "fifo.png")
    networks.write(tmp_path / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    flags = ["--arch", "tiny.py:Tiny", "--data", "photos", "--workers", "0", "--format", "json", "--out", "out"]
    done = command_line("run", "net.pt", *flags, "--check", "data", "--check", "predictions")
    assert done.code in (0, 1), done.err
    assert "Traceback" not in done.out + done.err
    data = json.loads((tmp_path / "out" / "audit.json").read_text())["provenance"]["data"]
    assert {one["file"] for one in data["skipped"]} - {"dog/fifo.png"} == {f"cat/{name}" for name in UNREADABLE}
    assert all(one["reason"] and one["reason"].isprintable() for one in data["skipped"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("named", ["fifo", "/dev/zero", "socket", "photos", "nowhere.png", "circle"])
def test_a_manifest_that_names_no_regular_file_has_no_readable_image(here, monkeypatch, command_line, named):
    monkeypatch.chdir(here)
    (here / "odd.csv").write_text(f"path,label\n{named},0\n")
    done = command_line("run", "net.pt", "--arch", "tiny.py:Tiny", "--data", "odd.csv", "--out", "out")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: none of the 1 files in odd.csv is a readable image; the first one is /")
    assert re.search(rf"{named}: \w.+\n\Z", done.err)
    assert done.err.count("\n") == 1
