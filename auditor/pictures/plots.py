"""Line art: bars, ranks, lines, matrices, reliability diagrams and histograms, as PNG with few colours.

Neither pyplot nor matplotlib's global settings are used. Names from the data are printed literally, never as
formulae.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import ArrayLike
from PIL import Image

from auditor.language import _, current, numeral
from auditor.pictures.colours import STEPS, signed_ramp
from auditor.pictures.encoding import png

# Okabe and Ito 2008, without yellow, which is hardly visible on white
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_INK, _MUTED, _GRID, _BAR, _LIMIT = "#1f2933", "#52606d", "#e4e7eb", "#4a7ba6", "#c0392b"
_WIDTH, _DPI, _TEXT = 6.4, 190, 9.0
_LONGEST_LABEL = 28
_MOST_CELLS_WITH_NUMBERS = 12
_MOST_BARS = 64


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    xlabel: str,
    limit: float | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
) -> bytes:
    """Draw one horizontal bar for each label, the first on top.

    Args:
        limit: The place of a dashed line, labelled with its value.
        intervals: The ends of a whisker over each bar.
    """
    figure, axes = _figure(height=0.75 + 0.24 * len(labels))
    places = np.arange(len(labels))
    axes.barh(places, values, height=0.68, color=_BAR)
    if intervals is not None:
        for place, (low, high) in zip(places, intervals, strict=True):
            axes.plot([low, high], [place, place], color=_INK, linewidth=1, solid_capstyle="butt")
    axes.set_yticks(places, [_short(label) for label in labels], parse_math=False, fontsize=_TEXT - 1)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    _name(axes, xlabel, "")
    _limit(axes, limit)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    return _png(figure)


def lines(series: Mapping[str, tuple[ArrayLike, ArrayLike]], *, xlabel: str, ylabel: str) -> bytes:
    """Draw one line for each series of `(x, y)`; NaN leaves a gap."""
    figure, axes = _figure(height=3.2)
    for index, (x, y) in enumerate(series.values()):
        style = ("-", "--", ":")[index // len(_SERIES) % 3]
        axes.plot(x, y, style, color=_SERIES[index % len(_SERIES)], linewidth=1.6, label=str(index))
    _name(axes, xlabel, ylabel)
    axes.grid(color=_GRID, linewidth=0.8)
    _legend(axes, tuple(series))
    return _png(figure)


def matrix(values: ArrayLike, labels: Sequence[str], *, xlabel: str, ylabel: str) -> bytes:
    """Draw a square matrix, the larger the value the darker, with its values if they fit."""
    cells = np.asarray(values, dtype=float)
    side = min(6.4, max(3.2, 1.6 + 0.36 * len(labels)))
    figure, axes = _figure(height=side, width=min(_WIDTH, side + 0.8))
    colours = ListedColormap((signed_ramp()[STEPS // 2 :: -1] / 255).tolist())
    image = axes.imshow(cells, cmap=colours, vmin=0, vmax=_largest(cells), interpolation="nearest")
    shown = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 25)).round().astype(int))
    names = [_short(labels[index], 18) for index in shown]
    axes.set_xticks(shown, names, rotation=90, parse_math=False, fontsize=_TEXT - 2)
    axes.set_yticks(shown, names, parse_math=False, fontsize=_TEXT - 2)
    _name(axes, xlabel, ylabel)
    if len(labels) <= _MOST_CELLS_WITH_NUMBERS:
        _number_cells(axes, cells)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02, format=_Ticks())
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=_TEXT - 2, colors=_MUTED, length=0)
    return _png(figure)


def reliability(
    confidence: Sequence[float], accuracy: Sequence[float], counts: Sequence[int], *, error: float | None = None
) -> bytes:
    """Draw accuracy against confidence by bin, and below the number of images in each bin.

    Args:
        confidence, accuracy: The means of each bin, 0 to 1; NaN for an empty bin.
        error: The expected calibration error, printed in the plot.
    """
    figure = Figure(figsize=(4.6, 4.6), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    x, y = np.asarray(confidence, dtype=float), np.asarray(accuracy, dtype=float)
    upper.plot([0, 1], [0, 1], "--", color=_MUTED, linewidth=1, label=_("perfectly calibrated"))
    upper.vlines(x, y, x, color=_LIMIT, linewidth=3, alpha=0.35, label=_("gap"))
    upper.plot(x, y, "o", color=_SERIES[0], markersize=5, label=_("this network"))
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    if error is not None:
        text = _("calibration error {error:.3f}", error=error)
        upper.text(0.97, 0.04, text, ha="right", fontsize=_TEXT, color=_INK)
    occupied = np.isfinite(x)
    lower.bar(x[occupied], np.asarray(counts)[occupied], width=0.03, color=_BAR)
    for axes, below, beside in ((upper, "", _("accuracy")), (lower, _("confidence"), _("images"))):
        _style(axes)
        _name(axes, below, beside)
        axes.grid(color=_GRID, linewidth=0.8)
    lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    upper.legend(
        frameon=False,
        fontsize=_TEXT - 1,
        labelcolor=_INK,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        columnspacing=1,
    )
    return _png(figure)


def histogram(
    counts: Sequence[float], edges: Sequence[float], *, xlabel: str, ylabel: str = "", limit: float | None = None
) -> bytes:
    """Draw a histogram.

    Args:
        edges: The edges of the bins, one more than there are counts.
        ylabel: The unit of the counts.
        limit: The place of a dashed line, labelled with its value.
    """
    figure, axes = _figure(height=2.6)
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=_BAR, edgecolor="white", linewidth=0.4)
    _name(axes, xlabel, ylabel or _("count"))
    _limit(axes, limit)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    return _png(figure)


def distribution(counts: Sequence[int], edges: Sequence[float], *, xlabel: str, ylabel: str) -> bytes:
    """Draw a small square histogram with bars of equal width, whatever the width of the bins.

    Args:
        edges: The lower edge of each bin; the first bin has the values that are not above zero.
    """
    held = [place for place in np.flatnonzero(counts).tolist() if place]
    first, last = (held[0], held[-1]) if held else (1, 1)
    figure = Figure(figsize=(2.1, 2.1), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    _style(axes)
    axes.bar([first - 2, *range(first, last + 1)], [counts[0], *counts[first : last + 1]], width=0.9, color=_BAR)
    ends = sorted({first, last})
    axes.set_xticks([first - 2, *ends], ["0", *(numeral(edges[place], ".2g") for place in ends)])
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_xlabel(xlabel, fontsize=_TEXT - 1, color=_INK)
    axes.set_ylabel(ylabel, fontsize=_TEXT - 1, color=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    return _png(figure)


def curves(series: Mapping[str, ArrayLike], *, xlabel: str, ylabel: str) -> bytes:
    """Draw one line for each series, from its first value to its last, in a small square."""
    figure = Figure(figsize=(2.1, 2.1), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    _style(axes)
    for index, (name, values) in enumerate(series.items()):
        axes.plot(
            np.asarray(values, dtype=float), color=_SERIES[index % len(_SERIES)], linewidth=1.4, label=_short(name)
        )
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(xlabel, fontsize=_TEXT - 1, color=_INK)
    axes.set_ylabel(ylabel, fontsize=_TEXT - 1, color=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    if len(series) > 1:
        legend = axes.legend(fontsize=_TEXT - 2, frameon=False, loc="lower right", handlelength=1.2)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return _png(figure)


def ranked(
    series: Mapping[str, ArrayLike], *, xlabel: str, ylabel: str, limits: Mapping[str, float] | None = None
) -> bytes:
    """Draw for each series a small plot of its values as bars, the largest first, with three plots in a row.

    Args:
        limits: The place of a dashed line by name; bars below it are red.
    """
    columns = min(3, len(series))
    rows = -(-len(series) // columns)
    figure = Figure(figsize=(_WIDTH * columns / 3, 0.35 + 1.45 * rows), dpi=_DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, values) in zip(grid.flat, series.items(), strict=False):
        _ranks(axes, _short(name), np.sort(np.asarray(values, dtype=float))[::-1], (limits or {}).get(name))
    for axes in list(grid.flat)[len(series) :]:
        axes.set_visible(False)
    figure.supxlabel(_short(xlabel, 80), fontsize=_TEXT, color=_INK, parse_math=False)
    figure.supylabel(_short(ylabel, 60), fontsize=_TEXT, color=_INK, parse_math=False)
    return _png(figure)


def _ranks(axes: Axes, name: str, values: np.ndarray[Any, np.dtype[np.float64]], limit: float | None) -> None:
    _style(axes)
    places, under = np.arange(1, len(values) + 1), values < (-np.inf if limit is None else limit)
    for chosen, ink in ((~under, _BAR), (under, _LIMIT)):
        if len(values) > _MOST_BARS:  # one outline is faster: a thousand bars take a second
            axes.fill_between(places, np.where(chosen, values, 0), step="mid", color=ink, linewidth=0)
        else:
            axes.bar(places[chosen], values[chosen], width=0.86, color=ink)
    axes.set_title(name, fontsize=_TEXT - 1, color=_INK, loc="left", parse_math=False)
    axes.set_xlim(0.5, len(values) + 0.5)
    axes.set_xticks(sorted({1, len(values)}))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylim(0, None if values.any() else 1)
    if limit is not None:
        axes.axhline(limit, color=_LIMIT, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.grid(axis="y", color=_GRID, linewidth=0.8)


def _figure(*, height: float, width: float = _WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    _style(axes)
    return figure, axes


class _Ticks(ScalarFormatter):
    """Formats the numbers at an axis in the current language."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return current().number(super().__call__(x, pos))


