import base64
import io
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from auditor.config import branding
from auditor.config import settings as config
from auditor.config.branding import Letterhead
from auditor.config.file import read
from auditor.errors import UsageError

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">{}<rect width="40" height="20" fill="#146"/></svg>'
)


def picture(size=(40, 20), kind="PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "#114466").save(buffer, kind)
    return buffer.getvalue()


def settings(folder: Path, text: str) -> Letterhead:
    (folder / "auditor.toml").write_text(text)
    return config.load(Path("net.pt"), {}, file=read(folder / "auditor.toml"), checks={}).report


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        settings(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_texts_are_on_one_line_and_what_is_not_given_is_empty(tmp_path):
    found = settings(tmp_path, '[report]\ntitle = "Line 3\\n  in March"\nfooter = "Acme"')
    assert found == Letterhead(title="Line 3 in March", footer="Acme")
    assert found.as_settings() == {"title": "Line 3 in March", "footer": "Acme"}
    assert Letterhead().as_settings() == {}


@pytest.mark.parametrize(("name", "mime"), [("PNG", "png"), ("JPEG", "jpeg"), ("SVG", "svg+xml")])
def test_a_logo_lies_beside_the_file_that_names_it_and_is_embedded(tmp_path, name, mime):
    data = DRAWING.format("").encode() if name == "SVG" else picture(kind=name)
    (tmp_path / "logo").write_bytes(data)
    kind, _, text = settings(tmp_path, '[report]\nlogo = "logo"').logo.partition(",")
    assert kind == f"data:image/{mime};base64"
    assert base64.b64decode(text) == data


def test_a_logo_has_no_more_pixels_than_a_page_shows(tmp_path):
    (tmp_path / "logo.png").write_bytes(picture((3000, 1000)))
    uri = branding.logo(tmp_path / "logo.png")
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (800, 267)


def test_a_key_that_nobody_knows_names_the_nearest_one(tmp_path):
    assert "no key of [report] is called 'titel'; did you mean 'title'?" in refusal(tmp_path, '[report]\ntitel = "x"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("report = 3", "report is 3, but has to be a table"),
        ("[report]\ntitle = 3", "report.title is 3"),
        (f'[report]\nfooter = "{"x" * 121}"', "report.footer has 121 letters, but at most 120 are allowed"),
        ('[report]\nlogo = "nowhere.png"', "can't be read: No such file"),
        ('[report]\nlogo = ""', "a path is empty"),
    ],
)
def test_says_in_one_line_what_is_wrong(tmp_path, text, message):
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is neither PNG, JPEG nor SVG"),
        (b"GIF89a", "is neither PNG, JPEG nor SVG"),
        (b"%PDF-1.7", "is neither PNG, JPEG nor SVG"),
        (picture()[:60], "is damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 2**20, "is larger than 1 MiB"),
        (b"<html><body>x</body></html>", "is not an SVG: it begins with <html>"),
        (b"<svg><g></svg>", "is not a valid SVG"),
        (b"<svg>" + b"<g>" * 60 + b"</g>" * 60 + b"</svg>", "more than 50 nested elements"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "declares entities"),
        (b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>', "declares entities"),
        (b'<?xml-stylesheet href="http://x.org/a.css"?><svg></svg>', "instruction <?xml-stylesheet"),
    ],
)
def test_refuses_a_logo_that_is_no_plain_picture(tmp_path, monkeypatch, data, message):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint leaves it
    (tmp_path / "logo").write_bytes(data)
    assert message in refusal(tmp_path, '[report]\nlogo = "logo"')


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<SCRIPT/>",
        "<foreignObject><p>x</p></foreignObject>",
        '<g id="a"/><use href="#a"/>',
        '<rect onload="alert(1)"/>',
        '<image href="http://127.0.0.1/x.png"/>',
        '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="file:///etc/passwd"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<a href="javascript:alert(1)"><rect/></a>',
        '<rect fill="url(http://127.0.0.1/x)"/>',
        "<rect fill=\"url( 'http://127.0.0.1/x')\"/>",
        "<style>@import 'http://127.0.0.1/x.css'</style>",
        "<style>rect { fill: u\\72l(http://127.0.0.1/x) }</style>",
    ],
)
def test_refuses_a_drawing_that_does_or_asks_for_more(tmp_path, inside):
    (tmp_path / "logo.svg").write_text(DRAWING.format(inside))
    with pytest.raises(UsageError, match=r"logo\.svg"):
        branding.logo(tmp_path / "logo.svg")
    uri = "data:image/svg+xml;base64," + base64.b64encode(DRAWING.format(inside).encode()).decode()
    assert branding.recorded({"logo": uri}).logo == ""


def test_a_drawing_may_have_styles_and_gradients_of_its_own(tmp_path):
    inside = '<style>.a { fill: url( "#g") }</style><linearGradient id="g"/><path class="a" d="M0 0"/>'
    (tmp_path / "logo.svg").write_text(DRAWING.format(inside))
    assert branding.logo(tmp_path / "logo.svg").startswith("data:image/svg+xml;base64,")


def test_what_is_kept_is_read_back():
    uri = "data:image/png;base64," + base64.b64encode(picture()).decode()
    whole = Letterhead("Title", uri, "Foot", "For Acme only")
    assert branding.recorded(whole.as_settings()) == whole


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [],
        "x",
        {"logo": 3},
        {"logo": "javascript:alert(1)"},
        {"logo": "https://x.org/a.png"},
        {"logo": "data:text/html;base64,AAAA"},
        {"logo": "data:image/png;base64,@@@@"},
        {"logo": "data:image/png;base64,AAA"},
    ],
)
def test_of_a_record_that_somebody_changed_is_shown_what_can_be(value):
    assert branding.recorded(value) == Letterhead()


def test_a_text_in_a_record_is_cut_to_its_place():
    assert len(branding.recorded({"title": "x" * 5000}).title) == 120
