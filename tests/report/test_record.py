import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor.report
from auditor.errors import OutputError
from auditor.report import record
from auditor.results import (
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    FieldFacts,
    Figure,
    Finding,
    Gallery,
    Item,
    LayerFacts,
    Limit,
    Provenance,
    Result,
    RuleFacts,
    Scale,
    Table,
    Verdict,
)
from tests.report.sample_audits import HOSTILE, audit, full, hostile, maps, photo, predictions

SCHEMA = json.loads((Path(auditor.report.__file__).parent / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

texts = st.text(st.characters(), max_size=12)
numbers = st.one_of(st.floats(allow_nan=False), st.integers(-9, 9))
wholes = st.integers(0, 10**9)
pairs = st.tuples(st.integers(-99, 99), st.integers(-99, 99))
images = st.sampled_from([photo(8), b"\x89PNG\r\n\x1a\n...", b"neither"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def tuples(of: st.SearchStrategy, size: int = 3) -> st.SearchStrategy:
    return st.lists(of, max_size=size).map(tuple)


def build(kind: type, *required: st.SearchStrategy, **named: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(kind, *required, **named)


scales = st.none() | build(Scale, numbers, numbers, tuples(texts), texts)
findings = build(
    Finding,
    texts,
    st.sampled_from(Verdict),
    texts,
    subject=texts,
    value=st.none() | numbers,
    limit=st.none() | numbers,
    unit=texts,
    n=st.none() | wholes,
    interval=st.none() | st.tuples(numbers, numbers),
    detail=texts,
)
items = build(Item, images, texts, st.none() | numbers, texts, texts, scales)
cells = texts | numbers | st.booleans() | st.none()
evidence = (
    findings
    | build(Figure, texts, texts, images, texts, scales)
    | build(Gallery, texts, texts, tuples(items), scales, methods=tuples(texts))
    | build(Table, texts, texts, tuples(texts), tuples(tuples(cells)))
)
limits = build(Limit, st.sampled_from(["warn", "fail"]), numbers, texts)
words = ("level", "basis", "unit", "better", "measured", "advice", "false_alarms", "source", "url")
rules = build(RuleFacts, texts, limits=tuples(limits), **dict.fromkeys(words, texts))
documented = st.dictionaries(texts, rules, max_size=2)
results = build(Result, texts, texts, tuples(evidence), seconds=numbers, guide=texts, source=texts, rules=documented)
fields = st.none() | build(FieldFacts, pairs, pairs, pairs, st.booleans())
layers = build(LayerFacts, texts, texts, tuples(wholes), wholes, fields)
provenances = build(
    Provenance,
    build(CheckpointFacts, texts, texts, wholes, texts, numbers, st.booleans()),
    build(ArchitectureFacts, texts, texts, wholes, tuples(layers)),
    build(DataFacts, wholes, tuples(texts), tuples(st.tuples(texts, texts)), texts, texts, st.booleans()),
    preprocess=st.dictionaries(texts, json_values, max_size=3),
    device=texts,
    seed=wholes,
    settings=st.dictionaries(texts, json_values, max_size=3),
    versions=st.dictionaries(texts, texts, max_size=3),
    started=texts,
    notes=tuples(texts),
)
audits = build(Audit, provenances, tuples(results), interrupted=st.booleans(), not_run=tuples(texts))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(audits)
def test_any_audit_comes_back_as_it_was_and_fits_the_schema(tmp_path_factory, wanted):
    folder = tmp_path_factory.mktemp("report")
    record.save(wanted, folder)
    assert record.read(folder) == wanted
    VALIDATOR.validate(json.loads((folder / "audit.json").read_text("utf-8"), parse_constant=pytest.fail))


def saved(wanted: Audit, folder: Path) -> dict:
    record.save(wanted, folder)
    return json.loads((folder / "audit.json").read_bytes())


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_refuses_what_the_contract_forbids(tmp_path):
    document = saved(audit(), tmp_path)
    document["results"][0]["evidence"][0]["verdict"] = "great"
    assert not VALIDATOR.is_valid(document)


def test_the_document_has_the_shape_of_the_contract(tmp_path):
    document = saved(audit(), tmp_path)
    assert (document["schema"], document["verdict"], document["exit_code"], document["complete"]) == (
        1,
        "fail",
        1,
        True,
    )
    layer = document["provenance"]["architecture"]["layers"][0]
    assert layer["receptive_field"] == {"size": [11, 11], "stride": [4, 4], "offset": [-3, -3], "global": False}
    assert document["provenance"]["data"]["skipped"] == [{"file": "bad.jpg", "reason": "truncated"}]
    figure, gallery = document["results"][1]["evidence"]
    assert figure["file"] == "evidence/maps/a-map.png"
    assert [item["image"] for item in gallery["items"]] == [
        "evidence/maps/row-1-the-image.jpg",
        "evidence/maps/row-2-channel-3.png",
    ]


def test_an_interrupted_audit_says_so_and_comes_back(tmp_path):
    wanted = audit(predictions(Verdict.PASS), interrupted=True, not_run=("maps",))
    document = saved(wanted, tmp_path)
    assert (document["complete"], document["exit_code"]) == (False, 2)
    assert record.read(tmp_path) == wanted


def test_strict_settings_turn_a_warning_into_exit_code_one(tmp_path):
    wanted = audit(predictions(Verdict.WARN))
    assert saved(wanted, tmp_path)["exit_code"] == 0
    strict = replace(wanted, provenance=replace(wanted.provenance, settings={"strict": True}))
    assert saved(strict, tmp_path)["exit_code"] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_survive_strict_json(tmp_path, value):
    found = Finding("a.b", Verdict.ERROR, "no number", value=value)
    record.save(audit(Result("a", "?", (found, Table("t", "", ("x",), ((value,),))))), tmp_path)
    assert "NaN" not in (tmp_path / "audit.json").read_text().replace('"NaN"', "")
    finding, table = record.read(tmp_path).results[0].evidence
    assert repr(finding.value) == repr(table.rows[0][0]) == repr(value)


def test_the_same_audit_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        record.save(audit(), tmp_path / name)
    first, second = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()} for d in tmp_path.iterdir()
    )
    assert first == second


def test_equal_titles_get_names_of_their_own(tmp_path):
    figures = tuple(Figure("Same", "", photo(size)) for size in (8, 16, 24))
    document = saved(audit(Result("a", "?", figures)), tmp_path)
    files = [piece["file"] for piece in document["results"][0]["evidence"]]
    assert files == [f"evidence/a/same{n}.jpg" for n in ("", "-2", "-3")]
    assert record.read(tmp_path).results[0].evidence == figures


@pytest.mark.parametrize("text", HOSTILE)
def test_no_title_leads_out_of_the_evidence_folder(tmp_path, text):
    record.save(hostile(text), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"audit.json", "evidence"}
    assert record.read(tmp_path) == hostile(text)


def test_a_folder_without_a_record_is_no_report(tmp_path):
    with pytest.raises(OutputError, match=r"is not a report: it has no readable audit\.json"):
        record.read(tmp_path)


DAMAGED = ["", "{", "[]", "null", "\x00", "[" * 100_000, '{"schema": true}', '{"schema": 1}']
DAMAGED += ['{"a": ' * 400 + "1" + "}" * 400, '{"schema": 1' + 400 * "0" + "}", '{"schema": 1' + 9000 * "0" + "}"]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_json_is_one_line(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(OutputError) as caught:
        record.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_schema_number_is_named(tmp_path):
    (tmp_path / "audit.json").write_text('{"schema": 7}')
    with pytest.raises(OutputError, match="schema is 7, but this version of auditor reads schema 1"):
        record.read(tmp_path)


def test_a_missing_picture_is_named(tmp_path):
    record.save(audit(maps()), tmp_path)
    (tmp_path / "evidence/maps/a-map.png").unlink()
    with pytest.raises(OutputError, match=r"the picture evidence/maps/a-map\.png of .* is missing"):
        record.read(tmp_path)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "audit.json", "evidence/../../secret.png"])
def test_a_picture_outside_the_report_is_never_read(tmp_path, path):
    report = tmp_path / "report"
    report.mkdir()
    (tmp_path / "secret.png").write_bytes(photo())
    document = saved(audit(maps()), report)
    document["results"][0]["evidence"][0]["file"] = path
    (report / "audit.json").write_text(json.dumps(document))
    with pytest.raises(OutputError, match="outside evidence"):
        record.read(report)


def places(value, path=()):
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(inner, (*path, key))


def test_any_single_wrong_value_is_read_as_something_or_refused_with_its_place(tmp_path):
    document = saved(audit(), tmp_path)
    for path in places(document):
        for wrong in (None, "\x00", -1.5, [None], {"number": "NaN"}):
            changed = json.loads(json.dumps(document))
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = wrong
            (tmp_path / "audit.json").write_text(json.dumps(changed))
            with suppress(OutputError):
                record.read(tmp_path)


def test_fields_that_a_reader_does_not_know_are_passed_over(tmp_path):
    document = saved(audit(), tmp_path)
    document["new"] = document["provenance"]["new"] = document["results"][0]["new"] = {"a": 1}
    VALIDATOR.validate(document)
    (tmp_path / "audit.json").write_text(json.dumps(document))
    assert record.read(tmp_path) == audit()


def test_what_pictures_are_about_and_their_roles_come_back(tmp_path):
    record.save(full(), tmp_path)
    VALIDATOR.validate(json.loads((tmp_path / "audit.json").read_text()))
    assert record.read(tmp_path) == full()


@pytest.mark.parametrize("methods", [3, "gradient", [1]])
def test_methods_that_are_no_texts_are_refused(tmp_path, methods):
    record.save(audit(maps()), tmp_path)
    whole = json.loads((tmp_path / "audit.json").read_text())
    whole["results"][0]["evidence"][1]["methods"] = methods
    (tmp_path / "audit.json").write_text(json.dumps(whole))
    with pytest.raises(OutputError, match="methods"):
        record.read(tmp_path)


@pytest.mark.parametrize("about", [3, ["image"], {"image": 3}])
def test_about_that_is_no_text_is_refused(tmp_path, about):
    record.save(audit(maps()), tmp_path)
    whole = json.loads((tmp_path / "audit.json").read_text())
    whole["results"][0]["evidence"][1]["about"] = about
    (tmp_path / "audit.json").write_text(json.dumps(whole))
    with pytest.raises(OutputError, match="about"):
        record.read(tmp_path)
