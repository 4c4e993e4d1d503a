"""Two audits made by hand, compared: what is reported, and what is not attributed to the network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from auditor import report
from auditor.comparison import DECLARED, Pair, Source, compared, read, resolved
from auditor.comparison.changes import Kind, changes
from auditor.comparison.metrics import Metric
from auditor.config.relative_limits import clipped, is_relative, relative, rule_of
from auditor.config.settings import load
from auditor.errors import OutputError, PluginError, UsageError
from auditor.plugins import built_in, collected
from auditor.results import (
    Answer,
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    Exit,
    Finding,
    LayerFacts,
    Provenance,
    Recorded,
    Result,
    Table,
    Verdict,
)

SKIP, INFO, PASS, WARN, FAIL = Verdict.SKIP, Verdict.INFO, Verdict.PASS, Verdict.WARN, Verdict.FAIL
CLASSES = ("cat", "dog", "fox")
CHECKS = collected(built_in()).checks
RULES = {name: rule for check in CHECKS.values() for name, rule in check.rules.items()}


def audit(*findings, answers=(), silent=None, images=60, data=None, **facts):
    """Return an audit with these findings, each in the section of its check."""
    found = findings or (finding(PASS, 0.9),)
    names = dict.fromkeys(f.rule.partition(".")[0] for f in found)
    sections = tuple(Result(n, "Is it?", tuple(f for f in found if f.rule.startswith(f"{n}."))) for n in names)
    about = Provenance(
        CheckpointFacts("net.pt", "ab" * 32, 100),
        ArchitectureFacts("net", "file", 9, (LayerFacts("conv1", "Conv2d", (50, 8, 8)),)),
        data or DataFacts(images, CLASSES, (), "cd" * 32, "photos", True),
        versions={"auditor": "0.1.0"},
        started="2026-01-02T03:04:05+00:00",
        **facts,
    )
    return Audit(about, sections, recorded=Recorded(tuple(answers), silent or {}))


def finding(verdict, value=None, *, rule="predictions.accuracy", limit=None, **more):
    return Finding(rule, verdict, f"{value} was found", value=value, limit=limit, **more)


def answers(wrong=(), *, images=60, sure=0.8):
    """Return the answers of a network that is wrong on these images."""
    rows = []
    for i in range(images):
        label = i % 3
        answer = (label + 1) % 3 if i in wrong else label
        rows.append(Answer(f"{CLASSES[label]}/{i}.png", f"{i:012x}", label, answer, sure))
    return rows


def pair(before, after):
    return Pair(Source(before, "before"), Source(after, "after"), RULES)


def found_by(before, after, rule, subject=None, **options):
    done = compared(pair(before, after), options)
    found = [f for f in done.findings if f.rule == f"baseline.{rule}" and subject in (None, f.subject)]
    return found[0] if found else None


def kinds(before, after):
    return [(change.kind, change.shown.rule, change.shown.subject) for change in changes(before, after, RULES)]


def table(done, title):
    return next(e for r in done.results for e in r.evidence if isinstance(e, Table) and e.title == title)


# --- findings


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (finding(PASS, 0.9, limit=0.8), finding(FAIL, 0.7, limit=0.8), Kind.WORSE),
        (finding(WARN, 0.7, limit=0.8), finding(FAIL, 0.5, limit=0.6), Kind.WORSE),
        (finding(FAIL, 0.7, limit=0.8), finding(PASS, 0.9, limit=0.8), Kind.BETTER),
        (finding(PASS, 0.8001, limit=0.8), finding(FAIL, 0.7999, limit=0.8), Kind.EDGE),
        (finding(PASS, 0.9), finding(PASS, 0.88), Kind.DRIFTED),
        (finding(PASS, 0.9), finding(PASS, 0.8999), None),
        (finding(PASS, 0.9), finding(SKIP), Kind.UNJUDGED),
        (finding(WARN, 0.9), finding(SKIP), Kind.UNJUDGED),
        (finding(SKIP), finding(WARN, 0.9), Kind.NEW),
        (finding(SKIP), finding(PASS, 0.9), None),
        (finding(INFO, 0.9), finding(PASS, 0.9), None),
        (finding(PASS, 0.9), finding(Verdict.ERROR, float("nan")), Kind.WORSE),
        (finding(FAIL, subject="cat"), finding(FAIL, subject="cat"), None),
    ],
)
def test_says_what_became_of_a_finding(before, after, kind):
    assert [k for k, *_ in kinds(audit(before), audit(after))] == ([kind] if kind else [])


def test_a_class_that_is_lost_is_new_and_one_that_is_found_is_gone():
    rule = "predictions.collapsed"
    before = audit(finding(FAIL, 0, rule=rule, subject="cat"))
    after = audit(finding(FAIL, 0, rule=rule, subject="dog"))
    assert kinds(before, after) == [(Kind.NEW, rule, "dog"), (Kind.GONE, rule, "cat")]


def test_another_example_file_is_the_same_finding():
    rule = "saliency.vanishing"
    before = audit(finding(WARN, 0.3, rule=rule, subject="cat/1.png"))
    after = audit(finding(WARN, 0.3, rule=rule, subject="dog/7.png"))
    assert kinds(before, after) == []


def test_the_worst_layer_that_passes_is_an_example_too():
    rule = "activations.dead"
    before = audit(finding(PASS, 0.0, rule=rule, subject="conv2"))
    after = audit(finding(WARN, 0.2, rule=rule, subject="conv1"))
    assert kinds(before, after) == [(Kind.WORSE, rule, "conv1")]


def test_another_limit_is_not_blamed_on_the_network():
    before = audit(finding(PASS, 0.85, limit=0.8), settings={"options": {"predictions": {"accuracy_fail": 0.8}}})
    after = audit(finding(FAIL, 0.85, limit=0.9), settings={"options": {"predictions": {"accuracy_fail": 0.9}}})
    assert [kind for kind, *_ in kinds(before, after)] == [Kind.LIMIT]
    assert found_by(before, after, "findings").verdict is PASS
    assert "predictions.accuracy_fail" in found_by(before, after, "data", "settings").detail


def test_a_failure_of_another_kind_on_the_same_number_is_worse():
    """No class is lost: 0 classes of 0. One is: its recall is 0, and 0 is too little."""
    rule = "predictions.collapsed"
    before = audit(finding(PASS, 0, rule=rule, unit="classes", limit=0))
    after = audit(finding(FAIL, 0.0, rule=rule, subject="cat", limit=0.0))
    assert kinds(before, after) == [(Kind.WORSE, rule, "cat")]


def test_a_failure_on_a_value_that_is_the_limit_in_both_is_worse():
    assert kinds(audit(finding(WARN, 0.5, limit=0.5)), audit(finding(FAIL, 0.5, limit=0.5)))[0][0] is Kind.WORSE


def test_another_level_is_not_blamed_on_the_network():
    before, after = (
        audit(finding(WARN, 0.7)),
        audit(finding(FAIL, 0.7), settings={"levels": {"predictions.accuracy": "fail"}}),
    )
    assert [kind for kind, *_ in kinds(before, after)] == [Kind.LIMIT]


def test_a_check_that_ran_only_once_is_not_new_and_not_gone():
    weights = finding(FAIL, 3, rule="weights.nonfinite", unit="tensors")
    assert kinds(audit(finding(PASS, 0.9)), audit(finding(PASS, 0.9), weights))[0][0] is Kind.FIRST
    assert kinds(audit(finding(PASS, 0.9), weights), audit(finding(PASS, 0.9)))[0][0] is Kind.NOT_RUN


def test_a_check_that_skips_now_is_no_longer_judged():
    before, after = audit(finding(PASS, 0.9)), audit(finding(SKIP, rule="predictions.skipped"))
    assert [kind for kind, *_ in kinds(before, after)] == [Kind.UNJUDGED]
    assert found_by(before, after, "findings").verdict is WARN


@pytest.mark.parametrize(("verdict", "code"), [(WARN, Exit.OK), (FAIL, Exit.FAILED), (Verdict.ERROR, Exit.FAILED)])
def test_a_new_failure_costs_the_exit_code(verdict, code):
    before, after = audit(finding(PASS, 0.9)), audit(finding(PASS, 0.9), finding(verdict, rule="predictions.nonfinite"))
    assert compared(pair(before, after)).exit_code() is code


def test_a_failure_that_was_there_before_costs_nothing():
    both = audit(finding(FAIL, 0.5, limit=0.8))
    assert compared(pair(both, both)).exit_code() is Exit.OK


# --- numbers


@pytest.mark.parametrize(
    ("metric", "before", "after", "differ", "worse"),
    [
        (Metric(0.01), 0.10, 0.11, False, False),
        (Metric(0.01), 0.10, 0.12, True, True),
        (Metric(0.01, higher=True), 0.10, 0.12, True, False),
        (Metric(0.01, higher=None), 0.10, 0.12, True, False),
        (Metric(0.01, relative=True), 1000, 1009, False, False),
        (Metric(0.0), 3, 3.0000000001, False, False),
        (Metric(0.0), 3, 4, True, True),
        (Metric(0.1), float("nan"), float("nan"), False, False),
        (Metric(0.1), 0.5, float("nan"), True, True),
        (Metric(0.1), float("inf"), float("inf"), False, False),
        (Metric(0.1), 1.0, float("inf"), True, True),
    ],
)
def test_two_numbers_are_the_same_within_their_tolerance(metric, before, after, differ, worse):
    assert metric.differ(before, after) is differ
    assert metric.is_worse(before, after) is worse


# --- answers


def test_identical_audits_pass():
    both = audit(answers=answers(wrong=range(7)), silent={"conv1": (3,)})
    done = compared(pair(both, both))
    assert done.verdict is PASS
    assert {f.verdict for f in done.findings if f.verdict > PASS} == set()
    assert found_by(both, both, "accuracy").value == 0
    assert found_by(both, both, "calibration").value == 0


def test_a_loss_that_chance_does_not_explain_warns():
    found = found_by(audit(answers=answers()), audit(answers=answers(wrong=range(12))), "accuracy")
    assert (found.verdict, found.value, found.n) == (WARN, -12 / 60, 60)
    assert found.interval[0] < -0.2 < found.interval[1] < 0
    assert "12 lost and 0 gained (McNemar p < 0.001)" in found.message


def test_a_loss_that_chance_explains_does_not():
    found = found_by(audit(answers=answers(wrong=[30])), audit(answers=answers(wrong=range(5))), "accuracy")
    assert found.verdict is PASS
    assert "5 lost and 1 gained" in found.message


def test_a_gain_is_no_warning():
    assert found_by(audit(answers=answers(wrong=range(12))), audit(answers=answers()), "accuracy").verdict is PASS


def test_a_loss_within_the_tolerance_passes():
    before, after = audit(answers=answers()), audit(answers=answers(wrong=range(12)))
    assert found_by(before, after, "accuracy", drop=0.25).verdict is PASS


def test_a_class_that_is_lost_is_named_and_the_others_are_not():
    cats = [i for i in range(60) if i % 3 == 0]
    done = compared(pair(audit(answers=answers()), audit(answers=answers(wrong=cats))))
    named = [f.subject for f in done.findings if f.rule == "baseline.accuracy" and f.subject]
    assert named == ["cat"]
    rows = table(done, "Accuracy per class").rows
    assert rows[0][:6] == ("cat", 20, "100.0 %", "0.0 %", "−100.0 %", "−100 to −77")
    assert rows[1][4] == "0.0 %"


def test_classes_are_corrected_for_their_number():
    cats = [i for i in range(60) if i % 3 == 0][:6]  # p = 0.03 alone, 0.09 of three
    done = compared(pair(audit(answers=answers()), audit(answers=answers(wrong=cats))))
    assert [f.subject for f in done.findings if f.rule == "baseline.accuracy" and f.subject] == []
    assert table(done, "Accuracy per class").rows[0][-1] == "0.094"


def test_images_of_the_same_name_and_other_contents_are_left_out():
    other = [answer._replace(digest="f" * 12) if i < 4 else answer for i, answer in enumerate(answers())]
    found = found_by(
        audit(answers=answers()), audit(answers=[*other, answers()[0]._replace(file="more.png")]), "answers"
    )
    assert found.n == 56
    assert found.detail == "Images left out: 1 not in the baseline, 4 with the same name but different contents."


def test_answers_are_matched_by_the_names_of_classes():
    turned = DataFacts(60, CLASSES[::-1], (), "cd" * 32, "photos", True)
    mirrored = [a._replace(label=2 - a.label, answer=2 - a.answer) for a in answers()]
    before, after = audit(answers=answers()), audit(answers=mirrored, data=turned)
    assert found_by(before, after, "answers").value == 1
    assert found_by(before, after, "accuracy").value == 0
    assert found_by(before, after, "data", "classes").verdict is WARN


def test_images_without_a_label_are_compared_by_their_answers_alone():
    blank = [answer._replace(label=None) for answer in answers()]
    assert found_by(audit(answers=blank), audit(answers=blank), "answers").value == 1
    assert found_by(audit(answers=blank), audit(answers=blank), "accuracy").verdict is SKIP


def test_a_score_that_is_not_a_number_is_no_correct_prediction():
    broken = [a._replace(answer=None, confidence=0.0) if i < 12 else a for i, a in enumerate(answers())]
    assert found_by(audit(answers=answers()), audit(answers=broken), "accuracy").value == -12 / 60
    assert found_by(audit(answers=answers()), audit(answers=broken), "calibration").n == 48


def test_a_network_that_became_overconfident_warns():
    right = answers(wrong=range(0, 60, 5))
    found = found_by(audit(answers=right), audit(answers=[a._replace(confidence=0.99) for a in right]), "calibration")
    assert found.verdict is WARN
    assert found.value == pytest.approx(0.19)


@pytest.mark.parametrize("rule", ["accuracy", "calibration"])
def test_too_few_images_are_skipped_with_the_reason(rule):
    few = audit(answers=answers(images=19), images=19)
    found = found_by(few, few, rule)
    assert found.verdict is SKIP
    assert "19 images" in found.message


@pytest.mark.parametrize("rule", ["accuracy", "calibration", "dead", "explanations"])
def test_an_old_audit_without_what_is_needed_is_skipped_with_the_reason(rule):
    found = found_by(audit(), audit(answers=answers(), silent={"conv1": ()}), rule)
    assert found.verdict is SKIP
    assert found.message


# --- channels, images, settings


def test_newly_dead_channels_are_named():
    before, after = audit(silent={"conv1": (3, 4)}), audit(silent={"conv1": (4, 7, 8, 9)})
    found = found_by(before, after, "dead")
    assert (found.verdict, found.subject, found.value) == (WARN, "conv1", 2 / 50)
    assert found.detail == "Newly dead channels: 7, 8, 9"
    rows = table(compared(pair(before, after)), "Newly dead channels").rows
    assert rows == (("conv1", 50, 2, 4, "7, 8, 9"),)


def test_as_many_dead_channels_as_before_pass():
    found = found_by(audit(silent={"conv1": (3,)}), audit(silent={"conv1": (4,)}), "dead")
    assert found.verdict is PASS
    assert "1 newly dead, 1 active again" in found.message


def test_a_layer_of_another_width_is_not_compared():
    after = audit(silent={"conv1": (1, 2)})
    wider = ArchitectureFacts("net", "file", 9, (LayerFacts("conv1", "Conv2d", (64, 8, 8)),))
    after = replace(after, provenance=replace(after.provenance, architecture=wider))
    assert found_by(audit(silent={"conv1": ()}), after, "dead").verdict is SKIP
    assert "64 x 8 x 8" in found_by(audit(), after, "data", "network").detail


@pytest.mark.parametrize(
    ("subject", "verdict", "change"),
    [
        ("preprocessing", WARN, {"preprocess": {"resize": 64}}),
        ("settings", INFO, {"seed": 1}),
        ("settings", INFO, {"settings": {"amp": True}}),
        ("tools", INFO, {"device": "cuda"}),
        ("images", WARN, {"data": DataFacts(61, CLASSES, (), "ee" * 32, "photos", True)}),
    ],
)
def test_reports_what_else_differs(subject, verdict, change):
    assert found_by(audit(), audit(**change), "data", subject).verdict is verdict
    assert found_by(audit(), audit(), "data", subject).verdict is PASS


def test_reports_that_an_audit_stopped_early():
    early = replace(audit(), not_run=("weights",))
    assert found_by(early, audit(), "data", "the baseline").verdict is WARN


# --- maps


def save(folder, recorded, seed=None, classes=(0, 1)):
    random = np.random.default_rng(seed)
    report.write(audit(finding(PASS, 0.1, rule="saliency.vanishing"), answers=recorded), folder, formats=["json"])
    (folder / "arrays").mkdir()
    maps = {}
    for name in ("cat/0.png", "dog/1.png"):
        maps[f"{name}/classes"] = np.array(classes)
        maps[f"{name}/gradient"] = random.normal(size=(len(classes), 3, 9, 9)).astype(np.float32)
        maps[f"{name}/grad_cam"] = random.random((len(classes), 5, 5)).astype(np.float32)
    save_file(maps, folder / "arrays" / "saliency.safetensors")
    return read(folder)


def test_maps_of_the_same_class_and_image_are_compared(tmp_path):
    one, same, other = (save(tmp_path / n, answers(), seed) for n, seed in (("a", 0), ("b", 0), ("c", 1)))
    found = [f for f in compared(Pair(one, same)).findings if f.rule == "baseline.explanations"]
    assert [(f.verdict, f.value, f.n) for f in found] == [(INFO, 1, 2), (PASS, 1, 2)] or {f.value for f in found} == {1}
    assert max(f.verdict for f in compared(Pair(one, other)).findings if f.rule == "baseline.explanations") is WARN


def test_maps_of_other_classes_or_other_images_are_not(tmp_path):
    one, two = save(tmp_path / "a", answers(), 0), save(tmp_path / "b", answers(), 0, classes=(2,))
    assert found_by(one.audit, two.audit, "explanations").verdict is SKIP
    changed = [answer._replace(digest="f" * 12) for answer in answers()]
    three = save(tmp_path / "c", changed, 0)
    found = [f for f in compared(Pair(one, three)).findings if f.rule == "baseline.explanations"]
    assert [f.verdict for f in found] == [SKIP]


def test_damaged_arrays_cost_only_their_part(tmp_path):
    one, two = save(tmp_path / "a", answers(), 0), save(tmp_path / "b", answers(), 0)
    (tmp_path / "b" / "arrays" / "saliency.safetensors").write_bytes(b"\xff" * 100)
    done = compared(Pair(one, two))
    assert [f.verdict for f in done.findings if f.rule == "baseline.explanations"] == [SKIP]


# --- reading


def test_reads_a_folder_or_its_file_under_any_name(tmp_path):
    report.write(audit(answers=answers()), tmp_path / "report", formats=["json"])
    assert report.read(tmp_path / "report").recorded == Recorded(tuple(answers()))
    renamed = (tmp_path / "report" / "audit.json").rename(tmp_path / "monday.json")
    assert read(renamed).audit.recorded.answers == tuple(answers())
    with pytest.raises(OutputError, match=r"is not a report: it has no audit\.json"):
        read(tmp_path / "report")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[1", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[1]", "not an object"),
        ("{}", "schema is missing"),
        ('{"schema": 2}', "this version of auditor reads schema 1"),
        ('{"schema": 1}', "provenance is missing"),
    ],
)
def test_refuses_what_is_no_audit(tmp_path, text, message):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(OutputError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    "row", ["1", "[]", '["a", "b", 0, 0]', '[1, "b", 0, 0, 0.5]', '["a", "b", 9, 0, 0.5]', '["a", "b", 0, true, 0.5]']
)
def test_refuses_answers_that_are_none(tmp_path, row):
    report.write(audit(answers=answers(images=1)), tmp_path, formats=["json"])
    text = (tmp_path / "audit.json").read_text()
    line = '["cat/0.png", "000000000000", 0, 0, 0.8]'
    assert line in text
    (tmp_path / "audit.json").write_text(text.replace(line, row))
    with pytest.raises(OutputError, match=r"recorded\.answers\[0\]"):
        read(tmp_path)


def test_refuses_a_comparison_as_a_baseline(tmp_path):
    report.write(compared(pair(audit(), audit())), tmp_path, formats=["json"])
    with pytest.raises(OutputError, match="give the report of one of them"):
        read(tmp_path)


# --- limits


@pytest.mark.parametrize(
    ("text", "limit"),
    [("baseline", 0.9), ("baseline - 0.01", 0.89), ("baseline+.05", 0.95), (" baseline * 1.1 ", 0.99)],
)
def test_a_limit_is_reckoned_from_the_baseline(text, limit):
    assert is_relative(text)
    assert relative("x", text).of(0.9) == pytest.approx(limit)


@pytest.mark.parametrize(
    "text", ["baseline / 2", "baseline -", "baseline - -1", "baselines", "baseline - 1e", "2 * baseline"]
)
def test_another_form_is_refused(text):
    with pytest.raises(UsageError, match=r"baseline - 0\.01|has to be"):
        load(Path("net.pt"), {"checks": {"predictions": {"accuracy_fail": text}}}, checks=CHECKS)


def test_a_limit_stays_within_the_range_of_its_option():
    kind = CHECKS["predictions"].options["accuracy_fail"].type
    assert clipped(1.2, kind) == 1
    assert clipped(-0.1, kind) == 0
    assert clipped(0.5, kind) == 0.5


def test_options_and_rules_belong_together_by_their_names():
    assert rule_of("predictions", "accuracy_fail", CHECKS["predictions"].rules) == "predictions.accuracy"
    assert rule_of("mirror", "warn", ["mirror.changed"]) == "mirror.changed"
    for option in ("few", "mistakes", "warn", "nothing_warn"):
        with pytest.raises(UsageError, match="can't be relative"):
            rule_of("predictions", option, CHECKS["predictions"].rules)


@pytest.mark.parametrize(
    "limit",
    [
        "predictions.accuracy_warn",
        "predictions.accuracy_fail",
        "predictions.calibration_warn",
        "activations.dead_warn",
        "activations.dead_fail",
        "activations.saturated_warn",
        "filters.dead_warn",
        "filters.duplicate_warn",
        "patches.dead_warn",
        "patches.dead_fail",
        "patches.duplicate_warn",
        "patches.corner_warn",
        "saliency.vanishing_warn",
        "saliency.blind_warn",
        "occlusion.insensitive_warn",
        "occlusion.fill_warn",
        "trust.randomization_warn",
        "trust.faithfulness_warn",
    ],
)
def test_the_limits_of_the_built_in_checks_can_be_relative(limit):
    check, option = limit.split(".")
    assert option in CHECKS[check].options
    assert rule_of(check, option, CHECKS[check].rules) in RULES


def settled(text, baseline, option="accuracy_fail", check="predictions"):
    settings = load(Path("net.pt"), {"checks": {check: {option: text}}}, checks=CHECKS)
    chosen, notes = resolved(settings, [CHECKS[check]], baseline)
    return chosen.options[check][option], notes


def test_a_limit_becomes_a_number_and_is_noted():
    value, notes = settled("baseline - 0.01", Source(audit(finding(PASS, 0.9)), "monday"))
    assert value == pytest.approx(0.89)
    assert notes == ("predictions.accuracy_fail is baseline - 0.01, which is 0.89",)


def test_of_several_layers_the_worst_counts():
    layers = [finding(WARN, v, rule="activations.dead", subject=f"conv{v}") for v in (0.2, 0.4, 0.3)]
    assert settled("baseline", Source(audit(*layers)), "dead_warn", "activations")[0] == 0.4


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (None, "give --baseline PATH"),
        (Source(audit(finding(SKIP)), "monday"), "None was found"),
        (Source(audit(finding(PASS, 1, rule="weights.constant")), "monday"), "its check did not run"),
        (Source(audit(finding(PASS, 1, rule="predictions.softmax")), "monday"), "without judging this rule"),
    ],
)
def test_a_limit_without_its_value_is_refused_with_what_to_do(baseline, message):
    with pytest.raises(UsageError, match=message):
        settled("baseline - 0.01", baseline)


def test_limits_of_checks_that_do_not_run_need_no_baseline():
    settings = load(Path("net.pt"), {"checks": {"predictions": {"accuracy_fail": "baseline"}}}, checks=CHECKS)
    assert resolved(settings, [CHECKS["weights"]], None)[1] == ()


def test_the_comparison_takes_options_and_levels_as_a_check_does():
    table = {"checks": {"baseline": {"drop": "0.01"}}, "levels": {"baseline.accuracy": "fail"}}
    settings = load(Path("net.pt"), table, checks=CHECKS, beside=DECLARED)
    before, after = audit(answers=answers()), audit(answers=answers(wrong=range(12)))
    done = compared(pair(before, after), settings.options["baseline"], settings.levels)
    assert done.exit_code() is Exit.FAILED
    with pytest.raises(UsageError, match="no check is called"):
        load(Path("net.pt"), {"check": "baseline"}, checks=CHECKS, beside=DECLARED)
    with pytest.raises(PluginError, match="is taken"):
        load(Path("net.pt"), {}, checks=DECLARED, beside=DECLARED)
