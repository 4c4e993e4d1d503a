"""Each defect is planted in a sound network, and the rule made for it finds it, and nothing else does."""

import shutil
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from auditor import plugins
from auditor.config.settings import Settings
from auditor.observer import Silent
from auditor.results import Table, Verdict
from auditor.runner import run
from tests.audits import result_of

PLUGINS = plugins.load()
QUICK = "not (occlusion or synthesis or trust or shortcut)"


def audit(small, data, path, **more):
    """Audit with all checks that have tests here; the others take most of the time of a run."""
    asked = {"preprocess": small.preprocess, "samples": 3, "expression": QUICK, **more}
    settings = Settings(path, data and str(data), arch=small.arch, **asked)
    return run(settings, PLUGINS, Silent()).audit


@pytest.fixture(scope="module")
def sound(small, photographs):
    return audit(small, photographs, small.checkpoint)


def damaged(small, tmp_path, change):
    """Save the small network's state after `change` has had its way with it."""
    state = torch.load(small.checkpoint, weights_only=True)
    state = change(state) or state
    torch.save(state, tmp_path / "damaged.pt")
    return tmp_path / "damaged.pt"


@pytest.fixture(scope="module")
def with_defect(small, photographs, tmp_path_factory):
    """Return the audit of the network with a defect, which is made once."""

    @cache
    def made(change):
        return audit(small, photographs, damaged(small, tmp_path_factory.mktemp("defect"), change))

    return made


def found(audit, rule):
    return [finding for finding in audit.findings if finding.rule == rule]


def nan(state):
    state["conv2.weight"][3, 0, 1, 1] = float("nan")


def constant(state):
    state["conv2.weight"].fill_(0.1)


def dead(state):
    state["conv1.weight"][5] *= 1e-4


def copied(state):
    state["conv2.weight"][9] = 2 * state["conv2.weight"][4]
    state["conv2.bias"][9] = state["conv2.bias"][4]


def untrained(state):
    state["conv2.weight"] = torch.empty_like(state["conv2.weight"]).uniform_(-0.1, 0.1, generator=seeded())


def untrained_throughout(state):
    for name in ("conv1.weight", "conv2.weight"):
        state[name] = torch.empty_like(state[name]).normal_(generator=seeded())


def seeded():
    return torch.Generator().manual_seed(0)


def silenced(state):
    state["conv2.bias"][:9] = -1000.0


def mostly_silenced(state):
    state["conv2.bias"][:2] = -1000.0


def reset(state):
    state["bn1.running_mean"].zero_()
    state["bn1.running_var"].fill_(1)


def variances_reset(state):
    state["bn1.running_var"].fill_(1)


def lacking(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith("conv2")}


def surplus(state):
    state["conv3.weight"] = torch.zeros(2, 2)


def misshapen(state):
    state["conv2.weight"] = torch.zeros(16, 8, 1, 1)


def stuck(state):
    state["head.weight"].zero_()
    state["head.bias"].copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))


DEFECTS = [
    (nan, "weights.nonfinite", Verdict.FAIL, "conv2"),
    (constant, "weights.constant", Verdict.WARN, "conv2"),
    (dead, "filters.dead", Verdict.WARN, "conv1"),
    (copied, "filters.duplicate", Verdict.WARN, "conv2"),
    (untrained, "filters.noise", Verdict.WARN, "conv2"),
    (untrained_throughout, "filters.noise", Verdict.FAIL, ""),
    (silenced, "activations.dead", Verdict.FAIL, "conv2"),
    (mostly_silenced, "activations.dead", Verdict.WARN, "conv2"),
    (nan, "activations.nonfinite", Verdict.FAIL, "conv2"),
    (nan, "predictions.nonfinite", Verdict.FAIL, ""),
    (reset, "checkpoint.batchnorm", Verdict.FAIL, ""),
    (variances_reset, "checkpoint.batchnorm", Verdict.FAIL, ""),
    (lacking, "checkpoint.missing", Verdict.FAIL, ""),
    (surplus, "checkpoint.unexpected", Verdict.FAIL, ""),
    (misshapen, "checkpoint.shape", Verdict.FAIL, ""),
    (stuck, "predictions.collapsed", Verdict.WARN, "cat"),
    (stuck, "saliency.vanishing", Verdict.WARN, "astronaut/1.png"),
]


@pytest.mark.parametrize(("change", "rule", "verdict", "subject"), DEFECTS)
def test_a_planted_defect_is_found(with_defect, change, rule, verdict, subject):
    bad = [f for f in found(with_defect(change), rule) if f.verdict >= verdict]
    assert [(finding.verdict, finding.subject) for finding in bad] == [(verdict, subject)]


@pytest.mark.parametrize("rule", sorted({rule for _, rule, _, _ in DEFECTS}))
def test_the_sound_network_has_none_of_them(sound, rule):
    assert max(f.verdict for f in found(sound, rule)) < Verdict.WARN


