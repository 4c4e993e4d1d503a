"""What SECURITY.md guarantees is held by tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "SECURITY.md", ROOT / "docs" / "explanation" / "security.md")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def guarantees():
    """Return the rows of the table: what is guaranteed, and the tests."""
    table = PAGES[0].read_text(encoding="utf-8").partition("\n## Guarantees\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").rpartition(" | ")[::2] for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_guarantee_names_tests():
    assert len(guarantees()) > 20
    for guarantee, tests in guarantees():
        assert TEST.findall(tests), guarantee
        assert TEST.sub("", tests).strip() == "", guarantee


def test_every_test_that_is_named_is_there():
    for page in PAGES:
        for file, name in TEST.findall(page.read_text(encoding="utf-8")):
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name
