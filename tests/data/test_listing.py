from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from auditor.data.listing import Listing, listing
from auditor.errors import DataError


def draw(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path, format="PNG")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for shade, name in enumerate(["dog/b.png", "dog/a.PNG", "cat/deep/er/c.Jpeg", "cat/d.webp", "Zebra/e.png"]):
        draw(root / name, shade)
    return root


def test_the_first_folder_is_the_class_and_the_order_is_that_of_bytes(tree: Path) -> None:
    found = listing(str(tree))
    assert found.names == ("Zebra/e.png", "cat/d.webp", "cat/deep/er/c.Jpeg", "dog/a.PNG", "dog/b.png")
    assert found.labels == ("Zebra", "cat", "cat", "dog", "dog")
    assert found.folders == ("Zebra", "cat", "dog")
    assert found.files == tuple(tree / name for name in found.names)
    assert found.root == tree


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    draw(tmp_path / "b.png")
    draw(tmp_path / "a.png")
    found = listing(str(tmp_path))
    assert (found.names, found.labels, found.folders) == (("a.png", "b.png"), (None, None), ())


def test_images_beside_class_folders_have_no_label(tree: Path) -> None:
    draw(tree / "loose.png")
    found = listing(str(tree))
    assert dict(zip(found.names, found.labels, strict=True))["loose.png"] is None
    assert found.folders == ("Zebra", "cat", "dog")


def test_what_no_one_means_is_left_out(tree: Path) -> None:
    before = listing(str(tree)).names
    for name in (".git/a.png", "dog/._a.png", "__MACOSX/dog/a.png", ".DS_Store", "dog/Thumbs.db", "dog/notes.txt"):
        draw(tree / name)
    assert listing(str(tree)).names == before
    assert listing(str(tree)).folders == ("Zebra", "cat", "dog")


def test_a_class_folder_without_images_is_still_a_class(tree: Path) -> None:
    (tree / "emu").mkdir()
    assert listing(str(tree)).folders == ("Zebra", "cat", "dog", "emu")


def test_links_are_followed_and_circles_are_not(tree: Path, tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "f.png")
    (tree / "fox").symlink_to(tmp_path / "elsewhere")
    (tree / "dog" / "home").symlink_to(tree)
    (tree / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    names = listing(str(tree)).names
    assert "fox/f.png" in names
    assert "dog/gone.png" in names  # listed here, and skipped with its reason when it is read
    assert len(names) == 7


def test_names_that_are_no_unicode_can_be_written(tree: Path) -> None:
    try:
        draw(Path(os.fsdecode(os.fsencode(tree) + b"/dog/\xff.png")))
    except OSError:
        pytest.skip("this file system takes no such name")
    found = listing(str(tree))
    assert "dog/�.png" in found.names
    assert all(path.exists() for path in found.files)


def test_the_fingerprint_is_that_of_the_contents_not_of_the_place(tree: Path, tmp_path: Path) -> None:
    first = listing(str(tree)).fingerprint
    shutil.copytree(tree, tmp_path / "copy")
    assert listing(str(tmp_path / "copy")).fingerprint == first == listing(f"{tree}/").fingerprint
    assert len(first) == 64


def test_the_fingerprint_sees_every_byte_name_and_label(tree: Path) -> None:
    seen = {listing(str(tree)).fingerprint}
    draw(tree / "dog" / "b.png", 99)
    seen.add(listing(str(tree)).fingerprint)
    (tree / "dog" / "b.png").rename(tree / "dog" / "c.png")
    seen.add(listing(str(tree)).fingerprint)
    (tree / "dog").rename(tree / "wolf")
    seen.add(listing(str(tree)).fingerprint)
    (tree / "emu").mkdir()
    seen.add(listing(str(tree)).fingerprint)
    assert len(seen) == 5


def test_a_manifest_lists_files_relative_to_itself(tree: Path) -> None:
    (tree / "list.csv").write_text(f"path,label\ndog/b.png,1\n{tree}/cat/d.webp,0\nnowhere.png,\n")
    found = listing(str(tree / "list.csv"))
    assert found.names == ("dog/b.png", "cat/d.webp", "nowhere.png")
    assert found.files[0] == tree / "dog/b.png"
    assert found.labels == ("1", "0", None)
    assert found.folders == ()
    assert found.fingerprint


def test_a_plugins_scheme_lists_what_it_likes(tree: Path) -> None:
    def source(rest: str) -> Iterable[tuple[Path, str | int | None]]:
        yield tree / "dog" / rest, 3
        yield tree / "cat" / "d.webp", "cat"

    found = listing("mine:b.png", schemes={"mine": source})
    assert found.names == ("dog/b.png", "cat/d.webp")
    assert found.labels == (3, "cat")
    assert found.root == tree


def refusal(source: object, **schemes: object) -> str:
    with pytest.raises(DataError) as caught:
        listing(str(source), schemes=schemes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_folder_names_the_nearest(tree: Path) -> None:
    assert refusal(tree.parent / "tre").endswith("manifest; did you mean 'tree'?")


def test_an_unknown_scheme_names_the_known_ones() -> None:
    assert refusal("bukket:x", bucket=iter) == (
        "there is no data source 'bukket'; plugins provide: bucket; did you mean 'bucket'?"
    )


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"folder {tmp_path} is empty; expected images (.avif, .bmp")


def test_a_folder_of_other_things_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz", "c.txt", "d"):
        (tmp_path / name).touch()
    assert "has no images, only 2 x .npz, 1 x" in refusal(tmp_path)


def test_a_file_is_no_folder(tree: Path) -> None:
    assert "is a file; expected a folder of images or a manifest (.csv, .tsv," in refusal(tree / "dog" / "b.png")


def test_a_source_that_lists_nothing_is_refused() -> None:
    assert refusal("mine:x", mine=lambda rest: []) == "data source mine:x has no images"


def test_a_listing_is_a_value(tree: Path) -> None:
    assert listing(str(tree)) == listing(str(tree))
    assert isinstance(listing(str(tree)), Listing)


@pytest.mark.parametrize("source", [lambda rest: [1, 2], lambda rest: None, lambda rest: [("a.png", "cat", 3)]])
def test_a_source_that_breaks_is_named_in_one_line(source) -> None:
    with pytest.raises(DataError, match=r"data source mine:x failed: .*pairs of a path and a label"):
        listing("mine:x", schemes={"mine": source})