def test_indices_of_copied_and_dead_filters_are_named(with_defect):
    (twin,) = found(with_defect(copied), "filters.duplicate")
    assert "4 and 9 (+1.000)" in twin.detail
    (gone,) = found(with_defect(dead), "filters.dead")
    assert "Indices: 5" in gone.detail


def test_twins_are_confirmed_by_their_outputs_where_there_are_images(small, with_defect, tmp_path):
    (seen,) = found(with_defect(copied), "filters.duplicate")
    (unseen,) = found(audit(small, None, damaged(small, tmp_path, copied)), "filters.duplicate")
    assert "(confirmed by their outputs)" in seen.message
    assert "(not confirmed by outputs)" in unseen.message


def test_kernels_that_are_alike_but_answer_differently_are_no_twins(small, tmp_path):
    """On a grey ramp only the mean of a kernel counts, which two of these have with opposite sign."""

    def alike(state):
        state["conv1.weight"][2] = torch.linspace(-1, 1, 75).view(3, 5, 5)
        state["conv1.weight"][6] = state["conv1.weight"][2] + 0.1
        state["conv1.weight"][2] -= 0.1

    (tmp_path / "data").mkdir()
    for level in (60, 130, 200):
        Image.new("RGB", (32, 32), (level, level, level)).save(tmp_path / "data" / f"{level}.png")
    path = damaged(small, tmp_path, alike)
    asked = {"filters": {"duplicate_cosine": 0.9}}
    (seen,) = found(audit(small, tmp_path / "data", path, options=asked), "filters.duplicate")
    (unseen,) = found(audit(small, None, path, options=asked), "filters.duplicate")
    assert (unseen.verdict, unseen.subject) == (Verdict.WARN, "conv1")
    assert seen.verdict is Verdict.PASS


def test_a_class_that_is_never_recognised_fails_with_its_name(small, tmp_path, random):
    for name in ("a", "b", "c", "d"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
                tmp_path / "data" / name / f"{i}.png"
            )
    path = damaged(small, tmp_path, stuck)
    lost = found(audit(small, tmp_path / "data", path), "predictions.collapsed")
    assert [(f.verdict, f.subject, f.n) for f in lost] == [(Verdict.FAIL, name, 20) for name in ("a", "c", "d")]
    assert "predicted as 'b'" in lost[0].detail


def test_folders_that_do_not_fit_fail_with_both_lists_and_the_audit_goes_on(small, photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "data")
    shutil.copytree(photographs / "cat", tmp_path / "data" / "dog")
    audited = audit(small, tmp_path / "data", small.checkpoint)
    (finding,) = found(audited, "data.classes")
    assert finding.verdict is Verdict.FAIL
    assert "dog" in finding.message
    assert [one.verdict for one in found(audited, "predictions.accuracy")] == [Verdict.SKIP]


def test_an_unreadable_file_is_listed_and_changes_nothing_else(small, photographs, tmp_path, sound):
    shutil.copytree(photographs, tmp_path / "data")
    (tmp_path / "data" / "cat" / "3x.png").write_bytes(b"\x89PNG broken")
    audited = audit(small, tmp_path / "data", small.checkpoint)
    (finding,) = found(audited, "data.unreadable")
    assert (finding.verdict, finding.value) == (Verdict.WARN, pytest.approx(1 / 25))
    assert audited.provenance.data.skipped[0][0] == "cat/3x.png"
    assert audited.provenance.data.images == 24
    assert found(audited, "predictions.accuracy") == found(sound, "predictions.accuracy")


def test_limits_on_accuracy_decide(small, photographs, tmp_path, sound):
    (plain,) = found(sound, "predictions.accuracy")
    path = damaged(small, tmp_path, stuck)
    asked = {"predictions": {"accuracy_fail": 0.5}}
    (strict,) = found(audit(small, photographs, path, options=asked), "predictions.accuracy")
    (loose,) = found(audit(small, photographs, small.checkpoint, options=asked), "predictions.accuracy")
    assert (strict.verdict, strict.value, strict.limit) == (Verdict.FAIL, 0.25, 0.5)
    assert (loose.verdict, loose.value) == (Verdict.PASS, plain.value)
    assert plain.interval[0] <= plain.value <= plain.interval[1]


def test_without_labels_the_answers_are_counted(small, photographs, tmp_path):
    for i, file in enumerate(sorted(photographs.rglob("*.png"))):
        shutil.copy(file, tmp_path / f"{i}.png")
    audited = audit(small, tmp_path, small.checkpoint)
    assert [one.verdict for one in found(audited, "predictions.accuracy")] == [Verdict.SKIP]
    assert found(audited, "data.classes")[0].verdict is Verdict.SKIP
    (result,) = [r for r in audited.results if r.check == "predictions"]
    assert [piece.title for piece in result.evidence if not hasattr(piece, "rule")] == ["Predicted classes"]


