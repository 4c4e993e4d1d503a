"""The laws of a collector, for every collector there is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.collectors import Batch, ChannelStatistics, LabelScores, Predictions, Readability, TopActivations
from auditor.collectors.top import BINS, edges
from auditor.model.layers import Layer

CLASSES = 4
LAYER = Layer("conv", "Conv2d", (3, 2, 2), 0, "conv", rectified=True, ceiling=1.0)

COLLECTORS = [
    Readability,
    lambda: Predictions(kept=3),
    lambda: LabelScores(kept=3),
    lambda: ChannelStatistics([LAYER]),
    lambda: TopActivations([LAYER], 4),
    lambda: TopActivations([LAYER], 7, each=3, leave_out=frozenset([1, 102])),
]


def made(seed, count):
    """A batch of `count` images, and what the layer gave for them."""
    random = np.random.default_rng(seed)
    indices = np.arange(count) + 100 * seed
    labels = random.integers(-1, CLASSES, count)
    scores = random.normal(0, 3, (count, CLASSES)).astype(np.float32)
    unreadable = ((f"{seed}.png", "empty"),) if seed % 2 else ()
    targets = random.integers(-1, 2, (count, CLASSES)).astype(np.int8)
    return Batch(indices, labels, scores, unreadable, targets=targets), torch.tensor(
        random.normal(size=(count, 3, 2, 2))
    )


def fed(new, batches):
    collector = new()
    for batch, output in batches:
        reduced = {tap: [collector.reduce(tap, output)] for tap in collector.taps}
        collector.update(batch, reduced)
    return collector


def assert_same(one, other):
    """The same to the last bit; of sums, what is missing from them may differ in its own last bits."""
    assert one.state().keys() == other.state().keys()
    for name, values in one.state().items():
        if name.partition("/")[0] in ("sums", "bins", "confidences"):
            np.testing.assert_allclose(values[1], other.state()[name][1], atol=1e-25)
            values, others = values[0], other.state()[name][0]
        else:
            others = other.state()[name]
        np.testing.assert_array_equal(values, others)


@pytest.mark.parametrize("new", COLLECTORS)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), cut=st.integers(0, 5), swap=st.booleans())
@settings(max_examples=25, deadline=None)
def test_merging_shards_in_any_order_is_one_pass(new, sizes, cut, swap):
    batches = [made(seed, size) for seed, size in enumerate(sizes)]
    first, second = fed(new, batches[:cut]), fed(new, batches[cut:])
    merged, other = (second, first) if swap else (first, second)
    merged.merge(other)
    assert_same(merged, fed(new, batches))


@pytest.mark.parametrize("new", COLLECTORS)
def test_a_state_that_was_saved_goes_on_as_if_nothing_happened(new):
    batches = [made(seed, 5) for seed in range(4)]
    resumed = new()
    resumed.load(fed(new, batches[:2]).state())
    for batch, output in batches[2:]:
        resumed.update(batch, {tap: [resumed.reduce(tap, output)] for tap in resumed.taps})
    assert_same(resumed, fed(new, batches))


def test_a_state_of_channel_statistics_stays_what_it_was():
    batches = [made(seed, 5) for seed in range(3)]
    seen = fed(lambda: ChannelStatistics([LAYER]), batches[:1])
    state = seen.state()
    resumed = [ChannelStatistics([LAYER]) for _ in range(2)]
    for one in (seen, *resumed):
        one.load(state)
        one.update(batches[1][0], {"conv": [one.reduce("conv", batches[1][1])]})
    for one in resumed:
        assert_same(one, seen)


@pytest.mark.parametrize("new", COLLECTORS)
def test_its_size_does_not_grow_with_the_data(new):
    def size(collector):
        return {name: values.shape for name, values in collector.state().items() if name != "unreadable"}

    # in the first 200 images every pair of classes occurs: more pairs there are not
    few, many = fed(new, [made(2 * s, 40) for s in range(5)]), fed(new, [made(2 * s, 40) for s in range(20)])
    assert size(few) == size(many)


def test_predictions_count_what_a_loop_counts():
    batch, _ = made(3, 300)
    seen = fed(Predictions, [(batch, None)])
    known = [i for i in range(300) if batch.labels[i] >= 0]
    answers = batch.scores.argmax(1)
    assert seen.images == 300
    assert seen.labelled == len(known)
    assert seen.right == sum(answers[i] == batch.labels[i] for i in known)
    assert seen.predicted.tolist() == [int((answers == c).sum()) for c in range(CLASSES)]
    for c in range(CLASSES):
        for p in range(CLASSES):
            assert seen.confusion.of_class(c)[p] == sum(batch.labels[i] == c and answers[i] == p for i in known)


def test_top5_needs_fewer_than_five_better_scores():
    scores = np.array([[9, 8, 7, 6, 5, 4.0], [9, 8, 7, 6, 5, 4.0]], np.float32)
    seen = fed(Predictions, [(Batch(np.arange(2), np.array([4, 5]), scores), None)])
    assert seen.top5.tolist() == [0, 0, 0, 0, 1, 0]


def test_the_surest_mistakes_are_kept_worst_first():
    scores = np.array([[5, 0], [9, 0], [1, 0], [0, 9.0]], np.float32)
    seen = fed(lambda: Predictions(kept=2), [(Batch(np.arange(4), np.array([1, 1, 1, 1]), scores), None)])
    assert [m.image for m in seen.mistakes] == [1, 0]
    assert [m.predicted for m in seen.mistakes] == [0, 0]


def test_channel_statistics_are_those_of_all_values_together():
    outputs = [made(seed, 7) for seed in range(3)]
    seen = fed(lambda: ChannelStatistics([LAYER]), outputs)
    every = np.concatenate([o.numpy() for _, o in outputs]).transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(seen.mean(LAYER), every.mean(1), rtol=1e-5)
    np.testing.assert_allclose(seen.variance(LAYER), every.var(1), rtol=1e-5)
    np.testing.assert_allclose(seen.active(LAYER), (every > 0).mean(1))
    np.testing.assert_allclose(seen.saturated(LAYER), (every >= 1).mean(1))
    np.testing.assert_allclose(seen.highest(LAYER), every.max(1), rtol=1e-6)
    assert seen.not_finite(LAYER).tolist() == [0, 0, 0]


def test_values_that_are_no_number_are_counted_and_left_out():
    batch, output = made(1, 4)
    output[0, 1, 0, 0], output[2, 1, 1, 1] = float("nan"), float("inf")
    seen = fed(lambda: ChannelStatistics([LAYER]), [(batch, output)])
    assert seen.not_finite(LAYER).tolist() == [0, 2, 0]
    assert np.isfinite(seen.mean(LAYER)).all()
    assert np.isfinite(seen.highest(LAYER)).all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_large_maps_are_counted_to_the_last_value(layout):
    output = torch.randn(3, 3, 300, 400, generator=torch.Generator().manual_seed(0))  # more than one piece
    output[0, 1] = -output[0, 1].abs()
    output[1, 1], output[2, 1] = float("nan"), -1.0
    batch = Batch(np.arange(3), np.full(3, -1), np.zeros((3, CLASSES), np.float32))
    seen = fed(lambda: ChannelStatistics([LAYER]), [(batch, output.contiguous(memory_format=layout))])
    every = output.double().movedim(1, 0).flatten(1)
    for channel, values in enumerate(value[value.isfinite()] for value in every):
        assert seen.not_finite(LAYER)[channel] == 360_000 - len(values)
        assert seen.highest(LAYER)[channel] == values.max().item()
        assert seen.active(LAYER)[channel] == (values > 0).double().mean().item()
        assert seen.saturated(LAYER)[channel] == (values >= 1).double().mean().item()
        np.testing.assert_allclose(seen.mean(LAYER)[channel], values.mean(), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(seen.variance(LAYER)[channel], values.var(correction=0), rtol=1e-5)


def test_a_layer_that_runs_several_times_or_not_always_counts_each_time():
    twice, once = Layer("a", "Conv2d", (3, 2, 2), 0, "a"), Layer("b", "Conv2d", (3, 2, 2), 0, "b")
    seen = ChannelStatistics([twice, once])
    outputs = [made(seed, 4) for seed in range(3)]
    for (batch, output), others in zip(outputs, ([1, 2], [], [0, 1]), strict=True):
        runs = [output, output + 1] if others else [output]
        given = {"a": runs, "b": [outputs[number][1] for number in others[:1]]}
        seen.update(batch, {tap: [seen.reduce(tap, one) for one in found] for tap, found in given.items()})
    every = torch.cat([outputs[n][1] + more for n, more in ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1))])
    some = torch.cat([outputs[1][1], outputs[0][1]])
    for layer, values in ((twice, every), (once, some)):
        np.testing.assert_allclose(seen.mean(layer), values.mean((0, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(seen.variance(layer), values.var((0, 2, 3), correction=0), rtol=1e-5)
        np.testing.assert_allclose(seen.highest(layer), values.amax((0, 2, 3)), rtol=1e-6)


def test_a_batch_without_images_changes_no_count():
    empty = Batch(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, CLASSES), np.float32), (("x.png", "bad"),))
    seen = fed(Readability, [(empty, None)])
    assert (seen.read, seen.unreadable) == (0, (("x.png", "bad"),))
    assert fed(Predictions, [(empty, None)]).images == 0


def test_scores_that_are_no_number_are_no_answer():
    batch, _ = made(2, 6)
    batch.scores[1, 0], batch.scores[4, 2] = np.nan, np.inf
    seen = fed(Predictions, [(batch, None)])
    assert (seen.images, seen.unanswered) == (4, 2)
    assert seen.predicted.sum() == 4


def maxima(outputs):
    """Each channel's largest output for each image, by a loop: `(value, image, row, column)`, `[channels][images]`."""
    found = [[] for _ in range(3)]
    for batch, output in outputs:
        for image, maps in zip(batch.indices, output.numpy(), strict=True):
            for channel in range(3):
                place = int(maps[channel].argmax())
                found[channel].append((np.float32(maps[channel].flat[place]), int(image), *divmod(place, 2)))
    return found


