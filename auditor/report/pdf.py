"""`report.pdf`: the same page on paper, by WeasyPrint without access to files or the network."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor.errors import OutputError
from auditor.report import tagging, templates
from auditor.report.album import Album
from auditor.report.blocks import PRINT
from auditor.report.page import page_of
from auditor.results import Audit

NAME = "report.pdf"


def save(audit: Audit, folder: Path, folders: Sequence[Path] = ()) -> None:
    """Write `report.pdf`.

    Raises:
        OutputError: System libraries of WeasyPrint are missing, or a template refers to a file that is not embedded.
    """
    album = Album(shrink=True)
    page = page_of(audit, PRINT, album)
    text = templates.render("print.html", page, folders, style=templates.asset("print.css", folders))
    write(laid_out(text, NAME, album.files), folder / NAME)


def laid_out(text: str, name: str, pictures: Mapping[str, bytes]) -> Any:
    """Return a page of HTML as WeasyPrint's document, laid out and not yet drawn.

    Args:
        pictures: `Album.files`: the bytes of the pictures by the addresses that the page contains.

    Raises:
        OutputError: For the same reasons as `save`. The message names the file.
    """
    weasyprint = _weasyprint(name)
    with _quiet(name), _uncollected():
        return weasyprint.HTML(string=text, url_fetcher=_fetcher(pictures)).render(pdf_variant="pdf/ua-1")


def write(document: Any, file: Path) -> None:
    """Write a document to a file, with tags, bookmarks and the metadata of `<meta>`."""
    with _quiet(file.name), _uncollected():
        document.write_pdf(file, finisher=tagging.correct, pdf_variant="pdf/ua-1", custom_metadata=True)


def _weasyprint(name: str) -> Any:
    try:
        import weasyprint
    except OSError as error:
        raise OutputError(
            f"{name} needs the system libraries of WeasyPrint, which are missing ({error}): install them, "
            "on Debian with `apt-get install libpango-1.0-0 libpangoft2-1.0-0`, or leave out the format pdf"
        ) from None
    return weasyprint


def _fetcher(pictures: Mapping[str, bytes]) -> Any:
    """Return a fetcher for `data:` and the pictures of the album; any other address is an error."""
    from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

    class Closed(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            if url in pictures:
                return URLFetcherResponse(url, pictures[url])
            if not url.lower().startswith("data:"):
                raise FatalURLFetchingError(url)
            return super().fetch(url, headers)

    return Closed(allowed_protocols=("data",))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Hide WeasyPrint's messages about style sheets, and turn a refused address into a one-line error."""
    from weasyprint.urls import FatalURLFetchingError

    loggers = [logging.getLogger("weasyprint"), logging.getLogger("fontTools")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except FatalURLFetchingError as error:
        raise OutputError(f"{name} may only contain embedded files, but a template refers to {error}") from None
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Disable the garbage collector: a document's objects all live until its end, and searching them is slow."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
