"""The runner on a real small network and real photographs, with checks of its own."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import auditor
import auditor.plugins
from auditor import Check, Figure, Finding, Gallery, Item, Skip, Table, Verdict
from auditor.collectors import Batch, Predictions
from auditor.config.settings import Settings
from auditor.errors import DataError, NothingToRun, UsageError
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.results import Arrays, Exit
from auditor.runner import run

GOOD = Finding("sound.rule", Verdict.PASS, "is fine")


def settings(small, photographs, **more):
    arch, preprocess = small.arch, small.preprocess
    return Settings(small.checkpoint, str(photographs), arch=arch, preprocess=preprocess, samples=3, **more)


def audited(small, photographs, *checks, observer=None, **more):
    plugins = Plugins(checks={check.name: check for check in checks})
    return run(settings(small, photographs, **more), plugins, observer or Silent())


def findings(found, check):
    (result,) = [result for result in found.audit.results if result.check == check]
    return result.findings


@Check
def sound(context):
    """Is it sound?"""
    yield GOOD


@Check
def broken(context):
    """Does it break?"""
    yield Finding("broken.before", Verdict.PASS, "kept")
    raise ZeroDivisionError("a planted fault")


@Check
def skipping(context):
    """Does it apply?"""
    raise Skip("not here")
    yield


@Check
def failing(context):
    """Does it fail?"""
    yield Finding("failing.rule", Verdict.FAIL, "as planted")


@Check
def warning(context):
    """Does it warn?

    Rules:
        warning.rule: always.
    """
    yield Finding("warning.rule", Verdict.WARN, "as planted")


@Check
def silent(context):
    """Does it say anything?"""
    return
    yield


@Check
def counting(context, *, kept: int = 5):
    """How many images are there?"""
    seen = yield Predictions(kept)
    yield Table("Images", "How many were seen.", ("images", "right"), ((seen.images, seen.right),))


@Check
def meddling(context):
    """Does it leave the network alone?"""
    yield GOOD
    next(context.network.module.parameters()).add_(1)
    yield GOOD


def test_an_exception_is_an_error_with_what_was_found_before_and_the_others_go_on(small, photographs):
    found = audited(small, photographs, broken, sound)
    kept, error = findings(found, "broken")
    assert kept.rule == "broken.before"
    assert (error.rule, error.verdict) == ("broken.error", Verdict.ERROR)
    assert error.message == "ZeroDivisionError: a planted fault"
    assert "test_runner.py" in error.detail
    assert findings(found, "sound") == (GOOD,)
    assert found.audit.exit_code() is Exit.FAILED


def test_a_check_that_changes_the_network_is_an_error_and_the_network_is_put_back(small, photographs):
    found = audited(small, photographs, meddling, counting)
    modified = findings(found, "meddling")[-1]
    assert (modified.rule, modified.verdict) == ("meddling.modified", Verdict.ERROR)
    assert "the values of conv1.weight changed" in modified.message
    alone = audited(small, photographs, counting)
    assert found.audit.results[1].evidence == alone.audit.results[0].evidence


def test_nothing_found_is_never_green(small, photographs):
    found = audited(small, photographs, silent)
    assert found.audit.verdict is Verdict.ERROR


def test_only_skipped_checks_are_exit_code_5(small, photographs):
    found = audited(small, photographs, skipping)
    assert findings(found, "skipping")[0].message == "not here"
    assert found.audit.exit_code() is Exit.NOTHING


def test_one_sweep_serves_all_checks(small, photographs):
    @Check
    def other(context):
        """Is it the same collector?"""
        seen = yield Predictions(5)
        yield Table("Images", "How many were seen.", ("images", "right"), ((seen.images, seen.right),))

    sweeps = []

    class Counting(Silent):
        def sweeping(self, images):
            sweeps.append(images)
            return super().sweeping(images)

    found = audited(small, photographs, counting, other, sound, observer=Counting())
    assert sweeps == [24]
    assert found.audit.results[0].evidence == found.audit.results[1].evidence
    assert found.audit.results[0].evidence[0].rows[0][0] == 24


def test_what_needs_nothing_collected_needs_no_sweep(small, photographs):
    class Refusing(Silent):
        def sweeping(self, images):
            raise AssertionError("nothing was asked for")

    assert audited(small, photographs, sound, observer=Refusing()).audit.verdict is Verdict.PASS


def test_a_collector_that_breaks_is_an_error_of_its_own_check_alone(small, photographs):
    class Bad(Predictions):
        key = ("bad",)

        def update(self, batch: Batch, reduced):
            raise RuntimeError("planted in the sweep")

    @Check
    def bad(context):
        """Does the sweep break?"""
        yield Bad()
        yield GOOD

    found = audited(small, photographs, bad, counting, sound)
    assert [result.verdict for result in found.audit.results] == [Verdict.ERROR, Verdict.INFO, Verdict.PASS]
    assert "planted in the sweep" in findings(found, "bad")[0].message


def test_a_pass_that_breaks_is_an_error_of_every_check_that_waited(small, photographs):
    class Breaking(Silent):
        def sweeping(self, images):
            raise RuntimeError("planted around the sweep")

    found = audited(small, photographs, counting, sound, observer=Breaking())
    assert "planted around the sweep" in findings(found, "counting")[0].message
    assert findings(found, "sound") == (GOOD,)


def test_a_collector_asked_for_too_late_is_an_error(small, photographs):
    @Check
    def late(context):
        """Is it late?"""
        yield GOOD
        yield Predictions()

    assert "collectors come first" in findings(audited(small, photographs, late), "late")[-1].message


def test_what_is_no_evidence_is_an_error(small, photographs):
    @Check
    def odd(context):
        """Is it odd?"""
        yield "text"

    assert "yielded a str" in findings(audited(small, photographs, odd), "odd")[-1].message


def test_a_check_that_wants_images_is_skipped_without_any(small):
    plugins = Plugins(checks={"counting": counting, "sound": sound})
    asked = Settings(small.checkpoint, arch=small.arch, preprocess=small.preprocess)
    found = run(asked, plugins, Silent())
    assert "give some with --data" in findings(found, "counting")[0].message
    assert found.audit.exit_code() is Exit.OK


def test_maxfail_ends_the_run_and_names_what_had_no_turn(small, photographs):
    found = audited(small, photographs, failing, sound, counting, maxfail=1)
    assert [result.check for result in found.audit.results] == ["failing"]
    assert found.audit.not_run == ("sound", "counting")
    assert not found.audit.complete
    assert found.audit.exit_code() is Exit.FAILED


def test_ctrl_c_keeps_what_is_done(small, photographs):
    @Check
    def stopped(context):
        """Is it stopped?"""
        yield GOOD
        raise KeyboardInterrupt

    found = audited(small, photographs, sound, stopped, counting)
    assert [result.check for result in found.audit.results] == ["sound", "stopped"]
    assert findings(found, "stopped")[-1].rule == "stopped.interrupted"
    assert (found.audit.interrupted, found.audit.not_run) == (True, ("counting",))
    assert found.audit.exit_code() is Exit.INTERRUPTED


def test_ctrl_c_is_an_interruption_under_maxfail_too(small, photographs):
    @Check
    def stopped(context):
        """Is it stopped?"""
        yield Predictions()
        raise KeyboardInterrupt

    found = audited(small, photographs, sound, stopped, counting, maxfail=1)
    assert [result.check for result in found.audit.results] == ["sound", "stopped"]
    assert (found.audit.interrupted, found.audit.not_run) == (True, ("counting",))


def test_ctrl_c_during_the_sweep_keeps_what_is_done(small, photographs):
    class Stopping(Silent):
        def sweeping(self, images):
            raise KeyboardInterrupt

    found = audited(small, photographs, counting, sound, observer=Stopping())
    assert [result.check for result in found.audit.results] == ["sound"]
    assert found.audit.exit_code() is Exit.INTERRUPTED


def test_levels_promote_a_warning_and_leave_the_rest(small, photographs):
    found = audited(small, photographs, warning, broken, levels={"warning.rule": "fail", "broken.error": "info"})
    assert findings(found, "warning")[0].verdict is Verdict.FAIL
    assert findings(found, "broken")[-1].verdict is Verdict.ERROR


def test_strict_counts_warnings(small, photographs):
    found = audited(small, photographs, warning)
    assert found.audit.exit_code() is Exit.OK
    assert found.audit.exit_code(strict=True) is Exit.FAILED


def test_options_reach_the_check(small, photographs):
    seen = []

    @Check
    def listening(context, *, depth: int = 1):
        """What was chosen?"""
        seen.append(depth)
        yield GOOD

    audited(small, photographs, listening, options={"listening": {"depth": 7}})
    assert seen == [7]


def test_arrays_are_handed_on_and_not_shown(small, photographs):
    @Check
    def raw(context):
        """What are the numbers?"""
        yield GOOD
        yield Arrays({"numbers": np.arange(3)})

    found = audited(small, photographs, raw, save_arrays=True)
    assert findings(found, "raw") == (GOOD,)
    assert found.arrays["raw"]["numbers"].tolist() == [0, 1, 2]
    assert audited(small, photographs, raw).arrays == {}


def test_random_streams_do_not_depend_on_which_other_checks_run(small, photographs):
    @Check
    def drawing(context):
        """What is drawn?"""
        own = torch.rand(1, generator=context.random("drawing")).item()
        yield Finding("drawing.rule", Verdict.INFO, f"{torch.rand(1).item()} {np.random.rand()} {own}")

    alone = audited(small, photographs, drawing)
    together = audited(small, photographs, broken, counting, drawing)
    assert findings(alone, "drawing") == findings(together, "drawing")
    assert findings(alone, "drawing") != findings(audited(small, photographs, drawing, seed=1), "drawing")


def test_a_wrong_layer_in_an_option_is_wrong_use(small, photographs):
    @Check
    def choosing(context):
        """Which layer?"""
        context.layers.select(("conv9",))
        yield GOOD

    with pytest.raises(UsageError, match="no layer 'conv9'; did you mean 'conv"):
        audited(small, photographs, choosing)


def test_no_selected_check_is_an_error_of_its_own(small, photographs):
    with pytest.raises(NothingToRun):
        audited(small, photographs, sound, expression="not sound")


def test_files_that_are_all_unreadable_are_refused(small, tmp_path):
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="none of the 1 files"):
        audited(small, tmp_path, counting)


@pytest.mark.slow
def test_two_runs_with_one_seed_find_the_same(small, photographs):
    first, second = (
        auditor.run(small.checkpoint, photographs, arch=small.arch, preprocess=small.preprocess) for _ in range(2)
    )
    assert [r.evidence for r in first.results] == [r.evidence for r in second.results]
    assert {**vars_of(first), "started": ""} == {**vars_of(second), "started": ""}


def vars_of(audit):
    return json.loads(json.dumps({name: getattr(audit.provenance, name) for name in ("device", "seed", "started")}))


def test_provenance_says_what_was_audited_and_how(small, photographs):
    about = audited(small, photographs, counting).audit.provenance
    assert (about.checkpoint.name, about.checkpoint.loaded) == ("small.pt", 1.0)
    assert about.data.images == 24
    assert about.data.classes == ("astronaut", "cat", "coffee", "rocket")
    assert [layer.name for layer in about.architecture.layers] == ["conv1", "bn1", "relu", "conv2", "head"]
    assert about.preprocess["crop"] == (32, 32)
    assert {"torch", "torchvision", "python", "auditor"} <= about.versions.keys()


def test_leaves_the_random_streams_of_its_caller_alone(small, photographs):
    @Check
    def drawing(context):
        """Does it draw?"""
        torch.rand(3)
        np.random.rand(3)
        yield GOOD

    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1).item(), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    audited(small, photographs, drawing, counting)
    assert (torch.rand(1).item(), np.random.rand()) == expected


def test_a_check_that_leaves_the_program_is_an_error(small, photographs):
    @Check
    def leaving(context):
        """Does it leave?"""
        yield Finding("leaving.before", Verdict.FAIL, "kept")
        raise SystemExit(0)

    found = audited(small, photographs, leaving, sound)
    assert [f.rule for f in findings(found, "leaving")] == ["leaving.before", "leaving.error"]
    assert found.audit.exit_code() is Exit.FAILED


def test_collectors_are_handed_out_once(small, photographs):
    @Check
    def greedy(context):
        """Does it ask twice?"""
        yield Predictions()
        yield Predictions(3)

    assert "too late" in findings(audited(small, photographs, greedy), "greedy")[-1].message


def test_a_collector_of_an_unknown_module_breaks_its_own_check_alone(small, photographs):
    class Lost(Predictions):
        key = ("lost",)
        taps = ("nowhere",)

    @Check
    def lost(context):
        """Where is it?"""
        yield Lost()
        yield GOOD

    found = audited(small, photographs, lost, counting)
    assert [result.verdict for result in found.audit.results] == [Verdict.ERROR, Verdict.INFO]
    assert "nowhere" in findings(found, "lost")[-1].message


def test_a_verdict_that_is_none_is_an_error(small, photographs):
    @Check
    def wordy(context):
        """Is it a verdict?"""
        yield Finding("wordy.rule", "fail", "as text")

    assert "has to be an auditor.Verdict" in findings(audited(small, photographs, wordy), "wordy")[-1].message


def test_files_that_only_the_choice_of_samples_met_are_listed_too(small, photographs, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"nothing")
    sample = next(photographs.rglob("*.png"))
    (tmp_path / "a" / "whole.png").write_bytes(sample.read_bytes())
    about = audited(small, tmp_path, sound).audit.provenance.data
    assert (about.images, [name for name, _ in about.skipped]) == (1, ["a/broken.png"])


class Boom(BaseException):
    """What a test library may raise, past every `except Exception`."""


def test_nothing_that_a_check_raises_ends_the_audit(small, photographs):
    @Check
    def exploding(context):
        """Does it explode?"""
        yield GOOD
        raise Boom("planted")

    found = audited(small, photographs, exploding, sound)
    assert [f.rule for f in findings(found, "exploding")] == ["sound.rule", "exploding.error"]
    assert findings(found, "sound") == (GOOD,)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (Finding("odd.rule", Verdict.PASS, 42), "Finding.message is 42"),
        (Table("Rows", "", ("one", "two"), (("only one",),)), "2 columns, but a row of 1 cells"),
        (Table("Rows", "", ("one",), ((object(),),)), "contains a object"),
        (Figure("Picture", "", "no bytes"), "has to be the bytes of a PNG or JPEG"),
        (Gallery("Pictures", "", (Item(b"GIF89a", "one"),)), "has to be the bytes of a PNG or JPEG"),
    ],
)
def test_evidence_that_no_report_could_show_is_an_error_of_its_check(small, photographs, piece, words):
    @Check
    def odd(context):
        """Is it odd?"""
        yield piece

    assert words in findings(audited(small, photographs, odd), "odd")[-1].message


def test_a_value_that_is_no_number_never_passes(small, photographs):
    @Check
    def unmeasured(context):
        """Was it measured?"""
        yield Finding("unmeasured.rule", Verdict.PASS, "is fine", value=float("nan"))

    assert audited(small, photographs, unmeasured).audit.verdict is Verdict.ERROR


def test_what_a_check_sets_for_the_whole_process_is_put_back(small, photographs, tmp_path, monkeypatch):
    @Check
    def settling(context):
        """Does it settle?"""
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        monkeypatch.chdir(tmp_path)
        yield GOOD

    before = Path.cwd()
    audited(small, photographs, settling)
    assert (torch.is_grad_enabled(), torch.get_default_dtype(), Path.cwd()) == (True, torch.float32, before)


def test_a_check_that_is_refused_ends_its_with_blocks(small, photographs):
    @Check
    def careless(context):
        """Does it clean up?"""
        with torch.autocast("cpu"):
            yield "no evidence"

    audited(small, photographs, careless)
    assert not torch.is_autocast_enabled("cpu")


def test_what_a_check_returns_is_not_lost(small, photographs):
    @Check
    def returning(context):
        """Does it return?"""
        yield GOOD
        return Finding("returning.rule", Verdict.FAIL, "as planted")

    assert "has to yield" in findings(audited(small, photographs, returning), "returning")[-1].message


DRAWING = """
import torch
from torch import nn
from torch import nn
from torch.nn import functional as F


