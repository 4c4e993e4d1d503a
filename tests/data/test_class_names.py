from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.data.class_names import class_names
from auditor.errors import DataError


@pytest.mark.parametrize(
    "text", ["cat\ndog\nsea lion\n", "\ufeffcat\r\ndog\r\n sea lion \r\n\r\n", "cat\ndog\nsea lion"]
)
def test_text_is_one_name_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text, newline="")
    assert class_names(path) == ("cat", "dog", "sea lion")


@pytest.mark.parametrize(
    "value",
    [
        ["cat", "dog", "sea lion"],
        {"0": "cat", "1": "dog", "2": "sea lion"},
        {"2": "sea lion", "1": "dog", "0": "cat"},
        {"sea lion": 2, "cat": 0, "dog": 1},
        {"0": ["n01", "cat"], "1": ["n02", "dog"], "2": ["n03", "sea lion"]},
        [["n01", "cat"], ["n02", "dog"], ["n03", "sea lion"]],
    ],
)
def test_json_is_a_list_or_an_object_in_either_direction(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps(value))
    assert class_names(path) == ("cat", "dog", "sea lion")


def test_numbers_that_are_named_by_numbers_are_names_to_indices(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text('{"7": 0, "9": 1}')
    assert class_names(path) == ("7", "9")


def test_eleven_indices_are_sorted_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({str(i): f"c{i}" for i in range(12)}, sort_keys=True))
    assert class_names(path) == tuple(f"c{i}" for i in range(12))


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("names.txt", b"", "has no names"),
        ("names.txt", b"cat\n\ndog\n", "class 1 has no name"),
        ("names.txt", b"\xff\xfe", "not UTF-8 text"),
        ("names.json", b"", "not JSON"),
        ("names.json", b"[]", "has no names"),
        ("names.json", b"3", "expected a list of names or an object"),
        ("names.json", b'{"0": "cat", "2": "dog"}', "the indices are not 0 to 1"),
        ("names.json", b'{"cat": 0, "dog": 0}', "the indices are not 0 to 1"),
        ("names.json", b'{"cat": "a"}', "neither the keys nor the values"),
        ("names.json", b'["cat", 3]', "the name of class 1 is 3"),
    ],
)
def test_a_file_that_does_not_name_every_class_gets_one_line(tmp_path: Path, name: str, text: bytes, line: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(DataError) as caught:
        class_names(tmp_path / name)
    assert line in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        class_names(tmp_path / "names.txt")
    with pytest.raises(DataError, match="a folder, not a file"):
        class_names(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "0 cat\n1 dog\n2 sea lion\n",
        "0,cat\n1,dog\n2,sea lion\n",
        "cat,0\ndog,1\nsea lion,2\n",
        "index,name\n1,cat\n2,dog\n3,sea lion\n",
        "2\tsea lion\n0\tcat\n1\tdog\n",
        "0: cat\n1: dog\n2: sea lion\n",
    ],
)
def test_lines_may_number_the_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(text)
    assert class_names(path) == ("cat", "dog", "sea lion")
    path.write_bytes(text.encode("utf-16"))
    assert class_names(path) == ("cat", "dog", "sea lion")


@pytest.mark.parametrize("text", ["10 euro\n20 euro\n", "boeing 747\nairbus, a 320\n", "0\n1\n10\n11\n2\n"])
def test_numbers_in_names_are_no_indices(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text)
    assert class_names(path) == tuple(text.splitlines())


@pytest.mark.parametrize(
    "text",
    ['[names]\n0 = "cat"\n1 = "dog"', "cat = 0\ndog = 1", "[class_to_idx]\ndog = 1\ncat = 0", 'names = ["cat", "dog"]'],
)
def test_toml_is_read_in_either_direction(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.toml"
    path.write_text(text)
    assert class_names(path) == ("cat", "dog")
