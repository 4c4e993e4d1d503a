import io

import numpy as np
import pytest
from PIL import Image

from auditor.checks.filters.figures import chosen, norms, picture
from auditor.model.convolutions import Convolution


def layer(shape, *, groups=1, seed=0):
    kernels = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Convolution("conv", kernels, groups, shape[1] == 1 and groups > 1, False)


def shown(layer, *, order="norm", shown=64, dead=(), duplicated=(), bgr=False):
    return picture(layer, order=order, shown=shown, dead=dead, duplicated=duplicated, bgr=bgr)


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(figure.image)).convert("RGB")).astype(int)


def test_the_longest_are_shown_and_those_that_a_finding_names():
    kernels = np.arange(1, 21, dtype=np.float32).reshape(20, 1, 1, 1) * np.ones((1, 2, 3, 3), np.float32)
    assert chosen(kernels, "norm", 6, [0, 3]) == [19, 18, 17, 16, 3, 0]
    assert chosen(kernels, "index", 6, [0, 3]) == [0, 3, 16, 17, 18, 19]
    assert chosen(kernels, "norm", 6, range(10)) == [19, 18, 17, 2, 1, 0]
    assert sorted(chosen(kernels, "similarity", 6, [])) == [14, 15, 16, 17, 18, 19]


@pytest.mark.parametrize("order", ["norm", "similarity", "index"])
def test_where_all_fit_all_are_shown_once(order):
    kernels = layer((12, 4, 3, 3)).kernels
    assert sorted(chosen(kernels, order, 64, range(12))) == list(range(12))


def test_a_layer_that_looks_at_colours_is_shown_in_them():
    coloured = layer((8, 3, 5, 5))
    coloured.kernels[:] = 0
    coloured.kernels[0, 0] = 1.0
    coloured.kernels[1] = 1.0
    figure, swapped = shown(coloured, order="index"), shown(coloured, order="index", bgr=True)
    centre = (pixels(figure).shape[1] // 8 // 2,) * 2
    assert pixels(figure)[centre].tolist() == [255, 128, 128]
    assert pixels(swapped)[centre].tolist() == [128, 128, 255]
    assert figure.scale.low == -figure.scale.high


@pytest.mark.parametrize(
    ("of", "caption"),
    [
        (layer((8, 3, 5, 5)), "Each filter in the colours that it responds to"),
        (layer((8, 1, 5, 5)), "Each filter over its single input"),
        (layer((96, 1, 3, 3), groups=96), "64 of 96 filters, those with the largest norms"),
        (layer((8, 4, 3, 3)), "One column a filter, one row an input; all 8 filters, the largest norm first"),
        (layer((64, 100, 3, 3)), "(the 16 with the largest weights of 100); 32 of 64 filters"),
        (layer((128, 100, 1, 1)), "(the 32 with the largest weights of 100); 64 of 128 filters"),
        (layer((12, 3, 3, 3), groups=4), "one row an input of its group"),
        (layer((12, 3, 1, 1)), "One column a filter, one row an input"),
        (layer((4, 1, 1, 1), groups=4), "Each filter over its single input"),
    ],
    ids=lambda value: str(value.kernels.shape) if isinstance(value, Convolution) else "",
)
def test_every_kind_of_layer_is_shown_and_described(of, caption):
    figure = shown(of)
    assert caption in figure.caption
    assert pixels(figure).std() > 5
    assert figure.scale.high == -figure.scale.low > 0


def test_marks_are_explained_only_if_there_are_any():
    assert "Red" not in shown(layer((8, 4, 3, 3))).caption
    both = shown(layer((8, 4, 3, 3)), dead=[1], duplicated=[2, 5]).caption
    assert "Red: near zero. Blue: has a duplicate." in both


def test_a_layer_of_zeros_or_of_no_numbers_has_no_scale():
    empty = layer((8, 4, 3, 3))
    empty.kernels[:] = np.nan
    assert shown(empty).scale is None


def test_norms_are_plotted_six_layers_a_figure():
    layers = [layer((8, 4, 3, 3), seed=seed) for seed in range(8)]
    layers = [Convolution(f"conv{i}", one.kernels, 1, False, False) for i, one in enumerate(layers)]
    first, second = norms(layers, 0.01)
    assert "conv5: 8 filters" in first.alt
    assert "conv6: 8 filters" in second.alt
