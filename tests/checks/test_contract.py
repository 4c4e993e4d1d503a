"""What every built-in check promises, on real files; a new check is tested the day it lands."""

import pytest

from auditor import plugins
from auditor.config.settings import Settings
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.results import Figure, Finding, Gallery, Table, Verdict
from auditor.runner import run
from tests.audits import result_of

CHECKS = plugins.load().checks
BY_THE_RUNNER = ("error", "skipped", "modified", "interrupted")


@pytest.fixture(scope="module")
def audit(small, photographs):
    asked = Settings(small.checkpoint, str(photographs), arch=small.arch, preprocess=small.preprocess, samples=3)
    return run(asked, Plugins(checks=CHECKS), Silent()).audit


def result(audit, name):
    (found,) = [one for one in audit.results if one.check == name]
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_documents_its_question_guide_options_and_rules(name):
    check = CHECKS[name]
    assert check.question.endswith("?")
    assert 2 <= check.guide.count(". ") + 1 <= 5
    assert check.rules
    assert all(rule.startswith(f"{name}.") for rule in check.rules)
    assert all(option.help for option in check.options.values())


@pytest.mark.parametrize("name", CHECKS)
def test_runs_on_real_files_and_finds_no_error(audit, name):
    found = result(audit, name)
    assert found.evidence
    assert not [f for f in found.findings if f.verdict is Verdict.ERROR]


@pytest.mark.parametrize("name", ["saliency", "synthesis", "trust"])
def test_runs_in_half_precision(small, photographs, name):
    quick = {"synthesis": {"steps": 2, "natural_steps": 2, "copies": 2, "trigger": False}, "trust": {"depths": 1}}
    asked = {"samples": 1, "amp": True, "arch": small.arch, "preprocess": small.preprocess}
    found = result_of(name, small.checkpoint, photographs, quick.get(name, {}), **asked)
    assert not [f for f in found.findings if f.verdict is Verdict.ERROR]


@pytest.mark.parametrize("name", CHECKS)
def test_yields_only_rules_that_it_declares(audit, name):
    declared = {*CHECKS[name].rules, *(f"{name}.{word}" for word in BY_THE_RUNNER)}
    assert {finding.rule for finding in result(audit, name).findings} <= declared


@pytest.mark.parametrize("name", CHECKS)
def test_says_what_to_do_where_it_warns_or_fails(audit, name):
    for finding in result(audit, name).findings:
        assert finding.message
        if finding.verdict in (Verdict.WARN, Verdict.FAIL):
            assert finding.detail


@pytest.mark.parametrize("name", CHECKS)
def test_pictures_carry_titles_captions_and_bytes(audit, name):
    for piece in result(audit, name).evidence:
        if isinstance(piece, Finding):
            continue
        assert piece.title
        if isinstance(piece, Figure):
            assert piece.image[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")
            assert piece.alt
        if isinstance(piece, Gallery):
            assert piece.items
            assert all(item.label for item in piece.items)
        if isinstance(piece, Table):
            assert all(len(row) == len(piece.columns) for row in piece.rows)


@pytest.mark.parametrize("name", CHECKS)
def test_says_only_of_what_there_is_that_pictures_are_about_it(audit, name):
    facts = audit.provenance
    known = {
        "image": {answer.file for answer in audit.recorded.answers},
        "class": set(facts.data.classes),
        "layer": {layer.name for layer in facts.architecture.layers},
    }
    for piece in result(audit, name).evidence:
        for kind, value in getattr(piece, "about", {}).items():
            assert value.isdecimal() if kind == "channel" else value in known[kind]


@pytest.mark.parametrize("name", CHECKS)
def test_without_images_it_is_skipped_or_does_without(small, name):
    asked = Settings(small.checkpoint, arch=small.arch, preprocess=small.preprocess)
    (found,) = run(asked, Plugins(checks={name: CHECKS[name]}), Silent()).audit.results
    assert found.evidence
    assert found.verdict is not Verdict.ERROR
