"""The page in a real browser: on a phone and on a desk, light and dark, with scripts and without."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.language import speaking
from auditor.report import html
from auditor.results import Result, Table
from tests.report.browser import AXE, CHROMIUM, Browser, Screen
from tests.report.sample_audits import HOSTILE, full, hostile

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

WIDTHS = [390, 1440]


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html.text(full()), encoding="utf-8")
    return file


@pytest.fixture(params=WIDTHS)
def screen(request, browser, report) -> Iterator[Screen]:
    """The report, which must not have complained or asked for anything by the end of a test."""
    shown = Screen(browser, request.param).open(report)
    yield shown
    complained, asked = shown.complaints, shown.requests
    shown.close()
    assert (complained, asked) == ([], [])


def visible(screen: Screen) -> list[str]:
    return screen.run(
        "[...document.querySelectorAll('table.summary tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.querySelector('th').textContent)"
    )


def focused(screen: Screen) -> str:
    return screen.run("document.activeElement.outerHTML.slice(0, 80)")


def viewer(screen: Screen) -> dict:
    return screen.run(
        "(() => { const viewer = document.querySelector('.viewer'); return {open: viewer.open,"
        " title: viewer.querySelector('h2').textContent, place: document.getElementById('viewer-place').textContent,"
        " overlay: !viewer.querySelector('.viewer-overlay').hidden,"
        " pictures: viewer.querySelectorAll('.viewer-picture .picture').length,"
        " facts: Object.fromEntries([...viewer.querySelectorAll('.fact')].map((fact) =>"
        " [fact.children[0].textContent, fact.children[1].textContent])),"
        " opacity: viewer.querySelector('.viewer-picture').lastElementChild?.style.opacity ?? ''}; })()"
    )


def enlarge(screen: Screen, which: int) -> None:
    """Open a picture of the first row of the check saliency."""
    place = f"document.querySelectorAll('.check[id$=saliency] .enlarge')[{which}]"
    screen.run(f"{place}.id = 'wanted'")
    screen.click("#wanted")


def test_the_summary_filters_by_verdict_and_searches(screen):
    every = visible(screen)
    assert every[0] == "predictions"
    screen.click(".chip.fail")
    assert visible(screen) == every[1:]
    screen.click(".chip.fail")
    screen.run("document.getElementById('filter-text').focus()")
    screen.write("PIXELS")
    assert visible(screen) == ["saliency"]
    screen.write(" and more")
    assert visible(screen) == []
    assert "No check matches" in screen.run("document.getElementById('filter-empty').textContent")


def test_a_picture_is_enlarged_by_keyboard_and_the_focus_comes_back(screen):
    screen.run("document.querySelector('.check .enlarge').focus()")
    before = focused(screen)
    screen.press("Enter")
    assert viewer(screen)["open"]
    screen.press("Escape")
    assert not viewer(screen)["open"]
    assert focused(screen) == before


def test_arrows_step_through_the_row_and_no_further(screen):
    enlarge(screen, 0)
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        seen.append(viewer(screen)["title"])
        screen.press(key)
    assert seen == ["image of cat", "Grad-CAM: zero everywhere", "gradient", "gradient"]
    assert viewer(screen)["place"] == "2 of 3"
    screen.click("#viewer-next")
    assert viewer(screen)["place"] == "3 of 3"


def test_the_viewer_tells_value_file_and_class(screen):
    enlarge(screen, 2)
    facts = viewer(screen)["facts"]
    assert facts["Value"] == "0.25"
    assert facts["File"] == "cup/0.png"
    assert facts["Class"] == "cup, predicted cat (75.0\N{NO-BREAK SPACE}%)"


def test_an_overlay_fades_and_is_taken_away(screen):
    enlarge(screen, 2)
    assert not viewer(screen)["overlay"]
    screen.press("ArrowLeft")
    now = viewer(screen)
    assert (now["overlay"], now["pictures"], now["opacity"]) == (True, 2, "1")
    screen.run("document.getElementById('viewer-opacity').focus()")
    for _ in range(4):
        screen.press("ArrowLeft")
    assert viewer(screen)["opacity"] == "0.8"
    assert viewer(screen)["place"] == "2 of 3"
    screen.click("#viewer-toggle")
    assert viewer(screen)["opacity"] == "0"
    screen.click("#viewer-toggle")
    assert viewer(screen)["opacity"] == "0.8"


def test_photograph_and_overlay_lie_on_each_other(screen):
    enlarge(screen, 1)
    boxes = screen.run(
        "[...document.querySelectorAll('.viewer-picture .picture')].map((one) => one.getBoundingClientRect().toJSON())"
    )
    assert boxes[0] == boxes[1]


def test_a_click_beside_the_viewer_closes_it(screen):
    enlarge(screen, 0)
    screen.run("document.querySelector('.viewer').dispatchEvent(new MouseEvent('click'))")
    assert not viewer(screen)["open"]


def test_a_table_is_sorted_up_then_down_then_as_it_was(screen):
    def cells() -> list[str]:
        table = "[...document.querySelectorAll('table.summary tbody tr')]"
        return screen.run(f"{table}.map((row) => row.cells[1].textContent)")

    first = cells()
    screen.run("document.querySelectorAll('table.summary .sort')[1].click()")
    assert cells() == sorted(first)
    assert screen.run("document.querySelectorAll('table.summary th')[1].ariaSort") == "ascending"
    screen.run("document.querySelectorAll('table.summary .sort')[1].click()")
    assert cells() == sorted(first, reverse=True)
    screen.run("document.querySelectorAll('table.summary .sort')[1].click()")
    assert cells() == first
    assert screen.run("document.querySelectorAll('table.summary th')[1].ariaSort") is None


def test_numbers_are_sorted_as_numbers_and_what_is_missing_comes_last(screen):
    table = "document.querySelector('table.data')"
    for order in (["50 %", ""], ["50 %", ""]):
        screen.run(f"{table}.querySelectorAll('.sort')[2].click()")
        found = screen.run(f"[...{table}.tBodies[0].rows].map((row) => row.cells[2].textContent)")
        assert found[1] == order[1]


def test_french_is_searched_sorted_and_enlarged_in_french(browser, tmp_path):
    shares = ("1\u202f234,5\u00a0%", "12,3\u00a0%", "−3\u00a0%", "12,25\u00a0%", "200\u00a0%")
    numbers = Result("numbers", "?", (Table("Numbers", "", ("share",), tuple((share,) for share in shares)),))
    given = full()
    with speaking("fr"):
        (tmp_path / "report.html").write_text(html.text(replace(given, results=(*given.results, numbers))), "utf-8")
    shown = Screen(browser, 1440).open(tmp_path / "report.html")
    table = "[...document.querySelectorAll('table.data')].find((one) => one.textContent.includes('234'))"
    shown.run(f"{table}.querySelector('.sort').click()")
    found = shown.run(f"[...{table}.tBodies[0].rows].map((row) => row.cells[0].textContent)")
    assert found == [shares[i] for i in (2, 3, 1, 4, 0)]
    shown.run("document.getElementById('filter-text').value = 'nothing is called so'")
    shown.run("document.getElementById('filter-text').dispatchEvent(new Event('input'))")
    assert shown.run("document.getElementById('filter-empty').textContent").startswith("Aucun contrôle")
    shown.run("document.querySelector('.gallery .enlarge').click()")
    told = viewer(shown)
    assert " sur " in told["place"]
    assert set(told["facts"]) <= {"Valeur", "Fichier", "Classe", "Galerie"}
    assert (shown.complaints, shown.requests) == ([], [])
    shown.close()


def test_a_link_unfolds_an_image(screen):
    screen.click(".index-images a")
    assert screen.run("location.hash") == "#image-1"
    assert screen.run("document.querySelector('.view').open")
    top = screen.run("document.getElementById('image-1').getBoundingClientRect().top")
    assert 0 <= top < 900


def test_nothing_is_wider_than_the_screen(screen):
    screen.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert screen.run("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: .ci/system tests")
def test_axe_finds_nothing(browser, report, width, dark):
    shown = Screen(browser, width, dark=dark).open(report)
    assert ground(shown) == ("rgb(15, 19, 26)" if dark else "rgb(245, 246, 248)")
    shown.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert shown.violations() == []
    enlarge(shown, 1)
    assert viewer(shown)["open"]
    assert shown.violations() == []
    shown.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_reader_may_ask_for_the_other_colours_but_paper_stays_white(browser, report, dark):
    shown = Screen(browser, 1440, dark=dark).open(report)
    seen = [ground(shown)]
    for _ in range(2):
        shown.run("document.getElementById('scheme').click()")
        seen.append(ground(shown))
    light, night = "rgb(245, 246, 248)", "rgb(15, 19, 26)"
    assert seen == ([night, light, night] if dark else [light, night, light])
    shown.do("Emulation.setEmulatedMedia", media="print")
    assert ground(shown) == "rgb(255, 255, 255)"
    assert shown.run("getComputedStyle(document.body).color") == "rgb(24, 32, 44)"
    shown.close()


def ground(shown):
    return shown.run("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", WIDTHS)
def test_all_can_be_read_without_a_script(browser, report, width):
    shown = Screen(browser, width, scripts=False).open(report)
    assert shown.run("document.querySelectorAll('.enlarge, .sort').length") == 0
    assert shown.run("document.querySelector('.filter').hidden")
    assert shown.run("document.querySelector('.viewer').getBoundingClientRect().width") == 0
    for words in ("Right on 40 % of 40 images.", "Limit", "Where does it look?", "Index"):
        assert words.lower() in shown.run("document.body.innerText").lower()
    shown.open(report, "#image-1")
    assert shown.run("document.getElementById('image-1').checkVisibility()")
    assert (shown.complaints, shown.requests) == ([], [])
    shown.close()


def test_paper_gets_the_page_without_its_tools(browser, report):
    shown = Screen(browser, 1440).open(report)
    shown.do("Emulation.setEmulatedMedia", media="print")
    hidden = (
        "[...document.querySelectorAll('.contents, .filter, #index, .view')].every((one) => !one.checkVisibility())"
    )
    assert shown.run(hidden)
    assert shown.run("document.querySelector('.check').checkVisibility()")
    shown.close()


@pytest.mark.parametrize("script", ["<script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>"])
def test_the_policy_stops_a_script_that_was_injected(browser, report, tmp_path, script):
    page = report.read_text(encoding="utf-8")
    (tmp_path / "injected.html").write_text(page.replace("</h1>", f"</h1>{script}", 1), encoding="utf-8")
    shown = Screen(browser, 1440).open(tmp_path / "injected.html")
    assert shown.run("window.hit") is None
    assert any("Content Security Policy" in one for one in shown.complaints)
    assert shown.run("document.querySelectorAll('.enlarge').length > 0")  # ours still runs
    shown.close()


def test_the_policy_stops_what_is_loaded_or_sent_later(browser, report):
    shown = Screen(browser, 1440).open(report)
    shown.run(
        "(() => { const add = (name, properties) => document.body.append(Object.assign(document.createElement(name),"
        " properties)); add('script', {textContent: 'window.hit = 1'}); add('script', {src: 'https://example.org/x.js'});"
        " add('img', {src: 'https://example.org/x.png'}); add('iframe', {src: 'https://example.org'});"
        " fetch('https://example.org').catch(() => 0); })()"
    )
    assert shown.run("new Promise((done) => setTimeout(() => done(window.hit), 200))") is None
    assert sum("Content Security Policy" in one for one in shown.complaints) >= 4
    shown.close()


def test_no_hostile_text_runs_asks_or_breaks_the_page(browser, tmp_path):
    assert len(HOSTILE) >= 50
    shown = Screen(browser, 390)
    for number, text in enumerate(HOSTILE):
        file = tmp_path / f"{number}.html"
        file.write_text(html.text(hostile(text)), encoding="utf-8")
        shown.open(file)
        assert (shown.complaints, shown.requests, shown.dialogs) == ([], [], []), text
        assert shown.run("[document.scripts.length, document.querySelectorAll('main').length]") == [1, 1], text
        assert shown.run("document.querySelectorAll('.filter:not([hidden]), .colophon').length") == 2, text
        shown.run("document.querySelector('.enlarge').click()")
        assert viewer(shown)["open"], text
        assert shown.run("document.documentElement.scrollWidth <= innerWidth"), text
    shown.close()


def test_two_hundred_pictures_take_half_a_minute_and_a_gigabyte_and_a_half_at_most(browser, tmp_path):
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom tests.report.sample_audits import full\nfrom auditor.report import html\n"
        "given = full(50)\nbegan = time.monotonic()\nhtml.save(given, Path(sys.argv[2]))\n"
        "peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]\n"
        "print(time.monotonic() - began, peak)"  # getrusage would tell what the process that starts this one has held
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parents[2]), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, ran.stdout.split())
    assert seconds < 30
    assert kilobytes < 1.5 * 2**20
    assert (tmp_path / "report.html").stat().st_size < 15e6
    shown = Screen(browser, 1440).open(tmp_path / "report.html")
    assert shown.run("document.querySelectorAll('.check .picture').length") >= 200
    shown.close()
