import http.server
import itertools
import threading
from dataclasses import replace

import pypdf
import pytest

from auditor.errors import OutputError
from auditor.report import pdf
from auditor.results import Figure, Gallery, Item, Result, Table
from tests.report.sample_audits import HOSTILE, audit, hostile, maps, photo, predictions


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> pypdf.PdfReader:
    folder = tmp_path_factory.mktemp("pdf")
    pdf.save(audit(predictions(), maps(), not_run=("late",)), folder)
    return pypdf.PdfReader(folder / "report.pdf")


def text_of(reader: pypdf.PdfReader, page: int) -> str:
    return " ".join(reader.pages[page].extract_text().split())


def test_the_cover_has_product_verdict_network_data_and_date(printed):
    cover = text_of(printed, 0)
    for words in (
        "auditor",
        "net.pt",
        "Fail",
        "1 failure",
        "resnet18",
        "photographs",
        "2 January 2026",
        "ab" * 32,
    ):
        assert words in cover
    assert "Incomplete." in cover


def test_the_contents_name_every_section_with_its_page(printed):
    contents = text_of(printed, 1)
    assert "Contents" in contents
    assert "predictions Is it right? 3" in contents
    assert "Provenance" in contents


def test_every_page_but_the_cover_says_which_of_how_many_it_is(printed):
    count = len(printed.pages)
    assert "Page 1 of" not in text_of(printed, 0)
    for number in range(1, count):
        assert f"Page {number + 1} of {count}" in text_of(printed, number)


def test_bookmarks_lead_to_every_section(printed):
    titles = [entry.title for entry in printed.outline if not isinstance(entry, list)]
    assert titles == ["Contents", "Overview", "Is it right?", "Where does it look?", "Provenance"]


def test_the_file_says_what_it_is_and_is_tagged(printed):
    assert printed.metadata.title == "Fail: net.pt · auditor"
    assert printed.metadata.author == "auditor"
    assert printed.metadata.creation_date.year == 2026
    assert printed.trailer["/Root"]["/Lang"] == "en"
    assert printed.trailer["/Root"]["/MarkInfo"]["/Marked"]


def elements(reader: pypdf.PdfReader) -> list[tuple[str, pypdf.generic.DictionaryObject, tuple[str, ...]]]:
    """Return every tag in reading order with its element and the tags around it."""
    found = []

    def walk(node, around):
        node = node.get_object()
        if not isinstance(node, dict) or "/S" not in node:
            return
        found.append((node["/S"], node, around))
        kids = node.get("/K", [])
        for kid in kids if isinstance(kids, list) else [kids]:
            walk(kid, (*around, node["/S"]))

    for kid in reader.trailer["/Root"]["/StructTreeRoot"]["/K"]:
        walk(kid, ())
    return found


def test_the_file_says_which_checkpoint_and_which_version_made_it(printed):
    assert printed.metadata["/checkpointsha256"] == "ab" * 32
    assert printed.metadata["/auditorversion"] == "0.1.0"
    assert f"sha256:{'ab' * 32}" in printed.metadata["/Keywords"]
    assert printed.metadata.creator == "auditor 0.1.0"
    assert printed.metadata.subject.startswith("1 failure")
    assert b'pdfuaid:part="1"' in printed.trailer["/Root"]["/Metadata"].get_data()
    assert printed.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"]


def test_every_figure_has_words_and_what_only_decorates_is_none(printed):
    alts = [element.get("/Alt") for tag, element, _ in elements(printed) if tag == "/Figure"]
    assert all(alts)
    assert {"a map", "the image, cat.png", "channel 3, 0.75"} <= set(alts)


def test_every_head_of_a_table_says_what_it_is_the_head_of(printed):
    heads = [(element["/A"]["/Scope"], around[-2]) for tag, element, around in elements(printed) if tag == "/TH"]
    assert ("/Row", "/TBody") in heads
    assert {scope for scope, above in heads if above == "/THead"} == {"/Column"}


def test_lists_hold_items_and_items_hold_labels_and_bodies(printed):
    below = {"/L": {"/LI", "/L"}, "/LI": {"/Lbl", "/LBody"}, "/TR": {"/TH", "/TD"}}
    tags = elements(printed)
    assert {"/L", "/Lbl", "/LBody", "/Table"} <= {tag for tag, *_ in tags}
    for tag, _, around in tags:
        if around and around[-1] in below:
            assert tag in below[around[-1]], around


