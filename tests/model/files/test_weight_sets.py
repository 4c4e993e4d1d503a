"""Which places of a checkpoint are sets of weights of one network."""

import pytest
import torch

from auditor.model.files.unwrap import unwrap
from auditor.model.files.weight_sets import NoSuchWeights, alike, chosen, is_averaged, split

PLAIN = {"conv.weight": torch.ones(4, 3, 3, 3), "conv.bias": torch.ones(4), "fc.weight": torch.ones(2, 4)}


def under(prefix, tensors=PLAIN):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "name",
    ["ema", "model_ema", "state_dict_ema", "ema_model", "swa", "teacher", "averaged", "encoder_k", "target_network"],
)
def test_knows_the_names_of_averages(name):
    assert is_averaged(name)


@pytest.mark.parametrize(
    "name", ["state_dict", "model", "schema", "cinema", "swallow", "student", "encoder_q", "retarget"]
)
def test_other_words_are_no_averages(name):
    assert not is_averaged(name)


def test_another_prefix_or_wrapper_makes_no_other_network():
    assert alike(PLAIN, under("module."))
    assert alike(PLAIN, under("model._orig_mod."))
    assert not alike(PLAIN, under("other."))


def test_other_shapes_make_another_network():
    assert not alike(PLAIN, {name: tensor.repeat(2, *[1] * (tensor.ndim - 1)) for name, tensor in PLAIN.items()})


def test_sets_side_by_side_are_split_and_what_is_shared_stays_in_both():
    shared = {"head.weight": torch.ones(2, 2)}
    found = split(under("encoder_q.") | under("encoder_k.") | shared)
    assert list(found) == ["encoder_q", "encoder_k"]
    assert set(found["encoder_k"]) == set(under("encoder_q.")) | {"head.weight"}


@pytest.mark.parametrize("other", ["right.", "encoder.", "ema_norm."])
def test_what_is_no_average_of_anything_is_not_split(other):
    tensors = under("left.") | ({"ema_norm.weight": torch.ones(7)} if other == "ema_norm." else under(other))
    assert split(tensors) == {}


def test_the_state_of_an_optimizer_is_no_set():
    content = {"model": PLAIN, "optimizer": {"ema": PLAIN}, "exp_avg": PLAIN, "grads": PLAIN, "message": {"x": 1}}
    assert unwrap(content).others == {}


def test_parts_that_were_saved_apart_are_no_sets():
    parts = {"backbone": {"weight": torch.ones(1)}, "head": {"weight": torch.ones(2)}}
    assert set(unwrap(parts).tensors) == {"backbone.weight", "head.weight"}


def test_a_teacher_of_another_size_can_be_chosen_and_is_no_other_set():
    large = {name: tensor.repeat(2, *[1] * (tensor.ndim - 1)) for name, tensor in PLAIN.items()}
    content = {"model": PLAIN, "teacher": large}
    assert unwrap(content).others == {}
    assert unwrap(content, weights="teacher").tensors["fc.weight"].shape == (4, 4)


def test_a_part_of_a_name_is_enough_if_no_other_has_it():
    names = ["state_dict", "callbacks.EMA.ema_state_dict", "callbacks.SWA.weights"]
    assert chosen("EMA", names) == "callbacks.EMA.ema_state_dict"
    assert chosen("SWA.weights", names) == "callbacks.SWA.weights"
    with pytest.raises(NoSuchWeights, match="2 sets of weights are called 'callbacks'"):
        chosen("callbacks", names)


def test_what_holds_itself_ends():
    content = {"model": PLAIN}
    content["inside"] = content
    assert unwrap(content).others == {}
