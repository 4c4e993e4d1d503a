"""Evidence in the form that templates print: numbers as text, pictures embedded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.language import _, current, joined
from auditor.methods.attribution.names import method_name
from auditor.report import phrases
from auditor.report.album import Album, Picture, is_strip, strip
from auditor.report.deciding import follows_from
from auditor.results import Figure, Finding, Gallery, Item, Scale, Table, Verdict

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_NUMBER = re.compile(r"([-+]?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)\s?%?")
_SIDE_BY_SIDE = range(3, 8)  # pictures in a row in print
_STRIPS = 10


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict: its name for style sheets, and its word for readers."""

    name: str
    word: str

    @classmethod
    def of(cls, verdict: Verdict) -> Badge:
        return cls(str(verdict), phrases.verdict(verdict))


@dataclass(frozen=True, slots=True)
class FindingBlock:
    """One finding.

    Attributes:
        advice: The detail if it is short enough to follow the message.
        detail: The detail if it is longer.
        anchor: Its id on the page; empty where it is shown again.
    """

    badge: Badge
    check: str
    rule: str
    subject: str
    message: str
    value: str
    limit: str
    n: str
    interval: str
    advice: str
    detail: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar with its numbers; `source` is the `data:` URI of its picture, empty if there are no colours."""

    low: str
    middle: str
    high: str
    label: str
    source: str


@dataclass(frozen=True, slots=True)
class FigureBlock:
    """A figure; `id` is unique on the page."""

    title: str
    caption: str
    picture: Picture
    bar: Bar | None
    id: str
    kind: str = "figure"


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One picture of a gallery.

    Attributes:
        file: The file name; empty if the title of the gallery or an earlier picture already shows it.
        origin: The file name in any case, for an enlarged picture; `classes` is what the image shows.
        role: `photo`, `overlay` or empty.
    """

    picture: Picture
    label: str
    value: str
    file: str
    bar: Bar | None
    origin: str
    classes: str
    role: str


@dataclass(frozen=True, slots=True)
class GalleryBlock:
    """A gallery; `rows` holds the same items in rows of `columns` for print; `id` is unique on the page."""

    title: str
    caption: str
    items: tuple[GalleryItem, ...]
    rows: tuple[tuple[GalleryItem, ...], ...]
    columns: int
    bar: Bar | None
    id: str
    kind: str = "gallery"


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; `characters` and `width` (percent of the table) are for print."""

    name: str
    align: str
    characters: int
    width: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell; `sort` is the number to sort by, empty if the text is sorted."""

    text: str
    align: str
    sort: str


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table; `width` is in percent of a page, and `note` says which rows were left out."""

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    width: str
    note: str
    kind: str = "table"


Block = FigureBlock | GalleryBlock | TableBlock


@dataclass(frozen=True, slots=True)
class Medium:
    """The limits of a page.

    Attributes:
        rows: Maximum number of rows of a table.
        passes: Maximum number of findings of a check that are no worse than `pass`.
        lines: Maximum number of lines of a finding's detail.
        views: Whether the page also shows the evidence by image and by channel.
    """

    rows: int
    passes: int
    lines: int
    views: bool


SCREEN = Medium(rows=2000, passes=8, lines=400, views=True)
PRINT = Medium(rows=24, passes=12, lines=14, views=False)


class Blocks:
    """Turns evidence into blocks, for one page.

    Args:
        classes: True and predicted class of the images, as text by file.
    """

    def __init__(self, medium: Medium, album: Album, classes: Mapping[str, str] | None = None) -> None:
        self._medium = medium
        self._album = album
        self._classes = classes or {}
        self._count = 0

    def of(self, piece: Figure | Gallery | Table) -> Block:
        match piece:
            case Figure():
                return self._figure(piece)
            case Gallery():
                return self._gallery(piece)
            case Table():
                return self.table(piece)

    def finding(self, check: str, finding: Finding, anchor: str = "") -> FindingBlock:
        advice = joined(phrases.advice(finding), follows_from(finding))
        return FindingBlock(
            badge=Badge.of(finding.verdict),
            check=check,
            rule=finding.rule,
            subject=method_name(finding.subject),
            message=phrases.sentence(finding.message),
            value=phrases.measured(finding.value, finding.unit),
            limit=phrases.measured(finding.limit, finding.unit),
            n="" if finding.n is None else _("{n:,}", n=finding.n),
            interval=phrases.interval(finding.interval, finding.unit),
            advice=advice,
            detail="" if phrases.advice(finding) else self._cut(finding.detail.strip()),
            anchor=anchor,
        )

    def table(self, table: Table, *, whole: bool = False) -> TableBlock:
        """Return a table; `whole` has all rows even where the medium shows only the first."""
        width = max([len(table.columns), *map(len, table.rows)])  # rows may be longer or shorter than the head
        names = table.columns + ("",) * (width - len(table.columns))
        rows = [row + (None,) * (width - len(row)) for row in table.rows]
        aligns = [_align(values) for values in zip(*rows, strict=True)] or ["text"] * width
        shown = rows if whole else rows[: self._medium.rows]
        cells = tuple(
            tuple(
                Cell(phrases.cell(value), align, _sorted_by(value, align))
                for value, align in zip(row, aligns, strict=True)
            )
            for row in shown
        )
        columns = _head(names, aligns, cells)
        return TableBlock(
            table.title,
            table.caption,
            columns,
            cells,
            f"{min(100, max(40, sum(column.characters for column in columns))):.0f}",
            _left_out(len(rows) - len(shown), len(shown)),
        )

    def _figure(self, figure: Figure) -> FigureBlock:
        alt = figure.alt or phrases.described(figure)
        picture = self._album.picture(figure.image, alt, pixels=1340, high=960)
        return FigureBlock(figure.title, figure.caption, picture, self._bar(figure.scale), self._id())

    def _gallery(self, gallery: Gallery) -> GalleryBlock:
        columns = _columns(gallery.items)
        named = {item.file for item in gallery.items if item.file in gallery.title}
        items = tuple(self._item(item, named, gallery.about, pixels=1340 // columns) for item in gallery.items)
        rows = tuple(items[start : start + columns] for start in range(0, len(items), columns))
        return GalleryBlock(gallery.title, gallery.caption, items, rows, columns, self._bar(gallery.scale), self._id())

    def _item(self, item: Item, named: set[str], about: Mapping[str, str], *, pixels: int) -> GalleryItem:
        """Return the item; its file is shown unless the gallery's title or an earlier picture already names it."""
        named.add(item.label)
        file = "" if item.file in named else item.file
        named.add(file)
        value = "" if item.value is None else phrases.decimal(item.value)
        alt = item.alt or ", ".join(part for part in (item.label, value, file) if part)
        picture = self._album.picture(item.image, alt, pixels=pixels)
        origin = item.file or about.get("image", "")
        classes = self._classes.get(origin) or about.get("class", "")
        return GalleryItem(picture, item.label, value, file, self._bar(item.scale), origin, classes, item.role)

    def _id(self) -> str:
        self._count += 1
        return f"evidence-{self._count}"

    def _bar(self, scale: Scale | None) -> Bar | None:
        if scale is None:
            return None
        colours = tuple(colour for colour in scale.colours if _COLOUR.fullmatch(colour))
        low, middle, high = (phrases.decimal(v) for v in (scale.low, (scale.low + scale.high) / 2, scale.high))
        return Bar(low, middle, high, scale.label, strip(colours))

    def _cut(self, detail: str) -> str:
        """Keep the last lines, because a traceback ends with the error."""
        lines = detail.splitlines()
        return "\n".join(lines if len(lines) <= self._medium.lines else ["…", *lines[-self._medium.lines :]])


