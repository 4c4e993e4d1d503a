"""The same twelve images as people keep them: in class folders, archives, tables, and at addresses."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from PIL import Image

CLASSES = ("cat", "dog", "fox")
EACH = 4


def picture(label: int, number: int) -> bytes:
    """Return an image as a file: noise, and each another one."""
    file, random = io.BytesIO(), np.random.default_rng(10 * label + number)
    Image.fromarray(random.integers(0, 255, (20, 24, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


IMAGES = [(label, number, picture(label, number)) for label in range(len(CLASSES)) for number in range(EACH)]


def class_folders(root: Path) -> str:
    for label, number, content in IMAGES:
        (root / "data" / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        (root / "data" / CLASSES[label] / f"{number}.png").write_bytes(content)
    return str(root / "data")


def zip_of_folders(root: Path, *, above: str = "") -> str:
    with zipfile.ZipFile(root / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for label, number, content in IMAGES:
            archive.writestr(f"{above}{CLASSES[label]}/{number}.png", content)
        archive.writestr(f"__MACOSX/{above}cat/._0.png", b"")
    return str(root / "data.zip")


def zip_below_one_folder(root: Path) -> str:
    return zip_of_folders(root, above="pets/")


def zip_with_a_manifest(root: Path) -> str:
    with zipfile.ZipFile(root / "data.zip", "w") as archive:
        for label, number, content in IMAGES:
            archive.writestr(f"set/images/{label}{number}.png", content)
        lines = [f"images/{label}{number}.png,{CLASSES[label]}" for label, number, _content in IMAGES]
        archive.writestr("set/labels.csv", "\n".join(["path,label", *lines]))
    return str(root / "data.zip")


def tar_of_folders(root: Path, kind: int = tarfile.GNU_FORMAT) -> str:
    folder = class_folders(root)
    with tarfile.open(root / "data.tar", "w", format=kind) as archive:
        archive.add(folder, arcname=f"{'long' * 40}/pets")
    return str(root / "data.tar")


def pax_tar_of_folders(root: Path) -> str:
    return tar_of_folders(root, tarfile.PAX_FORMAT)


def shards(root: Path) -> str:
    """Write a WebDataset of three shards, with its library."""
    with webdataset.ShardWriter(str(root / "shard-%03d.tar"), maxcount=EACH, verbose=0) as writer:
        for label, number, content in IMAGES:
            writer.write({"__key__": f"{label}{number:04}", "png": content, "cls": label})
    return str(root / "shard-{000..002}.tar")


def folder_of_shards(root: Path) -> str:
    (root / "shards").mkdir()
    with webdataset.ShardWriter(str(root / "shards/train-%03d.tar"), maxcount=5, verbose=0) as writer:
        for label, number, content in IMAGES:
            writer.write({"__key__": f"{label}{number:04}", "png": content, "json": {"label": CLASSES[label]}})
    return str(root / "shards")


def one_shard(root: Path) -> str:
    with webdataset.TarWriter(str(root / "all.tar")) as writer:
        for label, number, content in IMAGES:
            writer.write({"__key__": f"{label}{number:04}", "png": content, "txt": CLASSES[label]})
    return str(root / "all.tar")


def saved(names: tuple[str, ...] = CLASSES) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    rows = {
        "image": [{"bytes": content, "path": None} for _label, _number, content in IMAGES],
        "label": [label for label, _number, _content in IMAGES],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def dataset(root: Path) -> str:
    saved().save_to_disk(root / "saved", num_shards=2)
    return str(root / "saved")


def parquet(root: Path) -> str:
    saved().to_parquet(root / "data.parquet")
    return str(root / "data.parquet")


def plain_parquet(root: Path) -> str:
    columns = {"png": [content for *_, content in IMAGES], "label": [CLASSES[label] for label, *_ in IMAGES]}
    pq.write_table(pa.table(columns), root / "plain.parquet", row_group_size=5)
    return str(root / "plain.parquet")


def hub_folder(root: Path) -> str:
    (root / "hub" / "data").mkdir(parents=True)
    for place in range(2):
        part = saved().shard(2, place, contiguous=True)
        part.to_parquet(root / f"hub/data/validation-0000{place}-of-00002.parquet")
    (root / "hub" / "README.md").write_text("A data set.")
    return str(root / "hub")


def address(root: Path) -> str:
    """Lay class folders down in the file system that fsspec keeps in memory."""
    files = fsspec.filesystem("memory")
    for label, number, content in IMAGES:
        files.pipe(f"/{root.name}/{CLASSES[label]}/{number}.png", content)
    return f"memory://{root.name}"


def manifest_at_an_address(root: Path) -> str:
    lines = [f"{CLASSES[label]}/{number}.png,{CLASSES[label]}" for label, number, _content in IMAGES]
    fsspec.filesystem("memory").pipe(f"/{root.name}/list.csv", "\n".join(lines).encode())
    return f"{address(root)}/list.csv"


def at_an_address(made: Callable[[Path], str]) -> Callable[[Path], str]:
    """Return what lays down the same in memory."""

    def move(root: Path) -> str:
        place = made(root)
        for file in root.iterdir():
            if file.is_file():
                fsspec.filesystem("memory").pipe(f"/{root.name}/{file.name}", file.read_bytes())
        return f"memory://{root.name}/{Path(place).name}"

    return move


def file_address(root: Path) -> str:
    return f"file://{class_folders(root)}"


SOURCES: dict[str, Callable[[Path], str]] = {
    "zip of class folders": zip_of_folders,
    "zip of one folder": zip_below_one_folder,
    "zip with a manifest": zip_with_a_manifest,
    "tar of class folders, GNU": tar_of_folders,
    "tar of class folders, pax": pax_tar_of_folders,
    "WebDataset by range": shards,
    "WebDataset folder": folder_of_shards,
    "WebDataset tar": one_shard,
    "datasets folder": dataset,
    "Parquet of datasets": parquet,
    "plain Parquet": plain_parquet,
    "folder of the hub": hub_folder,
    "folder at an address": address,
    "manifest at an address": manifest_at_an_address,
    "zip at an address": at_an_address(zip_of_folders),
    "shards at an address": at_an_address(shards),
    "Parquet at an address": at_an_address(parquet),
    "address of a local file": file_address,
}
"""How each source is made; each returns what `--data` takes."""
