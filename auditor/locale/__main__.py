"""Update every catalogue with the current messages: `python -m auditor.locale`."""

from __future__ import annotations

from auditor.locale import catalogues
from auditor.locale.messages import messages
from auditor.process.console import say


def main() -> None:
    """Update the catalogues in place, and print how many messages have no translation."""
    found = messages()
    for name, file in catalogues.files():
        new = catalogues.updated(name, catalogues.read(name, file), found)
        catalogues.write(new, file)
        missing = sum(not all(catalogues.forms(message)) for message in new if message.id)
        say(f"{name}: {len(new)} messages, {missing} without a translation")


if __name__ == "__main__":
    main()
