"""The evidence by subject: a view of each image and of each channel, and an index of classes and layers.

Evidence is grouped by `about` of galleries and figures and by the files of their items, whichever check it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.language import _, current
from auditor.report import phrases
from auditor.report.album import Album, Picture
from auditor.report.blocks import Block, Blocks, FigureBlock, FindingBlock, GalleryBlock, GalleryItem
from auditor.report.cards import Fact
from auditor.results import Audit, Evidence, Figure, Finding, Gallery


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece of evidence and where the page shows it; `place` is the id of its check's section."""

    check: str
    place: str
    piece: Evidence
    block: Block | None


@dataclass(frozen=True, slots=True)
class Link:
    """A place on the page."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Part:
    """A block that the section of a check shows, too; `source` links to it there."""

    source: Link
    block: Block


@dataclass(frozen=True, slots=True)
class View:
    """All evidence about one image or one channel.

    Attributes:
        cover: A small picture for the index.
        told: What is known about it, in half a line.
    """

    id: str
    title: str
    told: str
    cover: Picture | None
    facts: tuple[Fact, ...]
    findings: tuple[FindingBlock, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A class or a layer in the index, and the places on the page that are about it."""

    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Views:
    images: tuple[View, ...] = ()
    channels: tuple[View, ...] = ()
    classes: tuple[Entry, ...] = ()
    layers: tuple[Entry, ...] = ()


@dataclass(slots=True)
class Known:
    """True class, predicted class and confidence of each image, as text by file."""

    label: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    confidence: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, audit: Audit) -> Known:
        known, classes = cls(), audit.provenance.data.classes
        for one in audit.recorded.answers:
            if one.label is not None:
                known.label[one.file] = classes[one.label]
            if one.answer is not None:
                known.answer[one.file] = classes[one.answer]
                known.confidence[one.file] = phrases.percent(current().number(f"{100 * one.confidence:.1f}")).replace(
                    " ", "\N{NO-BREAK SPACE}"
                )
        return known

    def describe(self, file: str) -> str:
        """Return `cat, predicted cup (93.1 %)`; empty for an unknown image."""
        label, answer, confidence = (found.get(file, "") for found in (self.label, self.answer, self.confidence))
        if not answer:
            return label
        if not label:
            return _("predicted {answer} ({confidence})", answer=answer, confidence=confidence)
        if label == answer:
            return _("{label}, correctly classified ({confidence})", label=label, confidence=confidence)
        return _("{label}, predicted {answer} ({confidence})", label=label, answer=answer, confidence=confidence)

    def by_file(self) -> dict[str, str]:
        return {file: self.describe(file) for file in {**self.label, **self.answer}}


def views_of(placed: Sequence[Placed], known: Known, layers: Iterable[str], blocks: Blocks, album: Album) -> Views:
    """Return a view of each image and channel that evidence is about, and the index of classes and layers."""
    images = _images(placed, known, blocks, album)
    channels = _channels(placed, album)
    return Views(
        tuple(images.values()),
        tuple(channels.values()),
        _classes(placed, known, images),
        _layers(placed, layers, channels),
    )


def _images(placed: Sequence[Placed], known: Known, blocks: Blocks, album: Album) -> dict[str, View]:
    files = list(dict.fromkeys(file for one in placed if (file := _about(one).get("image"))))
    every = _by_file(placed, set(files))
    return {
        file: _image(f"image-{number}", file, every.get(file, []), placed, known, blocks, album)
        for number, file in enumerate(files, start=1)
    }


def _by_file(placed: Sequence[Placed], files: set[str]) -> dict[str, list[Placed]]:
    """Return the evidence about each image alone, then the evidence that shows it among others."""
    whole: dict[str, list[Placed]] = {}
    among: dict[str, list[Placed]] = {}
    for one in placed:
        if (file := _about(one).get("image", "")) in files:
            whole.setdefault(file, []).append(one)
        elif isinstance(one.piece, Gallery):
            for name in dict.fromkeys(item.file for item in one.piece.items if item.file in files):
                among.setdefault(name, []).append(one)
    return {file: [*own, *among.get(file, [])] for file, own in whole.items()}


