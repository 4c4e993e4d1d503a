import http.server
import threading

import pypdf
import pytest
from sample_audits import HOSTILE, audit, hostile, maps, photo, predictions

from auditor.errors import OutputError
from auditor.report import pdf
from auditor.results import Gallery, Item, Result, Table


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
        "1 of 2 checks failed",
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


def test_a_cut_table_says_where_the_rest_is(tmp_path):
    table = Table("t", "", ("n",), tuple((i,) for i in range(1000)))
    pdf.save(audit(Result("c", "?", (table,))), tmp_path)
    words = " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    assert "976 more stand in audit.json" in words


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
            with pytest.raises(OutputError, match="holds only what is embedded"):
                pdf.save(audit(), tmp_path, [tmp_path])
        server.shutdown()
    assert asked == []
