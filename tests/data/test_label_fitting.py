from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.data.labels import Labels, fit
from auditor.data.levels import levels
from auditor.data.listing import Listing
from auditor.errors import DataError
from auditor.process.torchvision import torchvision

IMAGENET = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
ANIMALS = ("cat", "dog", "Egyptian cat", "sea lion")


def in_folders(*labels: str | None, empty: Sequence[str] = ()) -> Listing:
    folders = sorted({label for label in labels if label is not None} | set(empty))
    return listed(labels, tuple(folders))


def in_manifest(*labels: str | int | None) -> Listing:
    return listed(labels, ())


def listed(labels: Sequence[str | int | None], folders: tuple[str, ...]) -> Listing:
    names = tuple(f"{i}.png" for i in range(len(labels)))
    return Listing(Path(), tuple(map(Path, names)), names, tuple(labels), folders)


def misfit(listing: Listing, outputs: int, names: Sequence[str] | None) -> Labels:
    fitted = fit(listing, outputs=outputs, names=names)
    assert fitted.problem
    assert "\n" not in fitted.problem
    assert fitted.indices == (None,) * len(listing.labels)
    assert len(fitted.classes) == outputs
    return fitted


def test_some_of_the_named_classes_are_found_by_name() -> None:
    fitted = fit(in_folders("sea lion", "cat", None), outputs=4, names=ANIMALS)
    assert fitted == Labels((3, 0, None), ANIMALS)


@pytest.mark.parametrize("folder", ["Egyptian cat", "egyptian_cat", "EGYPTIAN CAT", "Egyptian__cat", " egyptian cat"])
def test_upper_case_and_underscores_make_no_difference(folder: str) -> None:
    assert fit(in_folders(folder), outputs=4, names=ANIMALS).indices == (2,)


def test_an_exact_name_comes_before_one_that_is_alike() -> None:
    assert fit(in_folders("cardigan", "Cardigan"), outputs=1000, names=IMAGENET).indices == (474, 264)


def test_every_unique_name_of_imagenet_finds_its_own_index() -> None:
    unique = [name for name in IMAGENET if IMAGENET.count(name) == 1]
    fitted = fit(in_folders(*unique), outputs=1000, names=IMAGENET)
    assert fitted.problem == ""
    assert [IMAGENET[i] for i in fitted.indices if i is not None] == unique


def test_a_name_of_two_classes_matters_only_where_it_is_used() -> None:
    names = ("crane", "dog", "crane")
    assert fit(in_folders("dog"), outputs=3, names=names).indices == (1,)
    assert misfit(in_folders("dog", "crane"), 3, names).problem == (
        "the folder 'crane' is ambiguous: it is the name of the classes 0, 2"
    )
    assert "classes 264, 474" in misfit(in_folders("CARDIGAN"), 1000, IMAGENET).problem


def test_without_names_the_sorted_folders_are_the_classes() -> None:
    fitted = fit(in_folders("dog", "cat", empty=["ape"]), outputs=3, names=None)
    assert fitted == Labels((2, 1), ("ape", "cat", "dog"), "", "folders")


def test_as_many_numbers_as_outputs_are_in_the_order_of_image_folder() -> None:
    numbers = tuple(str(i) for i in range(12))
    fitted = fit(in_folders(*numbers), outputs=12, names=None)
    assert [fitted.classes[i] for i in fitted.indices if i is not None] == list(numbers)
    assert fitted.classes[:4] == ("0", "1", "10", "11")
    assert fitted.names_source == "folders"


def test_a_few_folders_that_are_numbers_are_indices() -> None:
    assert fit(in_folders("7", "007", None), outputs=12, names=None).indices == (7, 7, None)


def test_numbers_are_indices_where_no_class_is_called_so() -> None:
    assert fit(in_folders("2", "0"), outputs=4, names=ANIMALS).indices == (2, 0)
    assert fit(in_folders("2", "0"), outputs=4, names=("2", "a", "b", "0")).indices == (0, 3)


def test_numbers_from_one_to_n_are_sorted_folders() -> None:
    fitted = fit(in_folders("1", "2", "3"), outputs=3, names=None)
    assert (fitted.indices, fitted.classes) == ((0, 1, 2), ("1", "2", "3"))


def test_all_of_imagenets_ids_are_in_the_order_of_the_outputs() -> None:
    ids = [f"n{i:08}" for i in range(0, 3000, 3)]
    fitted = fit(in_folders(*ids), outputs=1000, names=IMAGENET)
    assert fitted.indices == tuple(range(1000))
    assert fitted.classes == tuple(IMAGENET)
    assert misfit(in_folders(*ids[:10]), 1000, IMAGENET)


def test_ids_that_are_the_names_are_found_by_name() -> None:
    assert fit(in_folders("n00000001", "n00000002"), outputs=2, names=("n00000002", "n00000001")).indices == (1, 0)


def test_folders_that_do_not_fit_are_shown_beside_the_classes() -> None:
    problem = misfit(in_folders("cat", "dgo"), 4, ANIMALS).problem
    assert problem == (
        "the folder 'dgo' is not a class of the network; found 2 folders: 'cat', 'dgo'; "
        "its 4 classes are: 'cat', 'dog', 'Egyptian cat', 'sea lion'; did you mean 'dog'?"
    )