def test_assumed_preprocessing_warns(small, photographs):
    state = audit(small, photographs, small.checkpoint, preprocess=None)
    (finding,) = found(state, "preprocess.assumed")
    assert finding.verdict is Verdict.WARN
    tables = [p for r in state.results if r.check == "preprocess" for p in r.evidence if isinstance(p, Table)]
    (steps,) = [table for table in tables if table.title == "Preprocessing"]
    assert ("crop", "224 x 224") in steps.rows


def test_no_better_than_chance_warns_whatever_was_asked_for(small, photographs, tmp_path):
    path = damaged(small, tmp_path, stuck)
    asked = {"predictions": {"accuracy_fail": 0.1}}
    (finding,) = found(audit(small, photographs, path, options=asked), "predictions.accuracy")
    assert (finding.verdict, finding.value, finding.limit) == (Verdict.WARN, 0.25, 0.25)


def test_a_gradient_that_is_no_number_fails(small, photographs, tmp_path):
    audited = audit(small, photographs, damaged(small, tmp_path, nan), checks=("saliency",))
    (finding,) = found(audited, "saliency.nonfinite")
    assert (finding.verdict, finding.n) == (Verdict.FAIL, 3)


def test_scores_that_are_no_numbers_are_one_failure_and_nothing_is_explained(with_defect):
    audited = with_defect(nan)
    (cause,) = [cause for cause in audited.causes if cause.verdict is Verdict.FAIL]
    assert cause.finding.rule == "weights.nonfinite"
    assert "predictions.nonfinite" in {one.rule for one in cause.followers}
    explaining = [r for r in audited.results if r.check in ("saliency", "occlusion", "trust", "synthesis")]
    assert {result.verdict for result in explaining} == {Verdict.SKIP}


def test_a_layer_of_no_numbers_is_not_judged(small, photographs, tmp_path):
    def throughout(state):
        state["conv2.weight"].fill_(float("nan"))

    dead = found(audit(small, photographs, damaged(small, tmp_path, throughout)), "activations.dead")
    assert [f.verdict for f in dead if f.subject == "conv2"] == [Verdict.SKIP]


def test_unreadable_files_are_no_images_of_their_class(small, photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "data")
    for file in (tmp_path / "data" / "cat").iterdir():
        file.write_bytes(b"nothing")
    audited = audit(small, tmp_path / "data", small.checkpoint)
    assert found(audited, "data.classes")[0].value == 3


def test_classes_out_of_order_are_found_with_their_order(small, photographs, tmp_path):
    def turned(state):
        for name in ("head.weight", "head.bias"):
            state[name] = state[name].roll(1, 0)

    def judged(checkpoint):
        settings = {"arch": small.arch, "preprocess": small.preprocess, "samples": 3}
        result = result_of("predictions", checkpoint, photographs, {"few": 6}, **settings)
        return next(finding for finding in result.findings if finding.rule == "predictions.permuted")

    finding = judged(damaged(small, tmp_path, turned))
    assert finding.verdict is Verdict.FAIL
    assert "fits these images: rocket, astronaut, cat, coffee." in finding.detail
    assert judged(small.checkpoint).verdict is Verdict.PASS


def test_converted_statistics_are_mentioned_and_no_failure(small, photographs, tmp_path):
    def converted(state):
        state["bn1.num_batches_tracked"].zero_()

    settings = {"arch": small.arch, "preprocess": small.preprocess}
    finding = result_of("checkpoint", damaged(small, tmp_path, converted), None, {}, **settings).findings[-1]
    assert (finding.rule, finding.verdict) == ("checkpoint.batchnorm", Verdict.PASS)
    assert "The batch counter of 1 layer is zero" in finding.detail
    assert result_of("checkpoint", small.checkpoint, None, {}, **settings).findings[-1].detail == ""


def test_a_dead_channel_may_be_active_on_other_images(small, photographs, tmp_path):
    settings = {"arch": small.arch, "preprocess": small.preprocess, "samples": 2}
    found = result_of(
        "activations", damaged(small, tmp_path, silenced), photographs, {"images": 1}, **settings
    ).findings
    (dead,) = [f for f in found if f.rule == "activations.dead" and f.verdict is Verdict.FAIL]
    assert "Activation rate of a dead channel: below 11.7 % (95 % confidence, n = 24)." in dead.detail


def test_of_few_images_it_is_told_how_sure_a_share_is(small, photographs, tmp_path):
    settings = {"arch": small.arch, "preprocess": small.preprocess, "samples": 3}

    def vanishing(checkpoint, **options):
        found = result_of("saliency", checkpoint, photographs, options, **settings).findings
        return next(f for f in found if f.rule == "saliency.vanishing")

    sound, sure = vanishing(small.checkpoint), vanishing(small.checkpoint, confident=True)
    assert (sound.verdict, sure.verdict) == (Verdict.PASS, Verdict.WARN)
    assert sound.interval == sure.interval == pytest.approx((0, 0.5615), abs=1e-4)
    assert "More images make the interval narrower." in sure.detail
