"""Too little data is never green, whichever checks are selected."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import plugins
from auditor.config.settings import Settings
from auditor.observer import Silent
from auditor.results import Audit, Exit, Verdict
from auditor.runner import run
from tests import folders, networks

PREPROCESS = {"resize": 32, "crop": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return networks.save(networks.build(networks.Small, seed=3), tmp_path_factory.mktemp("net") / "net.pt")


@pytest.fixture
def images(tmp_path) -> Path:
    return folders.noise(tmp_path / "data", "abcd", 12, (32, 32))


def audited(checkpoint: Path, data: Path, *checks: str, **more: object) -> Audit:
    asked = Settings(
        checkpoint,
        str(data),
        arch=networks.flag(networks.Small),
        preprocess=PREPROCESS,
        checks=checks,
        samples=2,
        **more,
    )
    return run(asked, plugins.load(), Silent()).audit


def files(data: Path) -> list[Path]:
    return sorted(data.rglob("*.png"))


def spoil(count: int) -> Callable[[Path], None]:
    def spoiled(data: Path) -> None:
        for file in files(data)[:count]:
            file.write_bytes(b"no image")

    return spoiled


def one_image(data: Path) -> None:
    for file in files(data)[1:]:
        file.unlink()


def all_the_same(data: Path) -> None:
    for file in files(data)[1:]:
        shutil.copy(files(data)[0], file)


SHORT = {
    "all but one can't be read": spoil(47),
    "a quarter can't be read": spoil(12),
    "an eighth can't be read": spoil(6),
    "one image": one_image,
    "one image 48 times": all_the_same,
}


@pytest.mark.parametrize("spoil", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("check", ["predictions", "activations", "saliency"])
def test_too_little_data_ends_in_failure_whatever_is_selected(checkpoint, images, spoil, check):
    spoil(images)
    audit = audited(checkpoint, images, check)
    assert audit.exit_code() is Exit.FAILED
    (result,) = [one for one in audit.results if one.check == check]
    judged = [one for one in result.findings if one.verdict is Verdict.PASS]
    assert [one.rule for one in judged if one.rule != "predictions.softmax"] == []
    assert any(one.rule in ("data.unreadable", "data.few") and one.verdict is Verdict.FAIL for one in audit.findings)


def test_a_few_unreadable_files_leave_the_verdicts(checkpoint, images):
    spoil(4)(images)
    audit = audited(checkpoint, images, "predictions", "data")
    verdicts = {one.rule: one.verdict for one in audit.findings}
    assert verdicts["predictions.nonfinite"] is Verdict.PASS
    assert verdicts["data.unreadable"] is Verdict.WARN


def test_the_share_that_may_be_unreadable_is_an_option(checkpoint, images):
    spoil(12)(images)
    audit = audited(checkpoint, images, "predictions", options={"data": {"unreadable_fail": 0.3}})
    assert {one.rule: one.verdict for one in audit.findings}["predictions.nonfinite"] is Verdict.PASS


def test_nothing_passes_on_a_handful_of_images(checkpoint, images):
    for file in files(images)[3:]:
        file.unlink()
    audit = audited(checkpoint, images, "predictions", "data")
    (finding,) = [one for one in audit.findings if one.rule == "predictions.nonfinite"]
    assert finding.verdict is Verdict.SKIP
    assert "3 distinct readable images (8 needed)" in finding.message
    assert {one.rule: one.verdict for one in audit.findings}["data.few"] is Verdict.WARN


def test_a_limit_on_the_accuracy_is_not_kept_without_labels(checkpoint, images, tmp_path):
    loose = folders.unlabelled(images, tmp_path / "loose")
    audit = audited(checkpoint, loose, "predictions", options={"predictions": {"accuracy_fail": 0.5}})
    assert {one.rule: one.verdict for one in audit.findings}["predictions.accuracy"] is Verdict.FAIL


def test_a_limit_on_the_accuracy_needs_as_many_images_as_its_comparison_with_chance(checkpoint, images):
    for file in files(images)[10:]:
        file.unlink()
    audit = audited(checkpoint, images, "predictions", options={"predictions": {"accuracy_fail": 0.0}})
    (finding,) = [one for one in audit.findings if one.rule == "predictions.accuracy"]
    assert finding.verdict is Verdict.WARN
    assert "10 labelled images are too few" in finding.detail


def test_checks_of_the_weights_keep_their_verdicts(checkpoint, images):
    spoil(47)(images)
    audit = audited(checkpoint, images, "weights", "predictions")
    (weights,) = [one for one in audit.results if one.check == "weights"]
    assert weights.verdict is Verdict.PASS