def test_the_best_images_are_those_that_sorting_everything_finds():
    outputs = [made(seed, 7) for seed in range(5)]
    seen = fed(lambda: TopActivations([LAYER], 4), outputs).best(LAYER)
    for channel, every in enumerate(maxima(outputs)):
        every.sort(key=lambda one: (-one[0], one[1]))
        assert seen.images[channel].tolist() == [image for _, image, _, _ in every[:4]]
        assert seen.rows[channel].tolist() == [row for _, _, row, _ in every[:4]]
        assert seen.cols[channel].tolist() == [col for _, _, _, col in every[:4]]
        assert seen.values[channel].tolist() == [float(np.clip(value, 0, 1)) for value, _, _, _ in every[:4]]


def test_images_left_out_are_not_among_the_best_and_not_counted():
    outputs = [made(0, 6)]
    every = fed(lambda: TopActivations([LAYER], 6), outputs)
    some = fed(lambda: TopActivations([LAYER], 6, leave_out=frozenset([2])), outputs)
    assert every.images == 6
    assert some.images == 5
    assert 2 not in some.best(LAYER).images
    assert (some.best(LAYER).images[:, -1] == -1).all()
    assert np.isneginf(some.best(LAYER).values[:, -1]).all()


def test_an_image_may_have_several_places_where_that_is_asked_for():
    batch, output = made(0, 2)
    seen = fed(lambda: TopActivations([LAYER], 8, each=4), [(batch, output)]).best(LAYER)
    for channel in range(3):
        values = output[:, channel].float().flatten().sort(descending=True).values
        np.testing.assert_array_equal(seen.values[channel], values.clip(0, 1))


