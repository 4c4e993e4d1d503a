"""Labels of images that may have several, in all the ways in which people write them."""

import json

import pytest

from auditor.data import dataset, label_sets
from auditor.data.label_cells import Several, of_cell
from auditor.data.task import decided
from auditor.errors import DataError, UsageError

NAMES = ("cat", "dog", "sea bird, gull")
WANTED = [(0, 1), (2,), (), (1,)]


def listing(folder, text, name="list.csv"):
    (folder / name).write_text(text)
    return dataset.listing(str(folder / name))


def fitted(data, names=NAMES, outputs=3, *, complete=False):
    found = label_sets.read(data, outputs=outputs, names=names)
    return found, label_sets.fit(found, outputs=outputs, complete=complete)


def present(labels):
    return [None if one is None else one.present for one in labels.sets]


CELLS = {
    "bars": ("cat|dog", "sea bird, gull", "", "dog"),
    "bars with spaces, other case": ("Cat | DOG", "Sea_Bird, gull", "", "dog"),
    "semicolons": ("cat;dog", "sea bird, gull", "", "dog"),
    "commas in quotes": ('"cat, dog"', '"sea bird, gull"', "", "dog"),
    "JSON": ('"[""cat"", ""dog""]"', '"[""sea bird, gull""]"', "[]", '"[""dog""]"'),
    "Python": ("\"['cat', 'dog']\"", "\"['sea bird, gull']\"", "[]", "['dog']"),
    "numbers": ("0|1", "2", "", "1"),
    "numbers apart": ("0 1", "2", "", "1"),
    "multi-hot": ('"[1, 1, 0]"', '"[0, 0, 1]"', '"[0, 0, 0]"', '"[0, 1, 0]"'),
}


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_every_usual_way_to_write_several_labels_in_a_cell_is_read(tmp_path, cells):
    rows = [cell if cell.startswith('"') or "," not in cell else f'"{cell}"' for cell in cells]
    text = "path,label\n" + "".join(f"{number}.png,{cell}\n" for number, cell in enumerate(rows))
    found, labels = fitted(listing(tmp_path, text))
    assert found.example.startswith("0.png: ")
    assert present(labels) == WANTED
    assert labels.classes == NAMES
    assert not labels.partial


