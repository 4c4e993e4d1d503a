import base64
import hashlib
import io
import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from auditor.errors import OutputError
from auditor.report import html
from auditor.results import Figure, Gallery, Item, Result, Scale, Verdict
from tests.report.sample_audits import HOSTILE, audit, hostile, maps, photo

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Read(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inline: dict[str, str] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open in ("style", "script"):
            self.inline[self._open] = data
        else:
            self.words.append(data)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def read(given) -> Read:
    return Read(html.text(given))


def test_the_verdict_comes_first_then_what_made_it_then_the_rest():
    words = " ".join(" ".join(Read(html.text(audit()).partition("<main")[2]).words).split())
    order = [
        "1 failure",
        "What decided the verdict",
        "Right on 40 % of 40 images.",
        "Train longer.",
        "limit 50 %",
        "What was audited",
        "Source",
        "Summary",
        "Is it right?",
        "How to read it.",
        "Per class",
        "Source: Guo 2017",
        "Provenance",
    ]
    places = [words.index(text) for text in order]
    assert places == sorted(places)


def test_nothing_on_the_page_leads_outside():
    for tag, attributes in read(audit()).tags:
        for name in ("src", "href", "action", "poster", "srcset", "data"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:image/", "#")), (tag, target)
        assert not {name for name in attributes if name == "style" or name.startswith("on")}


def test_the_policy_allows_this_style_and_this_script_and_embedded_pictures_only():
    page = read(audit())
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.inline[kind].encode()).digest()).decode()
        assert allowed[f"{kind}-src"] == f"'sha256-{digest}'"


def test_every_link_on_the_page_has_its_target():
    page = read(audit())
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.all("a", "use")]
    assert {link[1:] for link in links} <= set(ids)


def test_each_picture_is_stored_once_and_shown_everywhere():
    figure = Figure("a", "", photo(), "a cup")
    page = html.text(
        audit(Result("c", "?", (figure, Gallery("g", "", (Item(photo(), "again"), Item(photo(), "twice"))))))
    )
    assert page.count(base64.b64encode(photo()).decode()) == 1
    assert page.count("<use ") == 3


def test_a_text_that_looks_like_the_address_of_a_picture_stays_as_it_is():
    own = f"auditor:picture-{hashlib.sha256(photo()).hexdigest()[:16]}-64"
    other = f"auditor:picture-{'0' * 16}-64"
    page = html.text(audit(Result("c", "?", (Figure("a", other, photo(), "a cup"),))))
    assert other in page
    assert own not in page


def test_a_page_with_very_many_pictures_compresses_them_and_says_so(monkeypatch):
    figure = Figure("a", "", photo(224), "a cup")
    exact = html.text(audit(Result("c", "?", (figure, maps().evidence[0]))))
    monkeypatch.setattr(html, "_QUALITIES", ((1000, 60),))
    small = html.text(audit(Result("c", "?", (figure, maps().evidence[0]))))
    assert base64.b64encode(photo(224)).decode() in exact
    assert base64.b64encode(photo(224)).decode() not in small
    assert "those in evidence/ are exact" in small
    assert "those in evidence/ are exact" not in exact
    assert len(small) < len(exact) - len(photo(224)) // 4
    assert base64.b64encode(maps().evidence[0].image).decode() in small  # few colours: as they are


def test_every_picture_has_words():
    page = read(audit())
    assert all(image["alt"] for image in page.all("img"))


