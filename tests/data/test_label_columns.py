from __future__ import annotations

import pytest

from auditor.data.label_columns import Columns, columns, is_header

TABLES = [
    ("path,label", "a.png,cat", Columns(0, 1)),
    ("filename,label", "a.png,cat", Columns(0, 1)),
    ("image,class", "a.png,cat", Columns(0, 1)),
    ("file,category", "a.png,cat", Columns(0, 1)),
    ("target,path", "3,a.png", Columns(1, 0)),
    ("img,y", "a.png,3", Columns(0, 1)),
    ("Image Index,Class Name", "a.png,cat", Columns(0, 1)),
    ("image_id,label", "4711,cat", Columns(0, 1)),
    ("id,breed", "4711,husky", Columns(0, 1, eliminated="breed")),
    ("picture_nr,label", "a.png,cat", Columns(0, 1)),
    ("path,label,split", "a.png,cat,val", Columns(0, 1, split=2)),
    ("path,class_id,class_name", "a.png,3,cat", Columns(0, 2, 1)),
    ("path,label,label_name", "a.png,3,cat", Columns(0, 2, 1)),
    ("path,label,class_id", "a.png,cat,3", Columns(0, 1, 2)),
    ("path", "a.png", Columns(0)),
    ("id,cat,dog", "4711,0,1", Columns(0, hot=(1, 2), classes=("cat", "dog"))),
    ("id,split,cat,dog", "4711,val,0,1", Columns(0, hot=(2, 3), classes=("cat", "dog"), split=1)),
]


@pytest.mark.parametrize(("header", "row", "expected"), TABLES)
def test_columns_are_known_by_their_usual_names(header: str, row: str, expected: Columns) -> None:
    assert columns(header.split(","), [row.split(",")]) == expected


@pytest.mark.parametrize(
    ("header", "row", "line"),
    [
        ("number,label", "1,cat", "'path'; its columns are: number, label"),
        ("file,lable", "a.png,cat", "'label'; its columns are: file, lable; did you mean 'label'?"),
        ("file,width,height", "a.png,3,4", "'label'; its columns are: file, width, height; without labels, give only"),
    ],
)
def test_a_column_that_is_missing_is_named_with_those_there_are(header: str, row: str, line: str) -> None:
    with pytest.raises(LookupError) as caught:
        columns(header.split(","), [row.split(",")])
    assert line in str(caught.value)


@pytest.mark.parametrize(("row", "header"), [("path,label", True), ("a.png,cat", False), ("cat,a.png", False)])
def test_a_header_has_the_name_of_a_column_and_no_image(row: str, header: bool) -> None:
    assert is_header(row.split(",")) is header


def test_columns_of_marks_are_told_from_others() -> None:
    found = columns(["id", "age", "cat", "dog", "note"], [["1", "31", "1", "0", "x"], ["2", "40", "", "1", "y"]])
    assert (found.hot, found.classes) == ((2, 3), ("cat", "dog"))
