from __future__ import annotations

from pathlib import Path

import pytest

from auditor.data.label_cells import Several
from auditor.data.manifest import read
from auditor.errors import DataError


def entries(folder: Path, text: str | bytes, name: str = "list.csv") -> list[tuple[str, str | int | None]]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [tuple(entry) for entry in read(path).entries]


@pytest.mark.parametrize(
    "text",
    [
        "a.png,cat\nb/c.png,dog\n",
        "path,label\na.png,cat\nb/c.png,dog",
        "\ufeffPath,Label\r\na.png,cat\r\n\r\nb/c.png,dog\r\n",
        "id,label,path\n1,cat,a.png\n2,dog,b/c.png\n",
        "filename,class\na.png,cat\nb/c.png,dog\n",
        "path;label\na.png;cat\nb/c.png;dog\n",
        'path,label\n"a.png","cat"\n"b/c.png", dog\n',
    ],
)
def test_every_usual_way_to_write_a_table_is_read(tmp_path: Path, text: str) -> None:
    assert entries(tmp_path, text) == [("a.png", "cat"), ("b/c.png", "dog")]


def test_tabs_separate_a_tsv_and_commas_may_be_in_names(tmp_path: Path) -> None:
    assert entries(tmp_path, "a,b.png\tcat\n", "list.tsv") == [("a,b.png", "cat")]
    assert entries(tmp_path, '"a,b.png",cat\n') == [("a,b.png", "cat")]


@pytest.mark.parametrize("text", ["a.png,\nb.png,\n", "a.png\nb.png\n", "path\na.png\nb.png\n"])
def test_an_image_without_label_has_none(tmp_path: Path, text: str) -> None:
    assert entries(tmp_path, text) == [("a.png", None), ("b.png", None)]


def test_json_lines_keep_numbers_and_names_apart(tmp_path: Path) -> None:
    text = '{"path": "a.png", "label": 3}\n\n{"label": "3", "file": "b.png"}\n["c.png", "dog"]\n'
    text += '{"path": "d.png"}\n"e.png"\n'
    assert entries(tmp_path, text, "list.jsonl") == [
        ("a.png", 3),
        ("b.png", "3"),
        ("c.png", "dog"),
        ("d.png", None),
        ("e.png", None),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("list.csv", "", "has no images"),
        ("list.csv", "path,label\n", "has no images"),
        ("list.csv", "number,label\n1,cat\n", "has no column 'path'; its columns are: number, label"),
        ("list.csv", "1,a.png,cat\n", "has 3 columns and no header"),
        ("list.csv", "a.png,cat\n,dog\n", "line 2 has no path"),
        ("list.csv", 'a.png,cat\n"b.png,dog\n', "line 2: unexpected end of data"),
        ("list.csv", b"a.png,cat\nb\xff\x01.png,dog\n", "is not UTF-8 text"),
        ("list.jsonl", '{"path": "a.png"}\n{"path": \n', "line 2 is not JSON"),
        ("list.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("list.jsonl", '{"label": "cat"}\n', "line 1 has no path"),
        ("list.jsonl", '{"path": "a.png", "label": 0.5}\n', "label 0.5; expected a name or a class index"),
        ("list.jsonl", '{"path": "a.png", "label": true}\n', "label True"),
        ("list.jsonl", "3\n", "line 1 has no path"),
    ],
)
def test_a_manifest_that_can_not_be_read_gets_one_line(tmp_path: Path, name: str, text: str | bytes, line: str) -> None:
    with pytest.raises(DataError) as caught:
        entries(tmp_path, text, name)
    assert line in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_that_may_be_meant_for_the_labels_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,lable\na.jpg,cat\n")
    with pytest.raises(DataError, match=r"no column 'label'; its columns are: file, lable; did you mean 'label'\?"):
        read(tmp_path / "list.csv")


def assumed(folder: Path, text: str | bytes, name: str = "list.csv") -> str:
    entries(folder, text, name)
    return "; ".join(one.text for one in read(folder / name).assumptions)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path|label\na.png|cat\nb/c.png|dog\n", "its cells are separated by '|'"),
        ("path\tlabel\na.png\tcat\nb/c.png\tdog\n", "its cells are separated by tabs"),
        ("a.png cat\nb/c.png dog\n", "separated by spaces; it has no header: the columns are path, label"),
        ("cat,a.png\ndog,b/c.png\n", "it has no header: the columns are label, path"),
        ("id,breed\na.png,cat\nb/c.png,dog\n", "the labels are those of the column 'breed'"),
        ("id,cat,dog\na.png,1,0\nb/c.png,0,1\n", "2 columns of 0 and 1 are the classes, in their order: 'cat' is 0"),
        ("path,class_id,class_name\na.png,0,cat\nb/c.png,1,dog\n", "'class_id' numbers the classes of 'class_name'"),
        ("path,label\r\na.png,cat\r\nb/c.png,dog".encode("utf-16"), "the manifest is read as UTF-16"),
        ("path,label\na.png,cat\nb/c.png,dog".encode("utf-16-le"), "the manifest is read as UTF-16"),
    ],
)
def test_what_is_assumed_of_a_table_is_told(tmp_path: Path, text: str | bytes, said: str) -> None:
    found = [
        (path, label.present[0] if isinstance(label, Several) else label) for path, label in entries(tmp_path, text)
    ]
    assert found == [("a.png", "cat"), ("b/c.png", "dog")]
    assert said in assumed(tmp_path, text)


def test_letters_of_latin_1_are_read_and_told(tmp_path: Path) -> None:
    text = "path,label\na.png,B\u00e4r\n".encode("latin-1")
    assert entries(tmp_path, text) == [("a.png", "B\u00e4r")]
    assert assumed(tmp_path, text) == "the manifest is read as Windows-1252"


def test_a_usual_table_leaves_nothing_to_assume(tmp_path: Path) -> None:
    assert assumed(tmp_path, "path,label\na.png,cat\n") == ""


def test_the_numbers_of_classes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,class_name,class_id\na.png,cat,7\nb.png,dog,3\n")
    assert read(tmp_path / "list.csv").numbers == {"cat": 7, "dog": 3}
    (tmp_path / "list.csv").write_text("id,owl,cat\na.png,0,1\n")
    assert read(tmp_path / "list.csv").numbers == {"owl": 0, "cat": 1}


def test_a_class_of_two_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,class_name,class_id\na.png,cat,7\nb.png,cat,3\n")
    with pytest.raises(DataError, match="numbers the class 'cat' twice: 7 and 3"):
        read(tmp_path / "list.csv")
