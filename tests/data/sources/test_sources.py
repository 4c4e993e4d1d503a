"""Every source gives the same images with the same labels, wherever they are kept."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from auditor.data import label_sets
from auditor.data.labels import fit
from auditor.data.listing import Listing, listing
from auditor.data.sources import parquet
from auditor.errors import DataError
from tests.data.sources import made

CONTENTS = {hashlib.sha256(content).hexdigest(): made.CLASSES[label] for label, _number, content in made.IMAGES}

every_source = pytest.mark.parametrize("make", made.SOURCES.values(), ids=made.SOURCES)


def labelled(found: Listing, **given: object) -> dict[str, str]:
    """Return the class of each image by the digest of its contents."""
    fitted = fit(found, outputs=len(made.CLASSES), names=given.get("names"))
    assert not fitted.problem
    pairs = zip(found.digests, fitted.indices, strict=True)
    return {digest: fitted.classes[index] for digest, index in pairs if index is not None}


@every_source
def test_a_source_has_the_images_and_their_labels(make: Callable[[Path], str], tmp_path: Path) -> None:
    found = listing(make(tmp_path))
    assert len(found.names) == len(set(found.names)) == len(made.IMAGES)
    assert labelled(found, names=made.CLASSES) == CONTENTS


@every_source
def test_a_network_without_names_takes_them_from_the_source(make: Callable[[Path], str], tmp_path: Path) -> None:
    found = listing(make(tmp_path))
    numbered = {digest: f"class {made.CLASSES.index(name)}" for digest, name in CONTENTS.items()}
    assert labelled(found) in (CONTENTS, numbered)


@every_source
def test_a_copy_in_another_process_reads_the_same(make: Callable[[Path], str], tmp_path: Path) -> None:
    source = listing(make(tmp_path)).source
    first = [source.content(index, most=2**20) for index in (7, 0, 11, 7)]
    copied = pickle.loads(pickle.dumps(source))  # noqa: S301 - of this test
    assert [copied.content(index, most=2**20) for index in (7, 0, 11, 7)] == first
    with pytest.raises(OSError, match=r"larger than 100 bytes"):
        copied.content(3, most=100)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (made.zip_of_folders, ("cat/0.png", "fox/3.png")),
        (made.zip_below_one_folder, ("pets/cat/0.png", "pets/fox/3.png")),
        (made.shards, ("shard-000.tar/00000.png", "shard-002.tar/20003.png")),
        (made.dataset, ("data-00000-of-00002.arrow/0", "data-00001-of-00002.arrow/5")),
        (made.plain_parquet, ("plain.parquet/0", "plain.parquet/11")),
        (made.address, ("cat/0.png", "fox/3.png")),
    ],
)
def test_names_say_where_an_image_is(make: Callable[[Path], str], names: tuple[str, str], tmp_path: Path) -> None:
    found = listing(make(tmp_path))
    assert (found.names[0], found.names[-1]) == names
    assert str(found.source.path(11)).endswith(names[-1])


def test_numbers_follow_the_declared_order_not_the_alphabet(tmp_path: Path) -> None:
    made.saved(("zebra", "ant", "mole")).save_to_disk(tmp_path / "saved")
    fitted = fit(listing(str(tmp_path / "saved")), outputs=3, names=None)
    assert fitted.classes == ("zebra", "ant", "mole")
    assert fitted.indices == (0,) * 4 + (1,) * 4 + (2,) * 4


def test_names_of_the_network_count_where_they_are_those_of_the_data(tmp_path: Path) -> None:
    found = listing(made.dataset(tmp_path))
    assert fit(found, outputs=3, names=("fox", "cat", "dog")).indices == (1,) * 4 + (2,) * 4 + (0,) * 4
    assert fit(found, outputs=3, names=("a", "b", "c")).indices == (0,) * 4 + (1,) * 4 + (2,) * 4


def test_a_mask_beside_an_image_is_no_image(tmp_path: Path) -> None:
    import webdataset

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for label, number, content in made.IMAGES:
            writer.write({"__key__": f"{label}{number}", "png": content, "mask.png": content, "cls": label})
    assert listing(str(tmp_path / "a.tar")).names == tuple(f"{label}{number}.png" for label, number, _ in made.IMAGES)


def test_a_plugin_may_give_a_source_of_its_own(tmp_path: Path) -> None:
    from auditor.data.sources.inventory import Inventory

    inner = listing(made.zip_of_folders(tmp_path))

    def source(rest: str) -> Inventory:
        return Inventory(inner.source, [f"{rest}{n}" for n in range(12)], list(inner.labels))

    found = listing("mine:x", schemes={"mine": source})
    assert found.names[0] == "x0"
    assert labelled(found, names=made.CLASSES) == CONTENTS


def refusal(source: object, **how: str) -> str:
    with pytest.raises(DataError) as caught:
        listing(str(source), **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def split_datasets(root: Path) -> str:
    import datasets

    whole = made.saved()
    parts = datasets.DatasetDict(train=whole.select(range(8)), test=whole.select(range(8, 12)))
    parts.save_to_disk(root / "parts")
    return str(root / "parts")


def split_parquet(root: Path) -> str:
    (root / "hub").mkdir()
    made.saved().select(range(8)).to_parquet(root / "hub/train-00000.parquet")
    made.saved().select(range(8, 12)).to_parquet(root / "hub/test-00000.parquet")
    return str(root / "hub")


def split_zip(root: Path) -> str:
    import zipfile

    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        for label, number, content in made.IMAGES:
            archive.writestr(f"{'test' if label == 2 else 'train'}/{made.CLASSES[label]}/{number}.png", content)
    return str(root / "a.zip")


splits = pytest.mark.parametrize("make", [split_datasets, split_parquet, split_zip])


@splits
def test_a_split_is_chosen(make: Callable[[Path], str], tmp_path: Path) -> None:
    place = make(tmp_path)
    assert len(listing(place, split="train").names) == 8
    assert len(listing(place, split="test").names) == 4


@splits
def test_several_splits_are_named(make: Callable[[Path], str], tmp_path: Path) -> None:
    place = make(tmp_path)
    assert "--split test" in refusal(place)
    assert "--split train" in refusal(place)
    assert refusal(place, split="tran").endswith("did you mean 'train'?")


def test_a_source_without_splits_says_so(tmp_path: Path) -> None:
    for make in (made.zip_of_folders, made.dataset, made.parquet, made.folder_of_shards):
        (root := tmp_path / make.__name__).mkdir()
        place = make(root)
        if make is not made.folder_of_shards:
            assert "has no splits, but --split val was given" in refusal(place, split="val")
    assert len(listing(place, split="train").names) == 12


LISTS = [["cat"], ["cat", "fox"], [], ["dog", "fox"]] * 3


def lists_in_parquet(root: Path) -> str:
    pq.write_table(pa.table({"png": [one[2] for one in made.IMAGES], "labels": LISTS}), root / "lists.parquet")
    return str(root / "lists.parquet")


def lists_of_datasets(root: Path) -> str:
    names = datasets.ClassLabel(names=list(made.CLASSES))
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.Sequence(names)})
    images = [{"bytes": one[2], "path": None} for one in made.IMAGES]
    numbers = [[made.CLASSES.index(name) for name in one] for one in LISTS]
    datasets.Dataset.from_dict({"image": images, "labels": numbers}, features=features).save_to_disk(root / "lists")
    return str(root / "lists")


def lists_in_shards(root: Path) -> str:
    with webdataset.TarWriter(str(root / "lists.tar")) as writer:
        for place, (one, names) in enumerate(zip(made.IMAGES, LISTS, strict=True)):
            writer.write({"__key__": f"{place:04}", "png": one[2], "json": {"labels": names}})
    return str(root / "lists.tar")


@pytest.mark.parametrize("make", [lists_in_parquet, lists_of_datasets, lists_in_shards])
def test_an_image_may_have_a_list_of_labels(make: Callable[[Path], str], tmp_path: Path) -> None:
    found = label_sets.read(listing(make(tmp_path)), outputs=3, names=made.CLASSES)
    several = label_sets.fit(found, outputs=3, complete=True).sets
    assert [[made.CLASSES[place] for place in one.present] for one in several if one is not None] == LISTS


def test_a_group_of_rows_that_unpacks_to_all_memory_is_refused_first(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parquet, "_LARGEST", 2**20)
    bombs = [bytes(2**20), bytes(2**20)]
    pq.write_table(pa.table({"png": bombs}), tmp_path / "data.parquet", compression="zstd", use_dictionary=False)
    source = listing(str(tmp_path / "data.parquet")).source
    with pytest.raises(OSError, match=r"its group of rows unpacks from [0-9,]+ to 2,097,\d+ bytes"):
        source.content(0, most=2**24)


def skipped_of(found: Listing) -> set[tuple[str, str, str, int]]:
    assert found.beside is not None
    return {(one.kind, one.suffix, one.folder, one.count) for one in found.beside}


def test_members_that_are_no_images_are_counted_by_class(tmp_path: Path) -> None:
    with zipfile.ZipFile(made.zip_of_folders(tmp_path), "a") as archive:
        for name in ("cat/a.svg", "cat/0.nef", "fox/notes.txt", "dog/.hidden.png", "cat/", "cat.png/"):
            archive.writestr(name, b"")
    assert skipped_of(listing(str(tmp_path / "data.zip"))) == {
        ("format", ".svg", "cat", 1),
        ("paired", ".nef", "cat", 1),
        ("other", ".txt", "fox", 1),
        ("hidden", ".png", "dog", 1),
        ("other", ".png", "cat", 1),  # what macOS writes
    }


def test_a_later_member_of_one_name_replaces_the_earlier_one(tmp_path: Path) -> None:
    with tarfile.open(made.tar_of_folders(tmp_path), "a") as archive:
        archive.add(tmp_path / "data" / "fox" / "1.png", arcname=f"{'long' * 40}/pets/cat/0.png")
    found = listing(str(tmp_path / "data.tar"))
    assert len(found.names) == len(set(found.names)) == len(made.IMAGES)
    assert found.source.content(0, most=2**20) == made.picture(2, 1)
    assert skipped_of(found) == {("replaced", ".png", "cat", 1)}


def test_links_and_devices_in_a_tar_are_listed_and_never_followed(tmp_path: Path) -> None:
    with tarfile.open(made.tar_of_folders(tmp_path), "a") as archive:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"{'long' * 40}/pets/fox/{name}.png")
            member.type, member.linkname = kind, "/etc/hostname"
            archive.addfile(member)
    found = listing(str(tmp_path / "data.tar"))
    for name, reason in (("soft", "a link"), ("hard", "a link"), ("device", "a device")):
        place = next(place for place, one in enumerate(found.names) if one.endswith(f"{name}.png"))
        with pytest.raises(OSError, match=f"{reason} inside of an archive, not a regular file"):
            found.source.content(place, most=2**20)
