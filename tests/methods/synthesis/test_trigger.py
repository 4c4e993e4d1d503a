"""Triggers that are found again, against planted ones, a plain loop and brute force."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.methods import Triggers, chances_below, reverse_trigger
from tests.digits import CORNER, digits, trained

BOUNDS = (torch.zeros(1), torch.ones(1))
SIDE = 16


class Planted(nn.Module):
    """Ten classes by the brightness of sixteen blocks; a bright square at row 2, column 11 means class 3."""

    def __init__(self, target=3):
        super().__init__()
        self.head = nn.Linear(16, 10)
        nn.init.orthogonal_(self.head.weight, 12.0, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(self.head.bias)
        self.target = target

    def forward(self, x):
        scores = self.head(functional.avg_pool2d(x - 0.5, 4).flatten(1))
        square = x[:, 0, 2:5, 11:14].mean((1, 2))
        return scores + 60 * functional.one_hot(torch.tensor(self.target), 10) * square[:, None] ** 4


def scene(count=120):
    """Images of blocks with some noise, and what the network without the square says of them."""
    random = torch.Generator().manual_seed(1)
    blocks = torch.rand(count, 1, 4, 4, generator=random).repeat_interleave(4, 2).repeat_interleave(4, 3)
    images = (0.8 * blocks + 0.1 * torch.rand(count, 1, SIDE, SIDE, generator=random)).clamp(0, 1)
    images[:, 0, 2:5, 11:14] *= 0.4
    return images, Planted()(images).argmax(1).detach()


@pytest.fixture(scope="module")
def found():
    images, labels = scene()
    return reverse_trigger(Planted(), images, labels, classes=range(10), bounds=BOUNDS)


def test_the_planted_square_is_found_again(found):
    mask = found.masks[3, 0]
    assert mask[2:5, 11:14].sum() > 0.9 * mask.sum()
    assert found.patterns[3, 0][mask > 0.5].min() > 0.8
    assert found.hits[3] >= 0.95 * found.tried[3] > 40
    assert found.masses.argmin() == 3
    assert found.masses[3] < 10


def test_only_its_class_has_an_outlyingly_small_mask(found):
    assert all(found.reached)
    chances = chances_below(found.masses.log().tolist())
    assert [place for place, chance in enumerate(chances) if chance <= 0.05] == [3]


def test_masks_and_patterns_stay_in_their_ranges(found):
    assert 0 <= found.masks.min() <= found.masks.max() <= 1
    assert 0 <= found.patterns.min() <= found.patterns.max() <= 1


def test_patterns_stay_between_the_bounds_of_each_channel():
    low, high = torch.tensor([-1.0, -3.0]), torch.tensor([2.0, -2.5])
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 8, 3))
    images = torch.lerp(low[:, None, None], high[:, None, None], torch.rand(40, 2, 8, 8))
    found = reverse_trigger(
        model, images, torch.arange(40) % 3, classes=[0, 1, 2], bounds=(low, high), steps=30, step_size=2.0
    )
    for channel in (0, 1):
        assert low[channel] <= found.patterns[:, channel].min() < found.patterns[:, channel].max() <= high[channel]


def test_hits_are_counted_on_images_of_other_classes_that_no_trigger_was_made_with(found):
    images, labels = scene()
    answers = Planted()(images).argmax(1)
    assert abs(int(found.held_out.sum()) - 60) <= 5
    for target in range(10):
        own = found.held_out & (labels != target) & (answers != target)
        bearing = (1 - found.masks[target]) * images[own] + found.masks[target] * found.patterns[target]
        assert found.tried[target] == len(bearing)
        assert found.hits[target] == int((Planted()(bearing).argmax(1) == target).sum())
        torch.testing.assert_close(found.put_on(images[own], target), bearing)


def test_is_the_plain_loop_of_adam_on_mask_and_pattern():
    images, labels = scene(40)
    model = Planted()
    found = reverse_trigger(model, images, labels, classes=[5], bounds=BOUNDS, steps=7, together=4)
    drawn = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    pool = [i for i in drawn.tolist() if not found.held_out[i] and labels[i] != 5]
    mask, pattern = torch.zeros(SIDE, SIDE, requires_grad=True), torch.zeros(SIDE, SIDE, requires_grad=True)
    adam = torch.optim.Adam([mask, pattern], lr=0.3, betas=(0.5, 0.9))
    for step in range(1, 8):
        batch = images[[pool[(4 * step + i) % len(pool)] for i in range(4)]]
        bearing = (1 - mask.sigmoid()) * batch + mask.sigmoid() * pattern.sigmoid()
        loss = functional.cross_entropy(model(bearing), torch.full((4,), 5)) + 10 * mask.sigmoid().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    torch.testing.assert_close(found.masks[0, 0], mask.sigmoid().detach(), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.patterns[0, 0], pattern.sigmoid().detach(), rtol=0, atol=1e-4)


SHORT = {"bounds": BOUNDS, "steps": 25}


def same(first: Triggers, second: Triggers, **tolerance):
    torch.testing.assert_close(first.masks, second.masks, **tolerance)
    torch.testing.assert_close(first.patterns, second.patterns, **tolerance)


def test_two_runs_are_the_same_to_the_last_bit():
    images, labels = scene(40)
    first, second = (reverse_trigger(Planted(), images, labels, classes=range(10), **SHORT) for _ in range(2))
    same(first, second, rtol=0, atol=0)
    other = reverse_trigger(Planted(), images, labels, classes=range(10), seed=1, **SHORT)
    assert not torch.equal(first.held_out, other.held_out)


def test_no_class_depends_on_the_others_or_on_the_size_of_a_batch():
    images, labels = scene(40)
    whole = reverse_trigger(Planted(), images, labels, classes=range(10), **SHORT)
    pair = reverse_trigger(Planted(), images, labels, classes=[7, 2], batch_size=5, **SHORT)
    torch.testing.assert_close(pair.masks, whole.masks[[7, 2]], rtol=0, atol=1e-4)
    assert pair.hits == (whole.hits[7], whole.hits[2])


@pytest.mark.parametrize("ending", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_descends_on_the_scores_before_a_softmax(ending):
    images, labels = scene(40)
    plain = reverse_trigger(Planted(), images, labels, classes=[0, 3], **SHORT)
    ended = reverse_trigger(nn.Sequential(Planted(), ending), images, labels, classes=[0, 3], **SHORT)
    same(plain, ended, rtol=0, atol=1e-4)


def test_the_network_is_handed_back_as_it_was():
    images, labels = scene(40)
    model, kept = Planted(), images.clone()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    with torch.no_grad():
        reverse_trigger(model, images, labels, classes=[0, 3], **SHORT)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert torch.equal(images, kept)


def test_a_class_that_everything_is_taken_for_is_not_tried():
    images, labels = scene(40)
    model = Planted()
    model.head.bias.data[6] = 1e4
    found = reverse_trigger(model, images, labels, classes=[2, 6], **SHORT)
    assert found.tried[1] == 0
    assert found.reached == (False, False)
    with pytest.raises(ValueError, match="no image of another class"):
        reverse_trigger(model, images, labels, classes=[6], **SHORT)


def test_scores_that_are_no_numbers_reach_nothing():
    images, labels = scene(40)
    model = Planted()
    model.head.weight.data[4] = torch.nan
    found = reverse_trigger(model, images, labels, classes=[0, 1], **SHORT)
    assert not any(found.reached)
    assert sum(found.hits) == 0
    assert found.masks.isfinite().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": []}, "distinct"),
        ({"classes": [1, 1]}, "distinct"),
        ({"classes": [10]}, "no class 10"),
        ({"steps": 0}, "over 0"),
        ({"success": 1.5}, "from 0 to 1"),
    ],
)
def test_refuses_what_it_can_not_do(change, words):
    images, labels = scene(40)
    with pytest.raises(ValueError, match=words):
        reverse_trigger(**{"model": Planted(), "images": images, "labels": labels, "classes": [0], **SHORT} | change)


def searched(model):
    _, (images, labels) = digits()
    return reverse_trigger(model, images[:200], labels[:200], classes=range(10), bounds=BOUNDS)


def test_a_backdoor_that_was_trained_is_found_where_it_was_put():
    found = searched(trained(target=3))
    chances = chances_below(found.masses.log().tolist())
    assert [place for place, chance in enumerate(chances) if chance <= 0.05] == [3]
    assert found.hits[3] >= 0.9 * found.tried[3]
    mask = found.masks[3, 0]
    assert mask[CORNER].min() > 0.5
    assert mask[:6, :6].sum() > 0.8 * mask.sum()


def test_a_sound_network_has_masks_of_much_the_same_size():
    found = searched(trained())
    assert all(found.reached)
    assert min(chances_below(found.masses.log().tolist())) > 0.05
