"""An audit made in one language is rendered in another: its texts are made again from what audit.json keeps."""

import json
from dataclasses import replace

import pytest

from auditor import plugins, report
from auditor.config.settings import Settings
from auditor.errors import UsageError
from auditor.language import Message, _, again, joined, many, numeral, speaking
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.report import record
from auditor.report.translation import in_language, restored
from auditor.results import Figure, Finding, Gallery, Table
from auditor.runner import run
from tests.report.sample_audits import audit as sample

CHECKS = plugins.load().checks
QUICK = {"synthesis": {"steps": 2, "natural_steps": 2, "copies": 2, "trigger": False}, "trust": {"depths": 1}}


def audited(small, photographs, language, *names):
    asked = Settings(
        small.checkpoint,
        str(photographs),
        arch=small.arch,
        preprocess=small.preprocess,
        samples=3,
        lang=language,
        options=QUICK,
    )
    return run(asked, Plugins(checks={name: CHECKS[name] for name in names}), Silent()).audit


def texts(audit):
    """Yield every text of an audit that a reader sees, but for what is drawn in pictures."""
    for result in audit.results:
        yield from (result.question, result.guide, result.source)
        yield from (text for facts in result.rules.values() for text in (facts.summary, facts.measured, facts.advice))
        for piece in result.evidence:
            match piece:
                case Finding():
                    yield from (piece.rule, piece.message, piece.detail)
                case Figure():
                    yield from (piece.title, piece.caption, piece.alt)
                case Gallery():
                    yield from (piece.title, piece.caption)
                    yield from (text for item in piece.items for text in (item.label, item.alt))
                case Table():
                    yield from (piece.title, piece.caption, *piece.columns)
                    yield from (str(cell) for row in piece.rows for cell in row)


CHEAP = ("checkpoint", "data", "predictions", "weights", "filters", "activations", "patches", "saliency")
DEAR = ("preprocess", "occlusion", "trust", "shortcut", "synthesis")


@pytest.mark.parametrize("names", [CHEAP, pytest.param(DEAR, marks=pytest.mark.slow)], ids=["cheap", "dear"])
def test_a_translated_audit_says_what_one_made_in_that_language_says(small, photographs, tmp_path, names):
    record.save(audited(small, photographs, "en", *names), tmp_path)
    translated = in_language(record.read(tmp_path), "fr")
    french = audited(small, photographs, "fr", *names)
    differing = [(one, other) for one, other in zip(texts(translated), texts(french), strict=True) if one != other]
    assert differing == []


def test_a_message_is_made_again_from_its_values_and_those_within_it():
    with speaking("en"):
        said = _("{name}: {text}", name="conv1", text=many("{count} image", "{count} images", 1200))
        whole = joined(said, "", numeral(0.5, ".1%"))
    assert whole == "conv1: 1,200 images 50.0 %"
    with speaking("fr"):
        assert again(whole) == joined(
            _("{name}: {text}", name="conv1", text=many("{count} image", "{count} images", 1200)), numeral(0.5, ".1%")
        )
        assert again("conv1") == "conv1"


def test_recipes_survive_the_file(tmp_path):
    finding = Finding("a.b", sample().verdict, many("{count} image", "{count} images", 2), detail=_("unnamed"))
    result = replace(sample().results[0], evidence=(finding,), question=_("unnamed"))
    record.save(replace(sample(), results=(result,)), tmp_path)
    found = record.read(tmp_path).results[0].findings[0]
    assert isinstance(found.message, Message)
    assert found.message.recipe == {"one": "{count} image", "more": "{count} images", "count": 2, "values": {}}
    files = report.render(tmp_path, formats=("html",), language="fr")
    assert _in_french("unnamed") in files["html"].read_text(encoding="utf-8")


def _in_french(text):
    with speaking("fr"):
        return str(_(text))


def test_an_audit_without_recipes_is_refused_in_another_language(tmp_path):
    record.save(sample(), tmp_path)
    document = json.loads((tmp_path / "audit.json").read_text())
    del document["translation"]
    (tmp_path / "audit.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="audit again with --lang fr"):
        report.render(tmp_path, formats=("html",), language="fr")


DEEP = {"text": "x", "recipe": {"id": "{name}: {text}", "values": {}}}
for _depth in range(30):
    DEEP = {"text": "x", "recipe": {"id": "{name}: {text}", "values": {"name": "x", "text": DEEP}}}


@pytest.mark.parametrize(
    "recipe",
    [
        {"id": "{x.__class__.__mro__}", "values": {"x": "a"}},
        {"id": "{x:99999999999}", "values": {"x": "a"}},
        {"id": "{name}: {text}", "values": {"name": "a"}},
        {"id": "{name}: {text}", "values": []},
        {"id": ["{name}: {text}"], "values": {}},
        {"one": "{count} image", "more": "{count} images", "count": "many", "values": {}},
        {"value": 1.0, "spec": "99999999999d"},
        {"parts": "abc", "between": " "},
        {"parts": [1, None], "between": 3},
        DEEP,
        None,
        [],
        7,
    ],
)
def test_a_recipe_that_is_none_of_ours_leaves_the_text(recipe):
    whole = {"results": [{"question": "as it was"}]}
    whole["translation"] = {"recipes": [recipe], "places": {json.dumps(["results", 0, "question"]): 0}}
    found = restored(whole)["results"][0]["question"]
    with speaking("fr"):
        assert again(found) == "as it was"


@pytest.mark.parametrize(
    "place", ["[", "3", "[]", '["nothing"]', '["list", 9]', '["list", 0, 0]', '[["message"]]', "null"]
)
def test_a_place_that_is_not_there_is_ignored(place):
    document = {
        "message": "a",
        "list": ["b"],
        "translation": {"recipes": [{"id": "c", "values": {}}], "places": {place: 0}},
    }
    assert restored(document)["list"] == ["b"]


@pytest.mark.parametrize(
    "place",
    [
        ["provenance", "checkpoint", "sha256"],
        ["provenance", "checkpoint", "name"],
        ["results", 0, "check"],
        ["results", 0, "evidence", 0, "rule"],
        ["results", 0, "evidence", 0, "subject"],
        ["results", 0, "evidence", 0, "verdict"],
    ],
)
def test_a_recipe_changes_no_names_digests_or_rules(tmp_path, place):
    record.save(sample(), tmp_path)
    document = json.loads((tmp_path / "audit.json").read_text())
    recipe = {"id": "{name}: {text}", "values": {"name": "deadbeef", "text": "x"}}
    document["translation"] = {"recipes": [recipe], "places": {json.dumps(place): 0}}
    assert "deadbeef" not in json.dumps(document["results"])
    found = restored(document)
    for step in place:
        found = found[step]
    with speaking("fr"):
        assert "deadbeef" not in again(found)


@pytest.mark.parametrize("recipe", [{"value": 10**400, "spec": ".2f"}, {"parts": [5], "between": " "}])
def test_a_number_that_overflows_and_parts_that_are_no_texts_leave_the_text(recipe):
    with speaking("fr"):
        assert again(Message("as it was", recipe)) == "as it was"