def _image(
    id_: str, file: str, own: Sequence[Placed], placed: Sequence[Placed], known: Known, blocks: Blocks, album: Album
) -> View:
    parts = tuple(_parts(file, own, album))
    cover = next((item.picture for one in own for item in _items(one.block) if item.role == "photo"), None)
    names = ((_("True class"), known.label), (_("Predicted class"), known.answer), (_("Confidence"), known.confidence))
    findings = [
        blocks.finding(one.check, one.piece)
        for one in placed
        if isinstance(one.piece, Finding) and one.piece.subject == file
    ]
    return View(
        id_,
        file,
        known.describe(file),
        album.again(cover) if cover and cover.source else None,
        tuple(Fact(name, found[file]) for name, found in names if file in found),
        tuple(findings),
        parts,
    )


def _parts(file: str, own: Sequence[Placed], album: Album) -> Iterable[Part]:
    seen: set[str] = set()
    for one in own:
        block = one.block
        if isinstance(one.piece, Gallery) and isinstance(block, GalleryBlock) and _about(one).get("image") != file:
            items = tuple(item for item in block.items if item.origin == file)
            if all(item.role == "photo" or item.picture.id in seen for item in items):
                continue
            block = replace(block, items=items, rows=(items,))
        if block is not None:
            yield _part(one, block, album)
        seen |= {item.picture.id for item in _items(block)}


def _channels(placed: Sequence[Placed], album: Album) -> dict[tuple[str, str], View]:
    found: dict[tuple[str, str], list[Placed]] = {}
    for one in placed:
        about = _about(one)
        if "layer" in about and "channel" in about:
            found.setdefault((about["layer"], about["channel"]), []).append(one)
    return {
        (layer, channel): _channel(f"channel-{number}", layer, channel, own, placed, album)
        for number, ((layer, channel), own) in enumerate(found.items(), start=1)
    }


def _channel(id_: str, layer: str, channel: str, own: Sequence[Placed], placed: Sequence[Placed], album: Album) -> View:
    """Return the evidence about the channel, then the figures about its whole layer."""
    whole = [one for one in placed if isinstance(one.piece, Figure) and _about(one) == {"layer": layer}]
    parts = tuple(_part(one, one.block, album) for one in [*own, *whole] if one.block is not None)
    title = next((one.piece.title.partition(": ")[2] for one in own if isinstance(one.piece, Gallery)), "")
    return View(id_, _("{layer}, channel {channel}", layer=layer, channel=channel), title, None, (), (), parts)


def _part(one: Placed, block: Block, album: Album) -> Part:
    for picture in _pictures(block):
        if picture.source:
            album.again(picture)
    own = block.id if isinstance(block, FigureBlock | GalleryBlock) else one.place
    return Part(Link(one.check, own), block)


def _classes(placed: Sequence[Placed], known: Known, images: Mapping[str, View]) -> tuple[Entry, ...]:
    links: dict[str, list[Link]] = {}
    for one in placed:
        about = _about(one)
        if "class" in about and "image" not in about:
            links.setdefault(about["class"], []).append(_link(one))
    for file, view in images.items():
        for name in dict.fromkeys(found[file] for found in (known.label, known.answer) if file in found):
            links.setdefault(name, []).append(Link(file, view.id))
    return _entries(links)


def _layers(
    placed: Sequence[Placed], layers: Iterable[str], channels: Mapping[tuple[str, str], View]
) -> tuple[Entry, ...]:
    links: dict[str, list[Link]] = {name: [] for name in layers}
    for one in placed:
        about = _about(one)
        if "layer" in about and "channel" not in about:
            links.setdefault(about["layer"], []).append(_link(one))
        elif isinstance(one.piece, Finding) and one.piece.subject in links:
            links[one.piece.subject].append(Link(one.piece.rule, one.place))
    for (layer, channel), view in channels.items():
        links.setdefault(layer, []).append(Link(_("channel {channel}", channel=channel), view.id))
    return _entries(links)


def _entries(links: Mapping[str, Sequence[Link]]) -> tuple[Entry, ...]:
    return tuple(Entry(name, tuple(dict.fromkeys(own))) for name, own in links.items() if own)


def _link(one: Placed) -> Link:
    title = getattr(one.piece, "title", "")
    text = _("{check}: {title}", check=one.check, title=title) if title else one.check
    return Link(text, getattr(one.block, "id", one.place))


def _about(one: Placed) -> Mapping[str, str]:
    return one.piece.about if isinstance(one.piece, Figure | Gallery) else {}


def _items(block: Block | None) -> Sequence[GalleryItem]:
    return block.items if isinstance(block, GalleryBlock) else ()


def _pictures(block: Block) -> Iterable[Picture]:
    if isinstance(block, FigureBlock):
        return (block.picture,)
    return (item.picture for item in _items(block))
