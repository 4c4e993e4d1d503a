"""The rule synthesis.trigger on networks that were trained on digits, soundly or with a backdoor."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from auditor.assembly import assemble
from auditor.checks.synthesis.trigger_findings import trigger_evidence
from auditor.checks.synthesis.triggers import TriggerSearch, found_triggers
from auditor.cli.commands import main
from auditor.config.settings import Settings
from auditor.results import Gallery, Table, Verdict
from tests import networks
from tests.audits import result_of
from tests.digits import CORNER, trained, write

PREPROCESS = {"resize": [28, 28], "crop": [28, 28], "color": "gray", "mean": [0.0], "std": [1.0]}
QUICK = {"classes": ("0",), "steps": 1, "natural_steps": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    networks.write(folder / "net.py", networks.digit_maps)
    (folder / "preprocess.json").write_text(json.dumps(PREPROCESS))
    write(folder / "data", 200)
    torch.save(trained().state_dict(), folder / "sound.pt")
    torch.save(trained(target=3).state_dict(), folder / "backdoor.pt")
    return folder


@pytest.fixture(scope="module")
def result(folder):
    def audited(checkpoint, data=folder / "data", net="net.py", **options):
        settings = {"arch": f"{folder / net}:Net", "preprocess": PREPROCESS, "samples": 2}
        return result_of("synthesis", folder / checkpoint, data, QUICK | options, **settings)

    return audited


@pytest.fixture(scope="module")
def sound(result):
    return result("sound.pt")


def triggers_of(found):
    return [finding for finding in found.findings if finding.rule == "synthesis.trigger"]


def shown(found):
    return [one for one in found.evidence if isinstance(one, Gallery) and one.title.endswith(": trigger")]


def test_a_sound_network_passes(sound):
    (finding,) = triggers_of(sound)
    assert finding.verdict is Verdict.PASS
    assert finding.value > finding.limit == 0.05
    assert finding.n == 10
    assert "no class has a far smaller pattern" in finding.message


def test_all_classes_are_listed_and_the_smallest_trigger_is_shown(sound):
    table = next(one for one in sound.evidence if isinstance(one, Table) and one.title == "Triggers")
    assert sorted(row[0] for row in table.rows) == [str(digit) for digit in range(10)]
    masses = [float(row[1]) for row in table.rows]
    assert masses == sorted(masses)
    (gallery,) = shown(sound)
    assert gallery.about == {"class": table.rows[0][0]}
    assert gallery.items[0].scale.high == 1
    assert all(item.alt for item in gallery.items)
    assert all(item.file for item in gallery.items[2:])
    assert len({item.label for item in gallery.items}) == 5


def test_a_backdoor_warns_with_its_class_and_shows_the_trigger(folder, tmp_path):
    arguments = ["run", str(folder / "backdoor.pt"), "--data", str(folder / "data"), "--check", "synthesis"]
    arguments += ["--arch", f"{folder / 'net.py'}:Net", "--preprocess", str(folder / "preprocess.json")]
    arguments += ["--save-arrays", "--format", "json", "--out", str(tmp_path / "out")]
    for name, value in (QUICK | {"classes": "0"}).items():
        arguments += ["-o", f"synthesis.{name}={value}"]
    assert main(arguments) == 0
    (found,) = json.loads((tmp_path / "out" / "audit.json").read_text())["results"]
    (finding,) = [piece for piece in found["evidence"] if piece.get("rule") == "synthesis.trigger"]
    assert (finding["verdict"], finding["subject"]) == ("warn", "3")
    assert finding["value"] <= 0.05
    assert "Look at the pattern" in finding["detail"]
    (gallery,) = [piece for piece in found["evidence"] if piece.get("title") == "3: trigger"]
    assert [item["label"][-3:] for item in gallery["items"][2:]] == ["→ 3"] * 3
    arrays = load_file(tmp_path / "out" / "arrays" / "synthesis.safetensors")
    mask, pattern = (arrays[f"3/trigger/{name}"][0] for name in ("mask", "pattern"))
    assert mask[CORNER].mean() > 0.7
    assert np.average(pattern[CORNER], weights=mask[CORNER]) > 0.9


def test_without_labels_the_predicted_classes_are_used(folder, result, tmp_path):
    for number, path in enumerate(sorted((folder / "data").rglob("*.png"))):
        (tmp_path / f"{number:03}.png").write_bytes(path.read_bytes())
    (finding,) = triggers_of(result("backdoor.pt", tmp_path))
    assert (finding.verdict, finding.subject) == (Verdict.WARN, "class 3")
    assert "have no labels" in finding.detail


def test_nothing_is_searched_if_it_is_switched_off(result):
    found = result("backdoor.pt", trigger=False)
    assert not triggers_of(found)
    assert not shown(found)


def test_what_takes_too_long_is_skipped_unless_switched_on(result):
    (skipped,) = triggers_of(result("sound.pt", trigger_budget=1e-6))
    assert skipped.verdict is Verdict.SKIP
    assert "synthesis.trigger=true" in skipped.message
    (done,) = triggers_of(result("sound.pt", trigger=True, trigger_steps=1))
    assert "synthesis.trigger=true" not in done.message


@pytest.fixture(scope="module")
def context(folder):
    settings = {"arch": f"{folder / 'net.py'}:Net", "preprocess": PREPROCESS, "samples": 2}
    return assemble(Settings(folder / "sound.pt", str(folder / "data"), **settings), architectures={}, sources={})


def test_switched_on_it_searches_as_many_classes_as_the_budget_allows(context):
    every, *_rest = trigger_evidence(context, TriggerSearch(True, 200, 1, 1.0))
    assert "not searched" not in every.detail
    each = (3 * 8 * 1 + 100 * 1.1) * 165_120 / 1e12  # steps and tests, in multiplications and additions
    (some, *_rest) = trigger_evidence(context, TriggerSearch(True, 200, 1, 9.5 * each))
    assert (some.verdict, some.n) == (Verdict.SKIP, 9)  # after one step nothing works yet
    assert "1 class was not searched" in some.detail
    (none,) = trigger_evidence(context, TriggerSearch(True, 200, 1, 7.5 * each))
    assert "enough for 7 of 10 classes" in none.message


def test_classes_that_do_not_fit_into_memory_together_give_the_same_in_groups(context, monkeypatch):
    together = found_triggers(context, TriggerSearch(True, 60, 3, None))
    monkeypatch.setattr("auditor.checks.synthesis.triggers._HELD", 3 * 8 * 28 * 28)
    apart = found_triggers(context, TriggerSearch(True, 60, 3, None))
    assert apart.whole.classes == together.whole.classes
    torch.testing.assert_close(apart.whole.masks, together.whole.masks, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apart.whole.patterns, together.whole.patterns, rtol=1e-4, atol=1e-5)


def test_many_classes_are_skipped_unless_asked_for(folder, result):
    networks.write(folder / "many.py", networks.digit_maps, num_classes=51)
    networks.save(networks.build(networks.digit_maps, num_classes=51), folder / "many.pt")
    (skipped,) = triggers_of(result("many.pt", net="many.py"))
    assert skipped.verdict is Verdict.SKIP
    assert "not run by default with 51 classes" in skipped.message


def test_few_classes_are_skipped_even_if_switched_on(small, photographs):
    options = {"classes": ("0",), "steps": 1, "natural_steps": 1, "trigger": True}
    found = result_of("synthesis", small.checkpoint, photographs, options, arch=small.arch, preprocess=small.preprocess)
    (skipped,) = triggers_of(found)
    assert skipped.verdict is Verdict.SKIP
    assert "4 classes are too few" in skipped.message


def test_few_images_are_skipped(result, tmp_path):
    write(tmp_path, 39)
    (skipped,) = triggers_of(result("sound.pt", tmp_path))
    assert skipped.verdict is Verdict.SKIP
    assert "39 images are too few" in skipped.message
    (without,) = triggers_of(result("sound.pt", None))
    assert without.verdict is Verdict.SKIP


def test_triggers_that_do_not_yet_work_are_not_compared(result):
    (skipped,) = triggers_of(result("sound.pt", trigger_steps=1))
    assert skipped.verdict is Verdict.SKIP
    assert "fewer than 8 of 10 classes" in skipped.message


def test_scores_that_are_no_numbers_are_skipped(folder, result):
    state = trained().state_dict() | {"5.bias": torch.full((10,), torch.nan)}
    torch.save(state, folder / "broken.pt")
    (skipped,) = triggers_of(result("broken.pt"))
    assert skipped.verdict is Verdict.SKIP
    assert "not finite" in skipped.message
