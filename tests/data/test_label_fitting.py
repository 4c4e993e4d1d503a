from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from auditor.data.labels import Labels, fit
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
