from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from auditor.data.listing import Listing, listing
from auditor.data.splits import kind
from auditor.errors import DataError


def drawn(root: Path, *names: str) -> Path:
    for shade, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), shade).save(root / name)
    return root


def said(found: Listing) -> str:
    return "; ".join(one.text for one in found.assumptions)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", "train"),
        ("valid", "val"),
        ("Validation", "val"),
        ("dev", "val"),
        ("test_images", "test"),
        ("train2017", "train"),
        ("bus", ""),
        ("trainer", ""),
        ("test strip", ""),
    ],
)
def test_the_usual_names_of_splits_are_known(name: str, expected: str) -> None:
    assert kind(name) == expected


def test_several_splits_are_asked_for_in_one_line(tmp_path: Path) -> None:
    root = drawn(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "test/cat/4.png")
    with pytest.raises(DataError) as caught:
        listing(str(root))
    assert str(caught.value) == (
        f"folder {root} has 3 splits: test (1 image), train (2 images), val (1 image); choose one: --split test, "
        f"--split train or --split val, or for example --data {root}/val"
    )


@pytest.mark.parametrize("asked", ["val", "valid", "validation", "dev"])
@pytest.mark.parametrize("folder", ["val", "valid", "Validation"])
def test_a_split_is_found_by_its_kind(tmp_path: Path, folder: str, asked: str) -> None:
    found = listing(str(drawn(tmp_path, "train/cat/1.png", f"{folder}/dog/2.png")), split=asked)
    assert (found.names, found.labels, found.folders) == ((f"{folder}/dog/2.png",), ("dog",), ("dog",))
    assert said(found) == f"of 2 splits, {folder!r} is audited"


def test_a_split_may_have_any_name(tmp_path: Path) -> None:
    found = listing(str(drawn(tmp_path, "berlin/cat/1.png", "paris/dog/2.png")), split="paris")
    assert found.labels == ("dog",)


def test_the_only_split_with_images_is_taken_and_told(tmp_path: Path) -> None:
    root = drawn(tmp_path, "val/cat/1.png", "val/dog/2.png")
    (root / "train").mkdir()
    found = listing(str(root))
    assert found.labels == ("cat", "dog")
    assert said(found) == "the only split with images, 'val', is audited"


@pytest.mark.parametrize(
    "names",
    [("images/train/cat/1.png", "images/val/dog/2.png"), ("cat/train/1.png", "dog/train/3.png", "dog/val/2.png")],
)
def test_splits_below_another_folder_are_found(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = drawn(tmp_path, *names)
    with pytest.raises(DataError, match="has 2 splits"):
        listing(str(root))
    assert listing(str(root), split="val").labels == ("dog",)


@pytest.mark.parametrize("names", [("bus/1.png", "train/2.png"), ("train/1.png",)])
def test_a_class_called_train_is_no_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert listing(str(drawn(tmp_path, *names))).labels[-1] == "train"


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    root = drawn(tmp_path, "train/cat/1.png", "val/cat/2.png")
    with pytest.raises(DataError, match=r"has no split 'tests'; expected"):
        listing(str(root), split="tests")


def manifest(root: Path, text: str) -> str:
    (root / "list.csv").write_text(text)
    return str(root / "list.csv")


def test_a_column_chooses_the_split_of_a_manifest(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label,split\na.png,cat,train\nb.png,dog,valid\nc.png,cat,valid\n")
    with pytest.raises(DataError, match=r"has 2 splits: train \(1 image\), valid \(2 images\); choose one: --split tr"):
        listing(path)
    assert listing(path, split="val").names == ("b.png", "c.png")


def test_a_column_of_other_sets_splits_nothing_unless_asked(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label,set\na.png,cat,2019\nb.png,dog,2020\n")
    assert len(listing(path).names) == 2
    assert listing(path, split="2020").names == ("b.png",)


@pytest.mark.parametrize(
    ("split", "root", "line"), [("val", None, "no column 'split'"), (None, "nowhere", "no folder")]
)
def test_what_a_manifest_can_not_obey_is_refused(
    tmp_path: Path, split: str | None, root: str | None, line: str
) -> None:
    with pytest.raises(DataError, match=line):
        listing(manifest(tmp_path, "path,label\na.png,cat\n"), split=split, root=Path(root) if root else None)


def test_a_folder_has_no_other_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--root is the folder of a manifest's paths"):
        listing(str(drawn(tmp_path, "cat/1.png")), root=tmp_path)