def test_headings_go_down_one_step_at_a_time(printed):
    levels = [int(tag[2]) for tag, *_ in elements(printed) if tag[1] == "H" and tag[2:].isdigit()]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_no_picture_is_blank(printed):
    pictures = [image.image.convert("L") for page in printed.pages for image in page.images]
    assert len(pictures) >= 4
    assert all(low < high for low, high in (picture.getextrema() for picture in pictures))


def test_a_figure_is_on_one_page_with_its_heading_and_its_caption(tmp_path):
    figures = tuple(Figure(f"Figure {i} begins", f"Caption {i} ends.", photo(700)) for i in range(7))
    pdf.save(audit(Result("c", "?", figures)), tmp_path)
    pages = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages]
    for i in range(7):
        (page,) = [page for page in pages if f"Figure {i} begins" in page]
        assert f"Caption {i} ends." in page


def test_the_heading_of_a_gallery_is_on_the_page_of_its_first_row(tmp_path):
    galleries = tuple(
        Gallery(f"Gallery {i} begins", "How to read it.", tuple(Item(photo(400), f"tile {i}.{j}") for j in range(3)))
        for i in range(11)
    )
    pdf.save(audit(Result("c", "?", galleries)), tmp_path)
    pages = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages]
    for i in range(11):
        (page,) = [page for page in pages if f"Gallery {i} begins" in page]
        assert f"tile {i}.2" in page


def test_the_letterhead_is_on_the_cover_and_at_the_foot_of_every_page(tmp_path):
    own = {"title": "Line 3 <b>", "footer": "Acme & Sons", "confidential": "For Acme only"}
    given = audit()
    pdf.save(replace(given, provenance=replace(given.provenance, settings={"report": own})), tmp_path)
    reader = pypdf.PdfReader(tmp_path / "report.pdf")
    for number in range(len(reader.pages)):
        for words in own.values():
            assert words in text_of(reader, number)
    assert "net.pt" in text_of(reader, 0)
    assert reader.metadata.title == "Fail: Line 3 <b> · auditor"
    assert "data:" not in "".join(page.extract_text() for page in reader.pages)


def test_every_font_is_embedded(printed):
    for page in printed.pages:
        for font in page["/Resources"]["/Font"].values():
            descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & set(descriptor)


def test_pictures_are_not_larger_than_print_needs(tmp_path):
    items = tuple(Item(photo(900), f"tile {i}") for i in range(4))
    pdf.save(audit(Result("c", "?", (Gallery("g", "", items),))), tmp_path)
    reader = pypdf.PdfReader(tmp_path / "report.pdf")
    sizes = [image.image.size for page in reader.pages for image in page.images]
    assert sizes
    assert max(max(size) for size in sizes) <= 335


def test_a_figure_has_no_more_pixels_than_its_height_on_paper_needs(tmp_path):
    pdf.save(audit(Result("c", "?", (Figure("f", "", photo(1300), "a cup"),))), tmp_path)
    shown = {image.image.size for page in pypdf.PdfReader(tmp_path / "report.pdf").pages for image in page.images}
    assert shown == {(960, 960)}


def test_a_cut_table_says_where_the_rest_is(tmp_path):
    table = Table("t", "", ("n",), tuple((i,) for i in range(1000)))
    pdf.save(audit(Result("c", "?", (table,))), tmp_path)
    words = " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    assert "976 more are in audit.json" in words


@pytest.mark.slow
def test_hostile_texts_are_printed_and_nothing_is_fetched(tmp_path):
    pdf.save(hostile(" ".join(HOSTILE)[:700]), tmp_path)
    words = "".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    assert "<script>alert(1)</script>" in words.replace("\n", "").replace("\x00", "")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/x.png", "file:///etc/hostname", "x.png", "ftp://127.0.0.1/x"]
)
@pytest.mark.parametrize(
    "template",
    ['<img src="{}">', '<style>body {{ background: url("{}") }}</style>', '<link rel="stylesheet" href="{}">'],
)
def test_a_template_that_asks_for_more_than_is_embedded_is_refused(tmp_path, address, template):
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wanted = template.format(address.format(port=server.server_port))
        (tmp_path / "print.html").write_text(f"<html><head><title>x</title></head><body>{wanted}text</body></html>")
        if address == "x.png":
            pdf.save(audit(), tmp_path, [tmp_path])
        else:
            with pytest.raises(OutputError, match="may only contain embedded files"):
                pdf.save(audit(), tmp_path, [tmp_path])
        server.shutdown()
    assert asked == []
