"""Folders and manifests as people have them, from the command line to the audit."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from auditor.sweep import sharding, sweep
from tests import networks
from tests.audits import record

CLASSES = ("cat", "dog", "fox", "owl")
AS_IT_IS = "resize = 8\ncrop = 8\nscale = 255\nmean = 0.0\nstd = 1.0\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Lay down a network that is always right about three images of each of four classes, in folders."""
    monkeypatch.chdir(tmp_path)
    networks.save(networks.WrittenAnswers(), tmp_path / "net.pt")
    (tmp_path / "pre.toml").write_text(AS_IT_IS)
    draw(tmp_path / "photos")
    return tmp_path


def draw(root: Path, names=CLASSES, first: int = 0) -> None:
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(3):
            pixels = np.full((8, 8, 3), (10 * label, 200, 60 * label + first + i), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}{first + i}.png")


@pytest.fixture
def audited(here, command_line):
    def call(*flags: str) -> dict[str, dict]:
        arguments = ("net.pt", "--arch", networks.flag(networks.WrittenAnswers), "--preprocess", "pre.toml")
        quick = ("-k", "data or predictions", "--workers", "0", "--format", "json", "--out", "out")
        done = command_line("run", *arguments, *flags, *quick)
        if done.code not in (0, 1):
            return {"error": {"code": done.code, "message": done.err}}
        return {one["rule"]: one for result in record("out")["results"] for one in result["evidence"] if "rule" in one}

    return call


def accuracy(found) -> str:
    assert "error" not in found, found
    return found["predictions.accuracy"]["message"].partition(",")[0]


RIGHT = "top-1 accuracy 100.0 % (12 of 12)"


def rows(separator=",", change=lambda path: path) -> str:
    paths = sorted(str(path) for path in Path("photos").rglob("*.png"))
    return "\n".join(f"{change(path)}{separator}{Path(path).parent.name}" for path in paths)


@pytest.mark.parametrize(
    ("header", "separator", "change"),
    [
        ("filename,label\n", ",", str),
        ("image;class\n", ";", str),
        ("file\tcategory\n", "\t", lambda path: path.replace("/", "\\")),
        ("", "|", str),
        ("image_id,breed\n", ",", lambda path: Path(path).stem),
        ("img,y\n", ",", lambda path: f"C:\\Users\\me\\{path}".replace("/", "\\")),
    ],
)
def test_a_manifest_is_read_as_people_write_it(here, audited, header, separator, change):
    encoding = "utf-16" if separator == ";" else "utf-8-sig"
    (here / "list.csv").write_text(header + rows(separator, change), encoding=encoding)
    assert accuracy(audited("--data", "list.csv", "--root", ".")) == RIGHT


def test_columns_of_ones_are_labels_in_their_order(here, audited):
    lines = [
        ",".join([str(path), *(str(int(name == path.parent.name)) for name in CLASSES)])
        for path in sorted(Path("photos").rglob("*.png"))
    ]
    (here / "list.csv").write_text("\n".join(["id," + ",".join(CLASSES), *lines]))
    found = audited("--data", "list.csv")
    assert accuracy(found) == RIGHT
    assert "4 columns of 0 and 1 are the classes, in their order: 'cat' is 0" in found["data.layout"]["message"]


def test_a_split_is_asked_for_and_taken(here, audited):
    draw(here / "sets" / "train")
    draw(here / "sets" / "valid", first=10)
    message = audited("--data", "sets")["error"]
    assert message["code"] == 4
    assert "choose one: --split train or --split valid, or for example --data sets/valid" in message["message"]
    found = audited("--data", "sets", "--split", "val")
    assert accuracy(found) == RIGHT
    assert "of 2 splits, 'valid' is audited" in found["data.layout"]["message"]


def test_classes_at_the_second_level_are_found_and_told(here, audited):
    (here / "nested" / "pets").mkdir(parents=True)
    (here / "nested" / "wild").mkdir()
    for name in CLASSES:
        (here / "photos" / name).rename(here / "nested" / ("pets" if name in ("cat", "dog") else "wild") / name)
    found = audited("--data", "nested")
    assert accuracy(found) == RIGHT
    assert "the folders of level 2, such as 'cat', are the classes" in found["data.layout"]["message"]


def test_missing_files_name_the_first_and_the_root_to_give(here, audited):
    (here / "list.csv").write_text("path,label\n" + rows(change=lambda path: path.removeprefix("photos/")))
    message = audited("--data", "list.csv")["error"]["message"]
    assert f"the first one is {here / 'cat' / 'cat0.png'}: no such file" in message
    assert "cat/cat0.png lies under photos: give --root photos" in message
    assert accuracy(audited("--data", "list.csv", "--root", "photos")) == RIGHT


def test_some_missing_files_are_counted_and_fail_over_a_share(here, audited):
    (here / "list.csv").write_text("path,label\n" + rows() + "\nphotos/cat/none.png,cat\ngone.png,dog")
    found = audited("--data", "list.csv")["data.unreadable"]
    assert (found["verdict"], found["value"]) == ("fail", pytest.approx(2 / 14))
    assert "gone.png (no such file)" in found["detail"]