def _style(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(_Ticks())
    axes.yaxis.set_major_formatter(_Ticks())
    axes.tick_params(length=0, colors=_MUTED, labelsize=_TEXT - 1)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_MUTED)


def _name(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set_xlabel(_short(xlabel, 80), fontsize=_TEXT, color=_INK, parse_math=False)
    axes.set_ylabel(_short(ylabel, 60), fontsize=_TEXT, color=_INK, parse_math=False)


def _limit(axes: Axes, limit: float | None) -> None:
    if limit is None:
        return
    axes.axvline(limit, color=_LIMIT, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        _("limit {limit:g}", limit=limit),
        (limit, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, 2),
        textcoords="offset points",
        fontsize=_TEXT - 1,
        color=_LIMIT,
    )


def _legend(axes: Axes, names: Sequence[str]) -> None:
    if len(names) < 2:
        return
    columns = min(len(names), 4)
    legend = axes.legend(
        frameon=False,
        fontsize=_TEXT - 1,
        labelcolor=_INK,
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(_short(name))  # set afterwards: matplotlib omits labels that start with an underscore


def _number_cells(axes: Axes, cells: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    largest = _largest(cells)
    for (row, column), value in np.ndenumerate(cells):
        ink = "white" if value > 0.55 * largest else _INK
        axes.text(column, row, numeral(value, ".3g"), ha="center", va="center", fontsize=_TEXT - 2, color=ink)


def _largest(cells: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    finite = cells[np.isfinite(cells)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def _short(label: str, longest: int = _LONGEST_LABEL) -> str:
    """Return the label on one line, without unprintable characters, cut if it is too long."""
    line = "".join(c if c.isprintable() else " " for c in label).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # a missing glyph is drawn as a box
        canvas.draw()  # type: ignore[no-untyped-call]
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
    return png(drawn.convert("RGB").quantize(96, dither=Image.Dither.NONE))