class Drawing(nn.Module):
    def __init__(self, alone=False):
        super().__init__()
        self.head, self.alone = nn.Linear(3, 4), alone

    def forward(self, images):
        if self.alone and len(images) > 1:
            raise ValueError("one image at a time")
        return self.head(F.dropout(images.mean((2, 3)), 0.5, training=True))
"""


@pytest.fixture
def drawing_network(tmp_path):
    (tmp_path / "drawing.py").write_text(DRAWING)
    torch.manual_seed(0)
    torch.save(nn.ModuleDict({"head": nn.Linear(3, 4)}).state_dict(), tmp_path / "drawing.pt")
    return tmp_path / "drawing.pt", f"{tmp_path / 'drawing.py'}:Drawing"


def test_a_network_that_draws_gives_the_same_twice(drawing_network, photographs, small):
    path, arch = drawing_network
    asked = {"arch": arch, "preprocess": small.preprocess, "check": ("predictions", "saliency")}
    first, second = (auditor.run(path, photographs, **asked) for _ in range(2))
    assert [r.evidence for r in first.results] == [r.evidence for r in second.results]


def test_a_network_for_single_images_is_audited_one_by_one(drawing_network, photographs, small):
    path, arch = drawing_network
    asked = {"arch": arch, "arch_arg": {"alone": True}, "preprocess": small.preprocess, "batch_size": 1}
    found = auditor.run(path, photographs, check=("predictions", "preprocess", "saliency"), **asked)
    assert [r.check for r in found.results if r.verdict is Verdict.ERROR] == []


def test_a_check_that_writes_into_the_samples_is_an_error_and_they_are_put_back(small, photographs):
    shades = []

    @Check
    def blacking(context):
        """Does it paint?"""
        context.samples[0].tensor.zero_()
        yield GOOD

    @Check
    def looking(context):
        """What is there?"""
        shades.append(context.samples[0].tensor.abs().max().item())
        yield GOOD

    found = audited(small, photographs, blacking, looking)
    assert findings(found, "blacking")[-1].rule == "blacking.modified"
    assert shades[0] > 0


def test_what_rests_on_weights_that_are_not_there_is_not_run_and_counts_once(small, photographs, tmp_path):
    torch.save({f"other.{n}": torch.ones(3) for n in range(5)}, tmp_path / "other.pt")
    loaded = auditor.plugins.load()
    asked = settings(small, photographs, expression="saliency or filters")
    found = run(dataclasses.replace(asked, checkpoint=tmp_path / "other.pt"), loaded, Silent()).audit
    assert [result.check for result in found.results] == ["checkpoint", "filters", "saliency"]
    assert found.exit_code() is Exit.FAILED
    assert [cause.finding.rule for cause in found.causes] == ["checkpoint.missing"]
    for result in found.results[1:]:
        (finding,) = result.findings
        assert (finding.verdict, finding.message.partition(":")[0]) == (Verdict.SKIP, "blocked by checkpoint.missing")


def test_maps_are_not_made_of_answers_that_are_all_wrong(small, photographs, tmp_path):
    (tmp_path / "wrong").mkdir()
    names = sorted(folder.name for folder in photographs.iterdir())
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        (tmp_path / "wrong" / name).symlink_to(photographs / other)
    asked = settings(small, tmp_path / "wrong", expression="saliency or synthesis or predictions or patches")
    loaded = auditor.plugins.load()
    found = {result.check: result for result in run(asked, loaded, Silent()).audit.results}
    ends = [finding.rule for finding in found["predictions"].findings if finding.ends]
    assert "predictions.accuracy" in ends
    for check in ("saliency", "synthesis"):
        assert [finding.verdict for finding in found[check].findings] == [Verdict.SKIP]
        assert found[check].findings[0].message.startswith("blocked by predictions.accuracy")
    assert len(found["patches"].findings) > 1
    asked = dataclasses.replace(asked, run_blocked=True, expression="saliency or predictions")
    assert len(run(asked, loaded, Silent()).audit.results[1].findings) > 1