def _sorted_by(value: str | float | int | bool | None, align: str) -> str:
    """Return the number to sort a cell by; empty unless its column holds numbers."""
    number = _number(value) if isinstance(value, str) and align == "number" else value
    return repr(float(number)) if isinstance(number, float | int) and math.isfinite(number) else ""


def _number(text: str) -> float | None:
    """Return the number in a text written in the language of the page, without a `%` at the end."""
    found = _NUMBER.fullmatch(current().plain(text.strip()).replace("−", "-"))
    return float(found[1]) if found else None


def _align(values: tuple[str | float | int | bool | None, ...]) -> str:
    present = [value for value in values if value is not None]
    numeric = [type(v) in (int, float) or (isinstance(v, str) and _number(v) is not None) for v in present]
    return "number" if numeric and all(numeric) else "text"


def _head(names: tuple[str, ...], aligns: Sequence[str], cells: tuple[tuple[Cell, ...], ...]) -> tuple[Column, ...]:
    """Return the heads; each column is as wide as its longest text, from 8 to 32 characters."""
    longest = [max([*(len(row[index].text) for row in cells), len(name)]) for index, name in enumerate(names)]
    wanted = [min(max(length, 4), 28) + 4 for length in longest]
    widths = [f"{100 * width / sum(wanted):.2f}" for width in wanted]
    return tuple(Column(*column) for column in zip(names, aligns, wanted, widths, strict=True))


def _columns(items: Sequence[Item]) -> int:
    """Return the number of pictures in a row in print, so that the last row is as full as possible."""
    count = len(items)
    if period := _period(items):
        return period
    if 7 < count <= _STRIPS and is_strip(items[-1].image):
        return count
    if count <= 7:
        return {0: 1, 1: 2, 2: 3}.get(count, count)  # one or two pictures would be too large
    return min((6, 5, 4), key=lambda columns: -count % columns)


def _period(items: Sequence[Item]) -> int:
    """Return after how many pictures the first one repeats regularly, so that a row begins there; 0 if it does not."""
    starts = [place for place, item in enumerate(items) if item.image == items[0].image]
    period = len(items) // max(1, len(starts))
    rows = len(starts) > 1 and starts == list(range(0, len(items), period))
    return period if rows and period in _SIDE_BY_SIDE else 0


def _left_out(count: int, shown: int) -> str:
    if not count:
        return ""
    return _("The first {shown:,} rows; {more:,} more are in audit.json.", shown=shown, more=count)