def test_long_lists_are_shortened() -> None:
    problem = misfit(in_folders(*(f"kind {i:03}" for i in range(200))), 1000, IMAGENET).problem
    assert "'kind 000', 'kind 001', 'kind 002', 'kind 003' ... 'kind 199' (200 in all)" in problem
    assert "'tench', 'goldfish'" in problem
    assert "'toilet tissue' (1000 in all)" in problem


def test_too_few_folders_without_names_ask_for_names() -> None:
    fitted = misfit(in_folders("cat", "dog"), 10, None)
    assert "10 outputs have no names: use 0 to 9, or give --classes FILE" in fitted.problem
    assert fitted.names_source == "numbers"


@pytest.mark.parametrize("names", [ANIMALS, None])
def test_a_folder_one_level_too_high_is_told_which_would_fit(names: Sequence[str] | None) -> None:
    paths = [f"{split}/{animal}/1.png" for split in ("train", "val") for animal in ANIMALS]
    above = Listing(
        Path("pets"), tuple(map(Path, paths)), tuple(paths), ("train",) * 4 + ("val",) * 4, ("train", "val")
    )
    assert misfit(above, 4, names).problem.endswith("; the folders in 'val' fit; give --data pets/val")


def test_as_many_folders_as_classes_of_other_names_do_not_fit() -> None:
    assert misfit(in_folders("a", "b", "c", "d"), 4, ANIMALS)


def test_without_labels_there_is_nothing_to_fit() -> None:
    assert fit(in_manifest(None, None), outputs=4, names=ANIMALS) == Labels((None, None), ANIMALS)
    assert fit(in_manifest(None), outputs=2, names=None).classes == ("class 0", "class 1")


def test_a_manifest_may_give_names_numbers_and_text_that_is_a_number() -> None:
    assert fit(in_manifest("dog", 3, None), outputs=4, names=ANIMALS).indices == (1, 3, None)
    assert fit(in_manifest("3", "0"), outputs=4, names=ANIMALS).indices == (3, 0)
    assert fit(in_manifest(1, 0), outputs=2, names=None).indices == (1, 0)
    assert fit(in_manifest("b", "a"), outputs=2, names=None) == Labels((1, 0), ("a", "b"), "", "labels")


@pytest.mark.parametrize("label", [4, -1, "4", "-1", "tiger", 10**30, "9" * 5000])
def test_a_manifests_label_that_is_no_class_is_refused(label: str | int) -> None:
    with pytest.raises(
        DataError, match=r"is not a class of the network; found 2 labels: .*its 4 classes are: 'cat', 'dog'"
    ):
        fit(in_manifest(0, label), outputs=4, names=ANIMALS)


def test_as_many_names_as_outputs_are_needed() -> None:
    with pytest.raises(DataError, match="there are 4 class names, but the network has 10 outputs"):
        fit(in_folders("cat"), outputs=10, names=ANIMALS)


def said(fitted: Labels) -> str:
    return "; ".join(one.text for one in fitted.assumptions)


