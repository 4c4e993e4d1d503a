"""A rule is declared once: a check in a folder of its own is known everywhere by that alone."""

import json
import sys
from pathlib import Path

import pytest

from auditor import Check, Finding, Rule, Verdict, plugins
from auditor.cli import catalogue
from auditor.comparison import Pair, Source, compared
from auditor.config.settings import Settings, load
from auditor.errors import PluginError
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.report import html, record, sarif
from auditor.results import Limit
from auditor.runner import run

RULES = """
from auditor import Rule, Verdict

DARK = Rule(
    "brightness.dark",
    "Images that are nearly black.",
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.02,
    fail=0.75,
    measured="An image is dark if its mean is under a tenth of full intensity.",
    advice="Look at the darkest images.",
    false_alarms="Photographs taken at night.",
    source="Made up for this test, 2026.",
    url="https://docs.example.org/brightness.dark.html",
)
"""
CHECK = '''
from auditor import Check, Context, Finding, Share, Steps, at_most

from {package}.rules import DARK


@Check.with_rules(DARK)
def brightness(context: Context, *, dark_warn: Share = 0.5) -> Steps:
    """Are the images bright enough to be seen?"""
    share = sum(sample.pixels.mean() < 0.1 for sample in context.samples) / len(context.samples)
    verdict = at_most(share, warn=dark_warn, fail=DARK.fail)
    yield Finding("brightness.dark", verdict, "images are dark", value=float(share), limit=dark_warn, n=1)
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Plugins:
    """What all plugins provide where one folder was added."""
    place = tmp_path_factory.mktemp("made-up")
    folder = place / "made_up_check"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "rules.py").write_text(RULES)
    (folder / "check.py").write_text(CHECK.format(package="made_up_check"))
    path = sys.path.copy()
    yield plugins.load(["made_up_check.check"], start=place)
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("made_up_check")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def audit(found, small, photographs):
    asked = Settings(
        small.checkpoint,
        str(photographs),
        arch=small.arch,
        preprocess=small.preprocess,
        samples=2,
        checks=("brightness",),
        options={"brightness": {"dark_warn": 0.25}},
    )
    return run(asked, found, Silent()).audit


def test_the_catalogue_describes_it(found):
    told = catalogue.rule_description(found, "brightness.dark")
    for part in ("Images that are nearly black.", "warn over 0.5 (brightness.dark_warn)", "fail over 0.75", "at night"):
        assert part in told
    assert "Images that are nearly black." in catalogue.description(found, "brightness")


def test_audit_json_has_it_with_the_limits_of_the_run(audit, tmp_path):
    record.save(audit, tmp_path)
    (result,) = json.loads((tmp_path / "audit.json").read_text())["results"]
    facts = result["rule_facts"]["brightness.dark"]
    assert facts["limits"] == [
        {"level": "warn", "value": 0.25, "option": "dark_warn"},
        {"level": "fail", "value": 0.75, "option": ""},
    ]
    assert facts["advice"] == "Look at the darkest images."
    assert record.read(tmp_path).results[0].rules == audit.results[0].rules


def test_the_page_shows_its_limits(audit):
    text = html.text(audit)
    assert "Rules and limits" in text
    assert "warning over 25 %, failure over 75 %" in text


def test_sarif_helps_with_it_and_links_its_page(audit):
    (rule,) = sarif.log(audit)["runs"][0]["tool"]["driver"]["rules"]
    assert rule["id"] == "brightness.dark"
    assert rule["helpUri"] == "https://docs.example.org/brightness.dark.html"
    assert "Look at the darkest images." in rule["help"]["text"]


@pytest.mark.parametrize(("before", "after", "told"), [(0.1, 0.115, None), (0.1, 0.2, "worse"), (0.2, 0.1, "better")])
def test_the_comparison_knows_its_tolerance_and_direction(found, audit, before, after, told):
    pair = Pair(*(Source(_with_value(audit, value)) for value in (before, after)), found.rules)
    (table,) = [
        piece
        for result in compared(pair).results
        for piece in result.evidence
        if getattr(piece, "title", "") == "Findings that changed"
    ] or [None]
    assert (table and table.rows[0][0]) == (told and f"drifted ({told})")


def test_a_limit_of_it_may_be_relative_and_its_level_may_be_set(found):
    asked = {"checks": {"brightness": {"dark_warn": "baseline + 0.1"}}, "levels": {"brightness.dark": "warn"}}
    settings = load(Path("net.pt"), asked, checks=found.checks)
    assert str(settings.options["brightness"]["dark_warn"]) == "baseline + 0.1"
    assert settings.levels == {"brightness.dark": "warn"}


def test_it_has_a_page_in_the_documentation(found, monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs" / "_ext")
    import rule_pages

    check = found.checks["brightness"]
    page = rule_pages.page(check, check.rules["brightness.dark"])
    for part in ("# brightness.dark", "| fail | over 0.75 | fixed |", "## Known false alarms", "## What to do"):
        assert part in page


def _with_value(audit, value):
    from dataclasses import replace

    finding = Finding("brightness.dark", Verdict.PASS, "images are dark", value=value, n=10)
    return replace(audit, results=(replace(audit.results[0], evidence=(finding,)),))


def test_limits_are_found_by_the_names_of_options():
    def cups(context, *, full_warn: float = 0.1, full_fail: float = 0.2, other: int = 3):
        """How full are the cups?"""
        yield

    check = Check(cups, [Rule("cups.full", "Full cups."), Rule("cups.broken", "Broken cups.", fail=0.0)])
    assert check.limits("cups.full") == (Limit("warn", 0.1, "full_warn"), Limit("fail", 0.2, "full_fail"))
    assert check.limits("cups.full", {"full_warn": None, "full_fail": 0.5}) == (Limit("fail", 0.5, "full_fail"),)
    assert check.limits("cups.broken") == (Limit("fail", 0.0),)
    assert check.limits("cups.full", {"full_warn": "auto", "full_fail": True}) == ()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["cups.full"], "no auditor.Rule"),
        ([Rule("plates.full", "Full plates.")], "its rules are named cups.WORD"),
        ([Rule("cups.full", "One."), Rule("cups.full", "Two.")], "twice"),
    ],
)
def test_a_rule_of_another_check_or_a_second_one_of_its_name_is_refused(rules, message):
    def cups(context):
        """How full are the cups?"""
        yield

    with pytest.raises(PluginError, match=message):
        Check(cups, rules)


@pytest.mark.parametrize("name", sorted(plugins.load().checks))
def test_every_built_in_rule_is_declared_whole(name):
    check = plugins.load().checks[name]
    for rule in check.rules.values():
        assert rule.summary[0].isupper()
        assert rule.summary.endswith(".")
        assert rule.url.endswith(f"/{rule.name}.html")
        judges = rule.level >= Verdict.WARN
        assert judges is (rule.basis != "information"), rule.name
        if judges:
            assert rule.advice, rule.name
        for limit in check.limits(rule.name):
            assert rule.level >= Verdict[limit.level.upper()], rule.name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", "nonsense"),
        ("better", "up"),
        ("basis", "guess"),
        ("unit", 3),
        ("warn", "0.5"),
        ("fail", float("nan")),
        ("tolerance", "a"),
        ("advice", None),
        ("url", "javascript:alert(1)"),
    ],
)
def test_a_rule_with_a_field_that_no_report_could_show_is_refused(field, value):
    with pytest.raises(PluginError, match=rf"rule 'cups.full' has {field} = "):
        Rule("cups.full", "Full cups.", **{field: value})
