"""What is not read below a folder is counted by suffix and class."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.data import suffixes
from auditor.data.listing import listing


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def counted(root: Path) -> set[tuple[str, str, str, int]]:
    return {(one.kind, one.suffix, one.folder, one.count) for one in listing(str(root)).skipped}


def test_files_are_counted_by_kind_suffix_and_class(tmp_path: Path) -> None:
    touched(tmp_path, "cat/1.png", "cat/2.CR2", "cat/3.cr2", "dog/4.jxl", "cat/notes.txt", "README", "dog/.5.jpg")
    assert counted(tmp_path) == {
        ("format", ".cr2", "cat", 2),
        ("format", ".jxl", "dog", 1),
        ("other", ".txt", "cat", 1),
        ("other", "", "", 1),
        ("hidden", ".jpg", "dog", 1),
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cat/1.nef", "paired"),
        ("cat/._1.png", "other"),
        ("cat/Thumbs.db", "other"),
        ("cat/.ipynb_checkpoints/1.png", "copy"),
        ("__MACOSX/cat/1.png", "copy"),
        ("cat/features.npy", "other"),
        (".more/2.png", "hidden"),
    ],
)
def test_what_lies_beside_images_without_harm_is_told_apart(tmp_path: Path, name: str, kind: str) -> None:
    touched(tmp_path, "cat/1.png", name)
    assert [one.kind for one in listing(str(tmp_path)).skipped] == [kind]


def test_nothing_is_looked_for_in_the_folders_of_version_control_or_in_a_circle(tmp_path: Path) -> None:
    touched(tmp_path, "cat/1.png", ".git/objects/1.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    assert counted(tmp_path) == set()


def test_arrays_are_images_where_nothing_else_is(tmp_path: Path) -> None:
    assert listing(str(touched(tmp_path / "a", "cat/1.npy", "cat/1.txt"))).names == ("cat/1.npy",)
    assert listing(str(touched(tmp_path / "b", "cat/1.npy", "cat/1.tif"))).names == ("cat/1.tif",)


def test_a_manifest_names_its_files_so_that_none_are_skipped(tmp_path: Path) -> None:
    (touched(tmp_path, "1.png", "2.cr2") / "list.csv").write_text("path\n1.png\n")
    assert listing(str(tmp_path / "list.csv")).skipped == ()


def test_a_format_of_an_extra_is_read_if_it_is_installed(tmp_path: Path, monkeypatch) -> None:
    touched(tmp_path, "cat/1.png", "cat/2.heic", "cat/3.dcm")
    assert len(listing(str(tmp_path)).names) == 3
    monkeypatch.setattr(suffixes.extras, "is_installed", lambda name: name != "pillow_heif")
    suffixes.readable.cache_clear()
    assert counted(tmp_path) == {("format", ".heic", "cat", 1)}
    suffixes.readable.cache_clear()
