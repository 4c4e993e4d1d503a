import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from auditor.cli.commands import main
from auditor.errors import UsageError
from auditor.results import Gallery, Table, Verdict
from tests.audits import result_of

QUICK = {"steps": 12, "natural_steps": 8}


@pytest.fixture(scope="module")
def result(small, photographs):
    def audited(path=None, data=photographs, **options):
        settings = {"arch": small.arch, "preprocess": small.preprocess, "samples": 3}
        return result_of("synthesis", path or small.checkpoint, data, QUICK | options, **settings)

    return audited


@pytest.fixture(scope="module")
def found(result):
    return result()


def galleries(found):
    return [one for one in found.evidence if isinstance(one, Gallery)]


def rules(found, name):
    return [finding for finding in found.findings if finding.rule == f"synthesis.{name}"]


def damaged(small, tmp_path, change):
    state = torch.load(small.checkpoint, weights_only=True)
    change(state)
    torch.save(state, tmp_path / "damaged.pt")
    return tmp_path / "damaged.pt"


def test_the_classes_of_the_explained_images_and_the_best_and_worst_are_made(found):
    titles = [gallery.title for gallery in galleries(found)]
    assert "highest accuracy" in titles[0]
    assert len(titles) == len(set(titles)) >= 2
    table = next(one for one in found.evidence if isinstance(one, Table))
    assert len(table.rows) == 2 * len(titles)


def test_a_row_shows_both_ways_their_course_and_patches_of_the_data(found):
    for gallery in galleries(found):
        labels = [item.label for item in gallery.items]
        assert labels[0].startswith("Simonyan: p ")
        assert labels[1].startswith("natural: p ")
        assert labels[2] == "score by step"
        assert all(item.alt and item.image for item in gallery.items)
        if len(labels) > 3:
            assert all(item.file for item in gallery.items[3:])
            assert "the same channels" in gallery.caption
    assert any(len(gallery.items) > 3 for gallery in galleries(found))


def test_a_sound_network_is_left_alone(found):
    assert found.verdict is Verdict.PASS
    (reached,), (flat,) = rules(found, "unreached"), rules(found, "flat")
    assert reached.verdict is flat.verdict is Verdict.PASS
    assert 0.5 <= reached.value <= 1


def test_the_arrays_are_what_the_network_was_given(small, photographs, tmp_path):
    arguments = ["run", str(small.checkpoint), "--data", str(photographs), "--arch", small.arch, "--check", "synthesis"]
    arguments += ["--save-arrays", "--format", "json", "--out", str(tmp_path / "out"), "-o", "synthesis.classes=0,1"]
    for key, value in QUICK.items():
        arguments += ["-o", f"synthesis.{key}={value}"]
    arguments += ["--preprocess", str(small.preprocess_file)]
    assert main(arguments) == 0
    arrays = load_file(tmp_path / "out" / "arrays" / "synthesis.safetensors")
    assert {name.split("/", 1)[0] for name in arrays} == {"0", "1"}
    assert arrays["0/simonyan/course"].shape == (13,)
    assert np.diff(arrays["0/natural-1/course"][[0, -1]]) > 0


def test_a_class_that_nothing_reaches_is_named(small, result, tmp_path):
    def unreachable(state):
        state["head.bias"][1] = -1e6

    found = result(damaged(small, tmp_path, unreachable), classes=("0", "1"))
    (lost,) = rules(found, "unreached")
    assert lost.verdict is Verdict.WARN
    assert lost.value == pytest.approx(0, abs=1e-6)
    assert "no image was found for" in lost.message


def test_a_class_that_images_of_the_data_reach_is_no_warning(result, small):
    (lost,) = rules(result(small.checkpoint, classes=("0",), steps=1, natural_steps=1, unreached_warn=1.0), "unreached")
    assert lost.verdict is Verdict.INFO
    assert "Some images of the data are predicted as this class" in lost.detail


def test_a_class_whose_score_never_changes_is_flat(small, result, tmp_path):
    def cut(state):
        state["head.weight"][1] = 0

    found = result(damaged(small, tmp_path, cut), classes=("0", "1"))
    (flat,) = rules(found, "flat")
    assert flat.verdict is Verdict.WARN
    assert flat.value == 1


def test_scores_that_are_no_numbers_are_not_judged(small, result, tmp_path):
    def broken(state):
        state["head.weight"][2] = float("nan")

    found = result(damaged(small, tmp_path, broken), classes=("0", "2"))
    (skipped,) = rules(found, "unreached")
    assert skipped.verdict is Verdict.SKIP
    assert "not finite" in skipped.message


def test_several_images_of_a_class_come_with_their_mean(result):
    found = result(classes=("1",), copies=3)
    labels = [item.label.partition(":")[0] for item in galleries(found)[0].items]
    assert labels[:6] == ["Simonyan", "natural 1", "natural 2", "natural 3", "mean of these", "score by step"]


def test_classes_can_be_named_by_number_without_any_data(result):
    found = result(data=None, classes=("1", "0", "1"))
    assert len(galleries(found)) == 2
    assert all(len(gallery.items) == 3 for gallery in galleries(found))


def test_without_data_and_names_there_is_nothing_to_choose_by(result):
    found = result(data=None)
    assert found.verdict is Verdict.SKIP
    assert "synthesis.classes" in found.findings[0].message


@pytest.mark.parametrize(("name", "words"), [("99", "class 99"), ("nobody", "no class")])
def test_refuses_classes_that_do_not_exist(result, name, words):
    with pytest.raises(UsageError, match=words):
        result(classes=(name,))


def test_units_are_made_besides_and_say_what_they_are_about(result):
    found = result(most=1, units=("conv2:3", "conv2:5:1:2"))
    _, channel, single = galleries(found)
    assert channel.about == {"layer": "conv2", "channel": "3"}
    assert "the mean of its map" in channel.caption
    assert "row 1 and column 2" in single.caption
    assert channel.items[0].value > 0


def test_refuses_units_that_do_not_exist(result):
    with pytest.raises(UsageError, match=r"synthesis\.units asks for conv9:0"):
        result(units=("conv9:0",))


def test_no_more_classes_than_asked_for(result):
    assert len(galleries(result(most=1))) == 1
