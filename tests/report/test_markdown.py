import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from auditor.process.foreign_text import printable
from auditor.report import markdown
from tests.report.sample_audits import HOSTILE

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# what GitHub makes a link, a call or a formula of after it has read the Markdown
LATER = re.compile(r"@\w|://|www\.|#\d|(mailto|xmpp):\w|GH-\d|\$", re.IGNORECASE)

active = st.text(st.sampled_from("\\`*_[]()<>!|~#@:/$&;{}^=+-.1ahw \n\t\r")) | st.text() | st.sampled_from(HOSTILE)
links = st.sampled_from(
    ["http://e.org", "HTTPS://E.org", "www.e.org", "me@e.org", "mailto:me@e.org", "@me", "#12", "GH-1", "o/r#1"]
)
anything = active | st.lists(active | links, max_size=3).map("".join)


def shown(source: str) -> str:
    """Return what a reader sees of one line, which may hold nothing but text."""
    tokens = GITHUB.parse(source)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "text_special"}
    return "".join(child.content for child in tokens[1].children)


def wanted(words: str) -> str:
    return " ".join(printable(" ".join(words.split())).split())


def without_marks(words: str) -> str:
    return words.replace("\u200b", "")


@given(anything)
def test_any_text_is_shown_as_it_is_and_does_nothing(words):
    line = shown(f"x{markdown.text(words)}x")
    assert without_marks(line) == without_marks(f"x{wanted(words)}x")
    assert not LATER.search(line.replace("$", "")), line
    assert "$" not in markdown.text(words)


@given(anything, anything)
def test_any_text_stays_in_its_cell(first, second):
    lines = markdown.table(("a", "b"), [(markdown.text(first), markdown.code(second))], right=(1,))
    tokens = GITHUB.parse("\n".join(lines))
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type in ("th_open", "td_open")]
    assert len(cells) == 4
    assert without_marks("".join(c.content for c in cells[2].children)) == without_marks(wanted(first))
    assert {child.type for child in cells[3].children} <= {"text", "text_special", "html_inline"}
    assert [c.content for c in cells[3].children if c.type == "html_inline"] in ([], ["<code>", "</code>"])


@pytest.mark.parametrize("words", ["a|b.png", "`x`", "<script>alert(1)</script>", "*a*", "[x](http://e.org)", "a\nb"])
def test_a_file_s_name_can_be_read(words):
    assert without_marks(shown(f"x {markdown.text(words)}")) == f"x {' '.join(words.split())}"


def test_plain_words_stay_plain():
    assert (
        markdown.text("Right on 40 % of 40 images (layer1.0.conv1).") == "Right on 40 % of 40 images (layer1.0.conv1)."
    )