def test_headings_go_down_one_step_at_a_time():
    levels = [int(tag[1]) for tag, _ in read(audit()).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_colour_bars_have_numbers_and_take_nothing_but_colours():
    scale = Scale(-1, 2.5, ("#000000", "red;}", 'url("x")', "#ffffff"), "gradient")
    page = read(audit(Result("c", "?", (Figure("a", "", photo(), scale=scale),))))
    (bar,) = [image for image in page.all("img") if image["class"] == "bar-colours"]
    drawn = Image.open(io.BytesIO(base64.b64decode(bar["src"].partition(",")[2])))
    assert [drawn.getpixel((x, 0)) for x in range(drawn.width)] == [(0, 0, 0), (255, 255, 255)]
    assert {"−1", "2.5", "gradient"} <= set(page.words)


def test_an_interrupted_audit_has_a_banner_and_lists_what_had_no_turn():
    words = " ".join(read(audit(interrupted=True, not_run=("occlusion",))).words)
    assert "This audit was interrupted. 1 selected check did not run: occlusion." in words
    assert "Not run" in words


def test_empty_evidence_says_that_it_is_empty():
    words = " ".join(read(audit(Result("c", "?", (Gallery("g", "", ()), Figure("f", "", b"no"))))).words)
    assert "This gallery has no pictures." in words
    assert "This picture is damaged" in words


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_adds_an_element_or_an_attribute(text):
    def shape(page: Read) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in page.tags]

    harmless = "y" * len(text) if text.count("\n") < 1 else "y\n" * text.count("\n") + "y" * len(text)
    ours, theirs = read(hostile(text)), read(hostile(harmless))
    if text.strip() and len(text) < 400:
        assert shape(ours) == shape(theirs)
    assert {tag for tag, _ in ours.tags} <= {tag for tag, _ in read(hostile("y" * 1000)).tags}
    assert ours.inline == theirs.inline


@pytest.mark.parametrize("text", HOSTILE)
def test_every_page_is_valid_utf8_without_control_characters(text):
    page = html.text(hostile(text))
    assert page.encode("utf-8").decode("utf-8") == page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]", page)


def test_a_template_of_ones_own_replaces_one_block(tmp_path):
    (tmp_path / "report.html").write_text(
        '{% extends "auditor/report.html" %}{% block footer %}<p>Confidential: {{ page.title }}</p>'
        "{{ evidence.badge(page.badge) }}{% endblock %}"
    )
    page = html.text(audit(), [tmp_path])
    assert "<p>Confidential: net.pt</p>" in page
    assert "What decided the verdict" in page


def test_a_style_sheet_of_ones_own_is_allowed_by_the_policy(tmp_path):
    (tmp_path / "report.css").write_text("body { color: red }")
    page = html.text(audit(), [tmp_path])
    assert base64.b64encode(hashlib.sha256(b"body { color: red }").digest()).decode() in page


@pytest.mark.parametrize("template", ["{{ page.nothing }}", "{% if %}", '{% include "nowhere.html" %}'])
def test_a_mistake_in_a_template_is_one_line(tmp_path, template):
    (tmp_path / "report.html").write_text(template)
    with pytest.raises(OutputError, match="template") as caught:
        html.text(audit(), [tmp_path])
    assert "\n" not in str(caught.value)


def test_a_style_sheet_can_not_close_its_element(tmp_path):
    (tmp_path / "report.css").write_text("</style><script>")
    with pytest.raises(OutputError, match="can't be embedded in a page"):
        html.text(audit(), [tmp_path])


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_is_a_word_and_not_a_colour_alone(verdict):
    from tests.report.sample_audits import predictions

    page = read(audit(predictions(verdict)))
    assert sum(words.strip() == page_word(verdict) for words in page.words) >= 2


def page_word(verdict: Verdict) -> str:
    from auditor.report.phrases import VERDICTS

    return VERDICTS[verdict]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("given", [audit(maps()), hostile("".join(HOSTILE))], ids=["plain", "hostile"])
def test_a_browser_runs_the_page_without_a_complaint(tmp_path, given):
    (tmp_path / "report.html").write_text(html.text(given), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    address = (tmp_path / "report.html").as_uri()
    ran = subprocess.run(
        [CHROMIUM, *flags, "--enable-logging=stderr", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "CONSOLE" not in ran.stderr
    assert 'class="filter"' in ran.stdout  # no longer hidden: the script ran under the policy