LINES = {
    "lists": (["cat", "dog"], ["sea bird, gull"], [], ["dog"]),
    "indices": ([0, 1], [2], [], [1]),
    "multi-hot": ([1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]),
    "true and false": ([True, True, False], [False, False, True], [False] * 3, [False, True, False]),
    "floats": ([1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    "objects": tuple({name: int(place in one) for place, name in enumerate(NAMES)} for one in WANTED),
}


@pytest.mark.parametrize("values", LINES.values(), ids=LINES)
def test_every_usual_way_to_write_several_labels_in_a_json_line_is_read(tmp_path, values):
    lines = (json.dumps({"path": f"{n}.png", "label": value}) for n, value in enumerate(values))
    _found, labels = fitted(listing(tmp_path, "\n".join(lines), "list.jsonl"))
    assert present(labels) == WANTED


@pytest.mark.parametrize("marks", [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("yes", "no")])
def test_a_column_for_each_class_is_read_and_other_columns_are_left_out(tmp_path, marks):
    yes, no = marks
    rows = [",".join(yes if place in one else no for place in (1, 0, 2)) for one in WANTED]
    text = 'filename,width,dog,cat,"sea bird, gull",is_test\n'
    text += "".join(f"{n}.png,{n + 40},{row},{no}\n" for n, row in enumerate(rows))
    _found, labels = fitted(listing(tmp_path, text))
    assert present(labels) == WANTED


def test_without_class_names_columns_name_the_classes_in_their_order(tmp_path):
    _found, labels = fitted(listing(tmp_path, "path,b,a\n0.png,1,1\n1.png,0,1\n"), None, 2)
    assert (labels.classes, present(labels)) == (("b", "a"), [(0, 1), (1,)])


def test_without_class_names_as_many_labels_as_outputs_are_the_classes(tmp_path):
    _found, labels = fitted(listing(tmp_path, "path,label\n0.png,b|a\n1.png,c\n"), None)
    assert (labels.classes, present(labels)) == (("a", "b", "c"), [(0, 1), (2,)])


def test_an_empty_mark_is_unknown_and_an_empty_cell_means_no_label(tmp_path):
    _found, labels = fitted(listing(tmp_path, "path,cat,dog\n0.png,1,\n1.png,-1,1\n"), ("cat", "dog"), 2)
    assert [labels.targets(image).tolist() for image in (0, 1)] == [[1, -1], [-1, 1]]
    _found, labels = fitted(listing(tmp_path, "path,label\n0.png,cat|dog\n1.png,\n2.png,?\n"))
    assert [labels.targets(image).tolist() for image in range(3)] == [[1, 1, 0], [0, 0, 0], [-1, -1, -1]]
    assert present(labels) == [(0, 1), (), None]


def test_names_with_separators_are_whole_if_they_are_classes(tmp_path):
    names = ("great white shark, white shark", "cat", "dog")
    found = label_sets.read(
        listing(tmp_path, 'path,label\n0.png,"great white shark, white shark"\n1.png,cat\n'), outputs=3, names=names
    )
    assert found.example == ""
    assert label_sets.single(found, outputs=3).indices == (0, 1)


def test_one_of_several_columns_is_a_class(tmp_path):
    found = label_sets.read(listing(tmp_path, "path,a,b,c\n0.png,0,1,0\n1.png,1,0,0\n"), outputs=3, names=None)
    assert found.example == ""
    assert label_sets.single(found, outputs=3).indices == (1, 0)


def test_one_label_an_image_says_nothing_of_the_others_unless_several_are_asked_for(tmp_path):
    data = listing(tmp_path, "path,label\n0.png,dog\n1.png,\n2.png,cat\n")
    _found, labels = fitted(data)
    assert labels.partial
    assert [labels.targets(image).tolist() for image in range(3)] == [[-1, 1, -1], [-1, -1, -1], [1, -1, -1]]
    _found, labels = fitted(data, complete=True)
    assert [labels.targets(image).tolist() for image in range(3)] == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_a_sample_is_spread_over_the_labels_that_the_fewest_images_have(tmp_path):
    _found, labels = fitted(listing(tmp_path, "path,label\n0.png,cat|dog\n1.png,dog\n2.png,dog\n3.png,\n4.png,?\n"))
    assert list(labels.groups) == [0, 1, 1, -1, None]


@pytest.mark.parametrize(
    ("text", "names", "line"),
    [
        ("path,label\n0.png,cat|dig\n1.png,cat|dog\n", NAMES, "'dig' is not a class of the network"),
        ("path,cat,dog\n0.png,1,1\n1.png,0,1\n", NAMES, "the class 'sea bird, gull' of the network has no column"),
        ("path,a,b\n0.png,1,1\n1.png,0,1\n", None, "there are 2 columns of labels (a, b), but its 3 outputs have no"),
        ("path,label\n0.png,0|7\n1.png,0|1\n", None, "the label '7' is not a class of the network"),
    ],
)
def test_labels_that_are_no_classes_are_refused_in_one_line(tmp_path, text, names, line):
    with pytest.raises(DataError) as refused:
        fitted(listing(tmp_path, text), names)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [{"a": "maybe"}, [["cat"]], [0.5], 0.5, True])
def test_a_json_value_that_is_no_label_is_refused(tmp_path, value):
    with pytest.raises(DataError, match="line 1 has the label"):
        listing(tmp_path, json.dumps({"path": "a.png", "label": value}), "list.jsonl")


@pytest.mark.parametrize("cell", ["[a, b", "[open('x')]", "[" * 5000 + "]" * 5000, "[1, {}]"])
def test_brackets_that_are_no_list_of_labels_stay_text(cell):
    assert of_cell(cell) == cell


def test_python_in_a_cell_is_never_run():
    assert isinstance(of_cell("['a', 'b']"), Several)
    assert of_cell("[__import__('os').getcwd()]") == "[__import__('os').getcwd()]"


DECIDED = [
    (None, 3, "scores", "", "multiclass"),
    (None, 3, "softmax", "", "multiclass"),
    (None, 3, "sigmoid", "", "multilabel"),
    (None, 1, "sigmoid", "", "multiclass"),
    (None, 3, "scores", "a.png: cat, dog", "multilabel"),
    ("multiclass", 3, "sigmoid", "a.png: cat, dog", "multiclass"),
    ("multilabel", 3, "softmax", "", "multilabel"),
]


@pytest.mark.parametrize(("asked", "outputs", "ending", "several", "name"), DECIDED)
def test_the_data_and_the_end_of_the_network_say_what_it_is_asked(asked, outputs, ending, several, name):
    assert decided(asked, outputs=outputs, ending=ending, several=several).name == name


@pytest.mark.parametrize(
    ("asked", "outputs", "name"), [(None, 3, "multilabel"), ("multiclass", 3, "multiclass"), (None, 1, "multiclass")]
)
def test_a_configuration_may_say_that_images_have_several_labels(asked, outputs, name):
    said = "multi_label_classification"
    assert decided(asked, outputs=outputs, ending="scores", several="", declared=said).name == name
    other = decided(asked, outputs=outputs, ending="scores", several="", declared="regression")
    assert other.name == "multiclass"


def test_a_contradiction_asks_for_the_task():
    with pytest.raises(DataError, match=r"ends in a softmax, .* give --task multilabel, or --task multiclass"):
        decided(None, outputs=3, ending="softmax", several="a.png: cat, dog")
    with pytest.raises(DataError, match="has one output, for two classes; give --task multiclass"):
        decided(None, outputs=1, ending="scores", several="a.png: cat, dog")
    with pytest.raises(UsageError, match="needs a network with several outputs"):
        decided("multilabel", outputs=1, ending="scores", several="")
