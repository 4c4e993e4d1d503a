import pytest
import torch
from torch import nn

from auditor.methods import occlusion
from auditor.methods.sanity import faithfulness
from auditor.methods.sanity.faithfulness import (
    area_under,
    cells_of,
    losses,
    random_orders,
    ranked_cells,
    replaced,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(weights):
    """A network of two classes whose difference of scores is a weighted sum of the pixels."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 2, bias=False))
    model[1].weight.data = torch.stack([weights.flatten(), torch.zeros(weights.numel())])
    return model.double()


def test_cells_share_out_the_pixels_row_by_row():
    assert cells_of((3, 5), 2).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    with pytest.raises(ValueError, match="at least 1 pixel"):
        cells_of((3, 5), 0)


def test_cells_are_ranked_by_their_mean_whatever_their_size():
    map_ = torch.tensor([[[0.0, 0.0, 3.0], [4.0, 4.0, 9.0], [1.0, 1.0, 1.0]]])
    cells = cells_of((3, 3), 2)  # of means 2, 6, 1, 1
    assert ranked_cells(map_, cells, seeded())[0, :2].tolist() == [1, 0]


def test_equal_cells_come_in_random_order():
    cells, flat = cells_of((4, 4), 1), torch.zeros(1, 4, 4)
    first, second = (ranked_cells(flat, cells, seeded(seed))[0] for seed in (0, 1))
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(16))
    assert first.tolist() != second.tolist() != list(range(16))


def test_deletion_of_a_linear_network_is_the_sigmoid_of_what_is_left():
    """Each pixel's share of the score is its weight times its value, so every point is known."""
    weights = torch.rand(1, 3, 4, generator=seeded(), dtype=torch.float64)
    image = torch.rand(1, 1, 3, 4, generator=seeded(1), dtype=torch.float64)
    shares = (weights * image[0])[0]
    cells = cells_of((3, 4), 1)
    order = ranked_cells(shares[None], cells, seeded())
    found = replaced(
        linear(weights), image, torch.zeros_like(image), torch.tensor([0]), order[None], cells, steps=12, batch_size=5
    )
    left = shares.sum() - torch.cat([torch.zeros(1), shares.flatten()[order[0]].cumsum(0)])
    torch.testing.assert_close(found[0, 0], left.sigmoid())


def test_no_order_deletes_faster_than_that_of_the_shares_of_a_linear_network():
    weights = torch.randn(1, 4, 4, generator=seeded(), dtype=torch.float64)
    images = torch.rand(5, 1, 4, 4, generator=seeded(1), dtype=torch.float64)
    cells, target = cells_of((4, 4), 1), torch.zeros(5, dtype=torch.long)
    best = ranked_cells((weights * images)[:, 0], cells, seeded())
    others = torch.stack([best, *(random_orders(5, 16, seeded(seed)) for seed in range(20))])
    areas = area_under(replaced(linear(weights), images, torch.zeros_like(images), target, others, cells, steps=16))
    assert (areas[0] < areas[1:]).all()


def test_insertion_is_deletion_the_other_way_round():
    weights = torch.randn(1, 4, 4, generator=seeded(), dtype=torch.float64)
    images, others = torch.rand(2, 3, 1, 4, 4, generator=seeded(1), dtype=torch.float64)
    cells, target = cells_of((4, 4), 2), torch.tensor([0, 1, 0])
    orders = random_orders(3, 4, seeded())[None]
    there = replaced(linear(weights), images, others, target, orders, cells, steps=4)
    back = replaced(linear(weights), others, images, target, orders.flip(2), cells, steps=4)
    torch.testing.assert_close(there, back.flip(2))


def test_ends_are_the_two_images_themselves_and_scores_may_be_probabilities():
    weights = torch.randn(1, 2, 2, generator=seeded(), dtype=torch.float64)
    images, others = torch.rand(2, 2, 1, 2, 2, generator=seeded(1), dtype=torch.float64)
    model, cells, target = linear(weights), cells_of((2, 2), 1), torch.tensor([1, 0])
    orders = random_orders(2, 4, seeded())[None].repeat(3, 1, 1)
    found = replaced(model, images, others, target, orders, cells, steps=1)
    for place, ends in ((0, images), (-1, others)):
        expected = model(ends).softmax(1).gather(1, target[:, None])[:, 0].detach()
        torch.testing.assert_close(found[:, :, place], expected.expand(3, 2))
    ending = nn.Sequential(model, nn.Softmax(1))
    torch.testing.assert_close(replaced(ending, images, others, target, orders, cells, steps=1), found)


@pytest.mark.parametrize("probabilities", [False, True])
def test_losses_are_occlusion_by_windows_side_by_side(probabilities):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 12, 5)]
    model = nn.Sequential(*layers, *([nn.Softmax(1)] if probabilities else [])).double().eval()
    images, others = torch.rand(2, 3, 3, 8, 12, dtype=torch.float64)
    found = losses(model, images, others, torch.tensor([4, 0, 2]), cells_of((8, 12), 4), batch_size=4)
    expected = occlusion(model, images, [4, 0, 2], window=4, stride=4, fill=others).attribution
    assert found.min() < 0 < found.max()
    assert torch.allclose(found, expected.to(found), atol=1e-7)


@pytest.mark.parametrize("steps", [0, 5])
def test_steps_that_do_not_fit_the_cells_are_refused(steps):
    images = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="from 1 to the 4 cells"):
        replaced(
            linear(torch.ones(1, 2, 2)),
            images,
            images,
            torch.tensor([0]),
            random_orders(1, 4, seeded())[None],
            cells_of((2, 2), 1),
            steps=steps,
        )


def test_area_of_a_straight_line_is_its_mean():
    assert area_under(torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0])).item() == pytest.approx(0.5)
    assert faithfulness.area_under(torch.tensor([[1.0, 1.0]])).tolist() == [1.0]


def test_the_sigmoid_of_a_score_does_not_depend_on_the_other_scores():
    def scores(images):
        return images.mean((2, 3))

    images = torch.rand(1, 3, 8, 8)
    cells, target = cells_of((8, 8), 4), torch.tensor([2])
    found = losses(scores, images, 0 * images, target, cells, score="sigmoid")
    whole = scores(images)[0, 2].double()
    corner = whole - images[0, 2, :4, :4].double().sum() / 64
    torch.testing.assert_close(found[0, 0, 0].double(), whole.sigmoid() - corner.sigmoid(), atol=1e-6, rtol=0)
