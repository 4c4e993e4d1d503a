"""The catalogues in the folders beside this file, one per language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from auditor.language import FOLDER

_HEADER = """# The reports of auditor in another language: see docs/translation.md.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural_forms}\\n"

"""


def files() -> Iterator[tuple[str, Path]]:
    """Yield each language and the path of its catalogue, which may not exist yet."""
    for folder in sorted(path for path in FOLDER.iterdir() if (path / "LC_MESSAGES").is_dir()):
        yield folder.name, folder / "LC_MESSAGES" / "auditor.po"


def read(name: str, file: Path) -> Catalog:
    """Return a catalogue; an empty one if the file does not exist yet."""
    if not file.exists():
        return Catalog(locale=name, charset="utf-8")
    with file.open("rb") as opened:
        return read_po(opened, locale=name)


def updated(name: str, old: Catalog, found: Catalog) -> Catalog:
    """Return the catalogue with exactly the current messages; new ones have no translation yet."""
    new = Catalog(locale=name, charset="utf-8", fuzzy=False)
    for message in found:
        if message.id:
            added = new.add(message.id, _translation(old.get(message.id), message))
            added.flags.discard("python-format")  # our messages use str.format: a percent sign is literal
    return new


def write(catalogue: Catalog, file: Path) -> None:
    """Write a catalogue sorted by message, without dates and locations, so that a change is a short diff."""
    header = _HEADER.format(language=catalogue.locale_identifier, plural_forms=catalogue.plural_forms)
    with file.open("wb") as opened:
        opened.write(header.encode())
        write_po(opened, catalogue, width=110, sort_output=True, no_location=True, omit_header=True)


def forms(message: Message) -> tuple[str, ...]:
    """Return the translations of a message, one per plural form; empty texts if there are none."""
    found = message.string or ""
    return (found,) if isinstance(found, str) else tuple(found)


def _translation(old: Message | None, new: Message) -> str | tuple[str, ...]:
    """Return the translation in the old catalogue, if the message has plural forms in both or in neither."""
    if old is None or old.pluralizable != new.pluralizable:
        return ""
    return forms(old) if old.pluralizable else forms(old)[0]
