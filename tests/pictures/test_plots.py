import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from auditor import pictures
from auditor.language import speaking

HOSTILE = "_$\\frac{\u0000\n<b>猫 & \ud83d\ude00 x" * 5

PLOTS = {
    "bars": lambda: pictures.bars(
        [HOSTILE, "b"], [0.2, 0.9], xlabel=HOSTILE, limit=0.5, intervals=[(0.1, 0.3), (0.8, 1)]
    ),
    "lines": lambda: pictures.lines(
        {HOSTILE: ([0, 1], [1, np.nan]), "_b": ([0, 1], [2, 3])}, xlabel="x", ylabel=HOSTILE
    ),
    "matrix": lambda: pictures.matrix([[3, 1], [0, 2]], [HOSTILE, "b"], xlabel="predicted", ylabel="true"),
    "zero matrix": lambda: pictures.matrix(np.zeros((40, 40)), [str(i) for i in range(40)], xlabel="x", ylabel="y"),
    "reliability": lambda: pictures.reliability([0.5, np.nan, 0.9], [0.4, np.nan, 0.8], [5, 0, 9], error=0.1),
    "ranked": lambda: pictures.ranked(
        {HOSTILE: [3, 1, 0.01], "b": np.arange(200), "_c": [0.0], "d": [1, 2]},
        xlabel=HOSTILE,
        ylabel="y",
        limits={"b": 9.0},
    ),
    "histogram": lambda: pictures.histogram([1, 5, 2], [0, 1, 2, 3], xlabel="weight", limit=1.5),
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_every_plot_is_a_small_palette_picture_that_is_not_blank(plot):
    picture = plot()
    image = Image.open(io.BytesIO(picture))
    assert (image.format, image.mode) == ("PNG", "P")
    assert len(picture) < 80_000
    assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_plots_leave_the_global_settings_of_matplotlib_alone_and_repeat_exactly(plot):
    before = dict(mpl.rcParams)
    assert plot() == plot()
    assert dict(mpl.rcParams) == before


def test_numbers_at_the_axes_are_those_of_the_language_that_is_spoken():
    def plot():
        return pictures.bars(["a", "b"], [0.25, 0.75], xlabel="x")

    with speaking("fr"):
        french = plot()
    assert french != plot() == plot()


def test_neither_pyplot_nor_torch_is_loaded():
    code = (
        "import sys; from auditor import pictures; assert 'matplotlib' not in sys.modules;"
        "pictures.bars(['a'], [1.0], xlabel='x'); pictures.heat_scale(0, 1);"
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert all(callable(getattr(pictures, name)) for name in pictures.__all__)
    with pytest.raises(AttributeError, match="nosuch"):
        pictures.nosuch  # noqa: B018