def test_equal_outputs_are_told_apart_by_image_and_then_by_place():
    output = torch.zeros(5, 3, 2, 2)
    output[1:, :, 1, 0] = 2.0
    output[2:, :, 1, 1] = 2.0
    batch = Batch(np.array([9, 8, 7, 6, 5]), np.full(5, -1), np.zeros((5, 2), np.float32))
    one, several = (fed(lambda each=e: TopActivations([LAYER], 3, each=each), [(batch, output)]) for e in (1, 2))
    assert one.best(LAYER).images.tolist() == [[5, 6, 7]] * 3
    assert one.best(LAYER).cols.tolist() == [[0, 0, 0]] * 3
    assert several.best(LAYER).images.tolist() == [[5, 5, 6]] * 3
    assert several.best(LAYER).cols.tolist() == [[0, 1, 0]] * 3


def test_outputs_that_are_no_number_are_never_among_the_best():
    batch, output = made(0, 3)
    output[0, 0, 0, 0], output[1, 0], output[2, 1, 1, 1] = float("nan"), float("nan"), float("inf")
    seen = fed(lambda: TopActivations([LAYER], 3), [(batch, output)]).best(LAYER)
    assert sorted(seen.images[0].tolist()) == [-1, 0, 2]
    assert seen.images[1, 2] != -1
    assert np.isfinite(seen.values[1]).all()


def test_the_histogram_counts_the_maxima_after_the_rectifier():
    outputs = [made(seed, 40) for seed in range(3)]
    seen = fed(lambda: TopActivations([LAYER], 4), outputs)
    assert len(edges()) == BINS
    for channel, every in enumerate(maxima(outputs)):
        values = np.array([value for value, _, _, _ in every])
        counted = np.histogram(values.clip(1e-30), np.append(edges(), np.inf))[0]
        counted[1] += counted[0] - (values <= 0).sum()
        counted[0] = (values <= 0).sum()
        np.testing.assert_array_equal(seen.histogram(LAYER)[channel], counted)


def test_a_channel_that_fires_on_one_image_is_as_sparse_as_can_be():
    output = torch.zeros(10, 3, 2, 2)
    output[:, 0], output[4, 1] = 3.0, 5.0
    batch = Batch(np.arange(10), np.full(10, -1), np.zeros((10, 2), np.float32))
    seen = fed(lambda: TopActivations([LAYER], 4), [(batch, output)])
    np.testing.assert_allclose(seen.sparseness(LAYER), [0, 1, np.nan], atol=1e-12)
