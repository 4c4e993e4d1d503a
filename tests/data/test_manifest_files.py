from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from auditor.data.listing import Listing, listing
from auditor.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("images/cat/a.png", "images/dog/b.jpg", "images/dog/c d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


def listed(here: Path, *paths: str, header: str = "path", **how: Path) -> Listing:
    (here / "list.csv").write_text("\n".join([f"{header},label", *(f"{path},cat" for path in paths)]))
    return listing(str(here / "list.csv"), **how)


def test_backslashes_are_folders_only_where_only_so_a_file_exists(root: Path) -> None:
    (root / "images\\cat\\a.png").write_bytes(b"other")
    found = listed(root, "images\\cat\\a.png", "images\\dog\\b.jpg")
    assert found.files == (root / "images\\cat\\a.png", root / "images/dog/b.jpg")
    assert "in 1 path a backslash separates folders" in found.assumptions[-1].text


@pytest.mark.parametrize("identifiers", [("a", "b"), ("cat/a", "dog/b")])
def test_identifiers_are_the_names_of_files_without_suffix(root: Path, identifiers: tuple[str, ...]) -> None:
    found = listed(root, *identifiers, header="image_id", root=root / "images")
    assert found.files == (root / "images/cat/a.png", root / "images/dog/b.jpg")
    assert found.assumptions[-1].text == "2 identifiers are the names of files without their suffix"


def test_an_identifier_of_two_files_is_refused(root: Path) -> None:
    Image.new("L", (4, 4)).save(root / "images/dog/a.png")
    with pytest.raises(DataError, match=r"'a' is the name of 2 files under .*cat/a.png, dog/a.png; give --root"):
        listed(root, "a", header="id", root=root / "images")


@pytest.mark.parametrize("path", ["/home/someone/data/images/cat/a.png", "D:\\data\\images\\cat\\a.png"])
def test_absolute_paths_of_another_machine_are_found_under_the_root(root: Path, path: str) -> None:
    found = listed(root, path, root=root / "images")
    assert found.files == (root / "images/cat/a.png",)
    without = listed(root, path)
    assert without.files != found.files
    assert without.whereabouts(without.names)


@pytest.mark.parametrize(("path", "folder"), [("cat/a.png", "images"), ("c d.png", "images/dog")])
def test_a_missing_file_is_looked_for_below_the_manifest(
    root: Path, path: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    found = listed(Path(), path)
    assert found.whereabouts(found.names) == (path, folder)
    assert listed(Path(), "nowhere.png").whereabouts(["nowhere.png"]) is None