def test_one_image_under_two_labels_fails_and_counts_once(here, audited):
    (here / "list.csv").write_text("path,label\n" + rows() + "\nphotos/cat/cat0.png,dog\nphotos/owl/owl0.png,owl")
    found = audited("--data", "list.csv")
    assert (found["data.labels"]["verdict"], found["data.labels"]["value"]) == ("fail", 1)
    assert "photos/cat/cat0.png" in found["data.labels"]["detail"]
    assert found["data.duplicates"]["value"] == 2
    assert accuracy(found) == RIGHT


def test_an_empty_folder_and_a_hidden_one_are_named(here, audited):
    (here / "photos" / "zebra").mkdir()
    assert "the folder 'zebra' has no images" in audited("--data", "photos")["data.layout"]["message"]
    (here / "photos" / "zebra").rmdir()
    (here / "photos" / "owl").rename(here / "photos" / ".ipynb_checkpoints")
    found = audited("--data", "photos")["data.classes"]
    assert found["verdict"] == "fail"
    assert "a hidden folder would make 4: was .ipynb_checkpoints there in training?" in found["message"]


def photos() -> list[tuple[str, Path]]:
    return [(path.parent.name, path) for path in sorted(Path("photos").rglob("*.png"))]


def as_zip() -> str:
    return shutil.make_archive("photos", "zip", root_dir=".", base_dir="photos")


def as_tar() -> str:
    return shutil.make_archive("photos", "tar", root_dir=".", base_dir="photos")


def as_shards() -> str:
    with webdataset.ShardWriter("shard-%03d.tar", maxcount=5, verbose=0) as writer:
        for place, (name, path) in enumerate(photos()):
            writer.write({"__key__": f"{place:04}", "png": path.read_bytes(), "cls": CLASSES.index(name)})
    return "shard-{000..002}.tar"


def as_parquet() -> str:
    columns = {"image": [path.read_bytes() for _name, path in photos()], "label": [name for name, _path in photos()]}
    pq.write_table(pa.table(columns), "photos.parquet")
    return "photos.parquet"


def as_saved_by_datasets() -> str:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    images = [{"bytes": path.read_bytes(), "path": None} for _name, path in photos()]
    rows = {"image": images, "label": [name for name, _path in photos()]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk("saved")
    return "saved"


def in_memory() -> str:
    files = fsspec.filesystem("memory")
    for name, path in photos():
        files.pipe(f"/photos/{name}/{path.name}", path.read_bytes())
    return "memory://photos"


def judged(found) -> dict[str, tuple[str, object]]:
    """Return verdict and number of each rule that speaks of images, not of how they are kept."""
    assert "error" not in found, found
    kept = ("data.layout", "data.skipped")
    return {rule: (one["verdict"], one.get("value")) for rule, one in found.items() if rule not in kept}


def test_every_source_gives_the_verdicts_of_the_folder(here, audited):
    expected = judged(audited("--data", "photos"))
    (here / "names.txt").write_text("\n".join(CLASSES))
    for made in (as_zip, as_shards, as_parquet, as_saved_by_datasets, in_memory):
        assert (made, judged(audited("--data", made(), "--classes", "names.txt"))) == (made, expected)


@pytest.mark.parametrize("made", [as_shards, as_parquet, in_memory])
def test_an_interrupted_audit_of_a_source_goes_on_where_it_was(here, audited, monkeypatch, made):
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    monkeypatch.setattr(sharding, "_BATCHES", 4)
    flags = ("--data", made(), "--batch-size", "1")
    step, taken = sweep._step, []

    def interrupted(*given: object) -> None:
        taken.append(given)
        if len(taken) == 7:
            raise KeyboardInterrupt
        step(*given)

    monkeypatch.setattr(sweep, "_step", interrupted)
    assert audited(*flags)["error"]["code"] == 2
    assert accuracy(audited(*flags)) == RIGHT
    assert len(taken) - 7 == 12 - 4  # what was saved after four images is not computed again


@pytest.mark.parametrize(
    ("module", "made", "advice"),
    [
        ("pyarrow", as_parquet, "needs pyarrow; run pip install 'auditor[parquet]'"),
        ("pyarrow", as_saved_by_datasets, "needs pyarrow; run pip install 'auditor[parquet]'"),
        ("fsspec", in_memory, "the address memory://photos needs fsspec; run pip install 'auditor[remote]'"),
        ("s3fs", lambda: "s3://bucket/photos", "needs s3fs; run pip install s3fs"),
        ("gcsfs", lambda: "gs://bucket/photos", "needs gcsfs; run pip install gcsfs"),
        ("aiohttp", lambda: "https://example.org/photos.zip", "needs aiohttp; run pip install aiohttp"),
    ],
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(here, audited, monkeypatch, module, made, advice):
    datasets.disable_progress_bars()
    source = made()
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    for name in ("s3fs", "gcs", "gcsfs", "http"):  # what fsspec has loaded once
        monkeypatch.delitem(sys.modules, f"fsspec.implementations.{name}", raising=False)
    error = audited("--data", source)["error"]
    assert error["code"] == 4
    assert advice in error["message"]
    assert len(error["message"].strip().splitlines()) == 1


@pytest.fixture
def web(here):
    """Serve the folder as Python's own web server does, which sends whole files only."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *about: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(here))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_folder_of_a_web_server_is_read_and_an_archive_that_comes_whole_is_refused(audited, web):
    assert accuracy(audited("--data", f"{web}/photos")) == RIGHT
    as_tar()
    message = audited("--data", f"{web}/photos.tar")["error"]["message"]
    assert "the server sends only whole files, not parts of them; download the file" in message
