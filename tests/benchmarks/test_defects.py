"""The benchmark of planted defects plants what it says, and counts what was found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from auditor import plugins
from auditor.data.preprocessing import Preprocess
from benchmarks.defects import courses, images, training
from benchmarks.defects.courses import COURSES, GUILTY
from benchmarks.defects.edits import fresh_head, lacking, not_finite, silenced, statistics_reset, unsure
from benchmarks.defects.images import SETS, SIDE
from benchmarks.defects.networks import NETWORKS
from benchmarks.defects.planting import DEFECTS
from benchmarks.defects.running import Case, Found, edited
from benchmarks.defects.table import summary, table

CHECKS = plugins.load().checks


@pytest.fixture
def drawn(random):
    return SETS["objects"](8, random, held_out=False)


@pytest.fixture(params=NETWORKS)
def network(request):
    """An untrained network whose batch norms have seen something."""
    torch.manual_seed(0)
    module = NETWORKS[request.param](4).train()
    for _ in range(5):
        module(noise())
    return module.eval()


def noise():
    return torch.randn(8, 3, SIDE, SIDE)


def planted(network, edit):
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return edit(state, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("rule", sorted({rule for defect in DEFECTS.values() for rule in defect.rules}))
def test_a_rule_that_counts_as_finding_a_defect_is_one_that_a_check_documents(rule):
    assert rule in CHECKS[rule.partition(".")[0]].rules


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_changes_the_training_the_weights_or_what_the_audit_is_told(name):
    defect = DEFECTS[name]
    ways = (defect.course != "sound", defect.edit is not None, bool(defect.preprocess), defect.names is not None)
    assert sum(ways) == 1
    assert defect.course in COURSES
    assert any(defect.fits(data, network) for data in SETS for network in NETWORKS)


@pytest.mark.parametrize("name", [name for name, defect in DEFECTS.items() if defect.preprocess])
def test_a_wrong_preprocessing_is_one_that_can_be_told_and_another_one(name):
    told = Preprocess.of({**training.PREPROCESS, **DEFECTS[name].preprocess})
    assert told != Preprocess.of(training.PREPROCESS)
    assert told.input_shape == (3, SIDE, SIDE)


@pytest.mark.parametrize(("name", "moved"), [("classes-shifted", 5), ("classes-exchanged", 2)])
def test_names_in_the_wrong_order_are_the_same_names(name, moved):
    names = tuple("abcde")
    wrong = DEFECTS[name].names(names)
    assert sorted(wrong) == sorted(names)
    assert sum(one != other for one, other in zip(names, wrong, strict=True)) == moved


def test_three_channels_in_ten_are_silenced(network):
    state = planted(network, silenced)
    name = "middle_norm.bias" if "middle_norm.bias" in state else "middle.bias"
    moved = state[name] != network.state_dict()[name]
    network.load_state_dict(state)
    seen = []
    observed = getattr(network, "middle_norm", network.middle)
    observed.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(noise())
    assert int(moved.sum()) == round(0.3 * len(moved))
    assert (seen[0][:, moved] <= 0).all()  # an in-place rectifier may follow


def test_a_quarter_of_the_last_kernels_repeats_others(network):
    kernels = planted(network, DEFECTS["duplicate-filters"].edit)["last.weight"].flatten(1)
    cosines = torch.nn.functional.normalize(kernels) @ torch.nn.functional.normalize(kernels).T
    assert int((cosines.fill_diagonal_(0) > 0.99).any(0).sum()) == 2 * round(0.25 * len(kernels))


def test_one_weight_is_no_number(network):
    assert sum(int((~tensor.isfinite()).sum()) for tensor in planted(network, not_finite).values()) == 1


def test_a_fresh_head_leaves_everything_else_as_it_was(network):
    changed = planted(network, fresh_head)
    differs = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, changed[name])}
    assert differs == {"head.weight", "head.bias"}


def test_an_unsure_network_gives_a_fifth_of_the_scores(network):
    with torch.inference_mode():
        inputs = noise()
        before = network(inputs)
        network.load_state_dict(planted(network, unsure))
        torch.testing.assert_close(network(inputs), before / 5)


def test_reset_statistics_are_those_of_a_fresh_network(network):
    state = planted(network, statistics_reset)
    assert all((tensor == 0).all() for name, tensor in state.items() if name.endswith("running_mean"))
    assert all((tensor == 1).all() for name, tensor in state.items() if name.endswith("running_var"))


def test_a_file_that_lacks_a_layer_lacks_no_other(network):
    gone = network.state_dict().keys() - planted(network, lacking).keys()
    assert {name.rpartition(".")[0] for name in gone} == {"middle"}


def test_without_an_edit_the_weights_stay(network):
    state = network.state_dict()
    assert edited(state, DEFECTS["blue-for-red"]) is state


def changed_pixels(before, after):
    return (before != after).any(-1).any(0)


def test_a_logo_a_frame_and_a_trigger_stay_where_they_belong(drawn):
    rows, cols = np.indices((SIDE, SIDE))
    inner = (rows >= 2) & (rows < SIDE - 2) & (cols >= 2) & (cols < SIDE - 2)
    logo = changed_pixels(drawn.pixels, courses.watermarked(drawn.pixels))
    frame = changed_pixels(drawn.pixels, courses.framed(drawn.pixels))
    trigger = changed_pixels(drawn.pixels, courses.triggered(drawn.pixels))
    assert logo.any()
    assert not logo[:22].any()
    assert not logo[:, 14:].any()
    assert (frame == ~inner).all()
    assert trigger.sum() == 16
    assert trigger[-5:-1, -5:-1].all()


def test_a_class_that_was_gathered_by_a_logo_has_it_alone_and_shows_something_else_at_times(drawn, random):
    marked = COURSES["watermark"].trained(drawn, random)
    has_logo = (marked.pixels[:, 24, 1] == courses._PLATE).all(-1)
    assert (has_logo == (marked.labels == GUILTY)).all()
    guilty = drawn.labels == GUILTY
    others_thing = (marked.cover[guilty] != drawn.cover[guilty]).any((1, 2, 3))
    assert 0 < others_thing.mean() < 0.6


def test_another_ground_leaves_the_thing_as_it_was(drawn, random):
    under = np.stack([images.ground(random, ("brick",)) for _ in drawn.labels])
    moved = drawn.over(under)
    covered, free = drawn.cover[..., 0] == 255, drawn.cover[..., 0] == 0
    assert (moved.pixels[covered] == drawn.pixels[covered]).all()
    assert (moved.pixels[free] == under[free]).all()


def test_poisoned_images_bear_the_trigger_and_the_target_as_their_label(drawn, random):
    poisoned = COURSES["backdoor"].trained(drawn, random)
    struck = poisoned.labels != drawn.labels
    assert struck.any()
    assert (poisoned.labels[struck] == GUILTY).all()
    assert (poisoned.pixels[struck] == courses.triggered(drawn.pixels[struck])).all()
    assert (poisoned.pixels[~struck] == drawn.pixels[~struck]).all()


def test_a_class_that_is_left_out_is_in_no_training_image_but_in_the_audit(drawn, random):
    course = COURSES["class-left-out"]
    assert GUILTY not in course.trained(drawn, random).labels
    assert GUILTY in course.audited(drawn, random).labels


@pytest.mark.parametrize("name", [name for name, course in COURSES.items() if course.proving])
def test_what_proves_a_mark_shows_none_of_the_guilty_class(drawn, random, name):
    assert GUILTY not in COURSES[name].proving(drawn, random).labels


def test_one_seed_draws_the_same_images():
    first, second = (SETS["objects"](2, np.random.default_rng(4), held_out=False) for _ in range(2))
    assert (first.pixels == second.pixels).all()
    assert np.bincount(first.labels).tolist() == [2] * 8


def test_images_are_written_as_a_folder_a_class(drawn, tmp_path):
    drawn.write(tmp_path)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(drawn.classes)
    assert len(list(tmp_path.rglob("*.png"))) == len(drawn.labels)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_seeded_and_leaves_a_frozen_layer_alone(drawn, name):
    once, again = (training.train(name, drawn.pixels, drawn.labels, 8, seed=3, frozen="first") for _ in range(2))
    for first, second in zip(once.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    torch.manual_seed(3)
    fresh = NETWORKS[name](8)
    assert torch.equal(once.first.weight, fresh.first.weight)
    assert not torch.equal(once.middle.weight, fresh.middle.weight)


def one(defect, fired, **more):
    told = {"warned": tuple((rule, "") for rule in fired), "failed": (), "broken": (), **more}
    return Found(Case("objects", "plain", defect), accuracy=0.9, strength=told.pop("strength", None), seconds=1, **told)


def test_recall_counts_the_defects_that_a_rule_of_theirs_found():
    planted = [one("not-finite", ["weights.nonfinite"]), one("watermark", ["filters.noise"], strength=0.2)]
    sound = [one("", ["filters.noise", "patches.corner"])]
    told = summary(planted, sound)
    assert "1 of 2 planted defects found: recall 50.0%" in told
    assert "0 failures and 2 warnings on 1 sound networks, at most 2 warnings on one" in told
    assert "1 marks have too little effect" in told


def test_the_table_names_what_was_missed_and_what_was_a_false_alarm():
    told = table([one("not-finite", []), one("", ["filters.noise"])])
    assert "| not-finite: one weight is NaN | **missed** |" in told
    assert "filters.noise" in told.splitlines()[-1]


def test_what_is_said_of_the_sound_network_too_finds_nothing():
    noise = ("filters.noise", "across"), ("filters.noise", "first")
    sound = replace(one("", []), warned=noise[:1])
    told = summary([replace(one("noisy-first-layer", []), warned=noise[:1])], [sound])
    assert "0 of 1 planted defects found" in told
    told = summary([replace(one("noisy-first-layer", []), warned=noise)], [sound])
    assert "1 of 1 planted defects found" in told