def tree(*paths: str) -> Listing:
    """Return the listing of one image in each of these folders."""
    names = tuple(sorted(f"{path}/1.png" for path in paths))
    every = sorted({"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 2)})
    inner = tuple(level for level in levels(names, every) if level.place != 1)
    first = tuple(name.partition("/")[0] for name in names)
    return Listing(Path(), tuple(map(Path, names)), names, first, tuple(sorted(set(first))), inner)


@pytest.mark.parametrize("names", [("cat", "dog", "car"), None])
@pytest.mark.parametrize(
    "paths",
    [
        ("animals/cat", "animals/dog", "vehicles/car"),
        ("images/cat", "images/dog", "images/car"),
        ("a/animals/cat", "a/animals/dog", "b/vehicles/car"),
        ("animals/pets/cat", "animals/pets/dog", "vehicles/car"),
    ],
)
def test_classes_may_lie_at_a_deeper_level(names: Sequence[str] | None, paths: tuple[str, ...]) -> None:
    fitted = fit(tree(*paths), outputs=3, names=names)
    assert fitted.problem == ""
    assert sorted(i for i in fitted.indices if i is not None) == [0, 1, 2]
    assert "are the classes" in fitted.assumptions[0].text
    assert not fitted.assumptions[0].guess


def test_folders_below_a_class_are_no_classes() -> None:
    fitted = fit(tree("cat/monday", "cat/tuesday", "dog/monday"), outputs=2, names=None)
    assert (fitted.indices, fitted.classes) == ((0, 0, 1), ("cat", "dog"))


def test_the_same_classes_in_several_folders_are_a_guess() -> None:
    fitted = fit(tree("day/cat", "day/dog", "dog days/cat", "night/cat", "night/dog"), outputs=2, names=("cat", "dog"))
    assert not fitted.assumptions[0].guess or "if they are splits" in said(fitted)
    fitted = fit(tree("day/cat", "day/dog", "night/cat", "night/dog", "x/cat", "x/dog"), outputs=2, names=None)
    assert fitted.assumptions[0].guess


def test_an_empty_folder_is_no_class_where_the_others_fit() -> None:
    fitted = fit(in_folders("cat", "dog", empty=["zebra"]), outputs=2, names=None)
    assert fitted.indices == (0, 1)
    assert "the folder 'zebra' has no images and is no class" in said(fitted)
    assert "the folder 'zebra' has no images" in misfit(in_folders("cat", "dog", empty=["zebra"]), 5, None).problem


def test_a_hidden_folder_that_would_fit_is_named() -> None:
    listed = replace(in_folders("apple", "bear", "cat"), hidden=(".ipynb_checkpoints",))
    assert "a hidden folder would make 4: was .ipynb_checkpoints there in training?" in misfit(listed, 4, None).problem
    assert "hidden" not in misfit(listed, 9, None).problem


def test_numbers_sorted_as_text_are_told() -> None:
    fitted = fit(in_folders(*(str(i) for i in range(12))), outputs=12, names=None)
    assert "sorted as text: 0, 1, 10, 11, 2" in said(fitted)
    assert [one.lines[2] for one in fitted.alternatives] == ["2"]


def test_numbers_from_one_to_the_number_of_outputs_count_from_one() -> None:
    fitted = fit(in_folders("1", "2", "4"), outputs=4, names=ANIMALS)
    assert fitted.indices == (0, 1, 3)
    assert said(fitted) == "the labels are numbers and count the classes from 1"
    assert fit(in_manifest(1, 3, 4), outputs=4, names=ANIMALS).indices == (0, 2, 3)
    with pytest.raises(DataError, match="the label 4 is not a class"):
        fit(in_manifest(1, 4), outputs=4, names=ANIMALS)
    assert said(fit(in_manifest(0, 3), outputs=4, names=ANIMALS)) == (
        "the labels are numbers and count the classes from 0"
    )


@pytest.mark.parametrize(("labels", "guess"), [("123", True), ("0123", False), ("12", False), ("134", False)])
def test_numbers_that_could_count_from_one_are_a_guess(labels: str, guess: bool) -> None:
    (assumed,) = fit(in_folders(*labels), outputs=12, names=None).assumptions
    assert assumed.guess is guess
    assert ("none of them is 0" in assumed.text) is guess


@pytest.mark.parametrize("labels", [("1", "8"), (1, 8)])
def test_the_lines_that_an_order_proposes_give_that_order(labels: tuple[str | int, ...]) -> None:
    fitted = fit(in_manifest(*labels), outputs=12, names=None)
    assert fitted.indices == (1, 8)
    shifted = next(one for one in fitted.alternatives if one.text == "if the numbers begin at 1")
    assert fit(in_manifest(*labels), outputs=12, names=shifted.lines).indices == (0, 7)


def test_words_and_known_names_have_no_other_order() -> None:
    assert fit(in_folders("cat", "dog"), outputs=2, names=None).alternatives == ()
    assert fit(in_folders("1", "2"), outputs=12, names=[str(i) for i in range(12)]).alternatives == ()


def test_the_numbers_of_a_manifest_are_the_outputs() -> None:
    listed = replace(in_manifest("owl", "cat"), numbers={"owl": 0, "cat": 1})
    assert fit(listed, outputs=2, names=None) == Labels((0, 1), ("owl", "cat"), "", "labels")
    assert fit(listed, outputs=2, names=("cat", "owl")).indices == (1, 0)
    assert fit(listed, outputs=5, names=None).classes == ("owl", "cat", "class 2", "class 3", "class 4")


IMAGENETTE = {
    "n01440764": "tench", "n02102040": "English springer", "n02979186": "cassette player", "n03000684": "chain saw",
    "n03028079": "church", "n03394916": "French horn", "n03417042": "garbage truck", "n03425413": "gas pump",
    "n03445777": "golf ball", "n03888257": "parachute",
}  # fmt: skip


def test_a_part_of_imagenets_identifiers_finds_its_classes() -> None:
    fitted = fit(in_folders(*IMAGENETTE), outputs=1000, names=IMAGENET)
    assert [IMAGENET[i] for i in fitted.indices if i is not None] == list(IMAGENETTE.values())
    assert said(fitted) == "the labels are ImageNet's identifiers"
    assert fit(in_folders(*IMAGENETTE), outputs=1000, names=None).indices == fitted.indices


@pytest.mark.parametrize("names", [None, tuple(IMAGENETTE.values()), tuple(reversed(IMAGENETTE.values()))])
def test_identifiers_find_their_names_in_a_network_of_ten(names: tuple[str, ...] | None) -> None:
    fitted = fit(in_folders(*IMAGENETTE), outputs=10, names=names)
    right = names or tuple(IMAGENETTE)
    expected = IMAGENETTE.values() if names else IMAGENETTE
    assert [right[i] for i in fitted.indices if i is not None] == list(expected)


def test_identifiers_that_are_in_no_list_do_not_fit() -> None:
    assert misfit(in_folders("n00000001", "n01440764"), 1000, IMAGENET)
