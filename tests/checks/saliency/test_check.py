import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from auditor.cli.commands import main
from auditor.errors import UsageError
from auditor.results import Gallery, Verdict
from tests import networks
from tests.audits import result_of


def result(small, photographs, path=None, arch=None, samples=3, **options):
    settings = {"arch": arch or small.arch, "preprocess": small.preprocess, "samples": samples}
    return result_of("saliency", path or small.checkpoint, photographs, options, **settings)


def rule(found, name):
    (finding,) = [finding for finding in found.findings if finding.rule == f"saliency.{name}"]
    return finding


def labels(gallery):
    return [item.label.partition(":")[0] for item in gallery.items]


def made(tmp_path, **settings):
    """Save a network of another kind; return its file and what `--arch` takes."""
    arch = networks.write(tmp_path / "made.py", networks.Activated, **settings)
    return networks.save(networks.build(networks.Activated, **settings), tmp_path / "made.pt"), arch


@pytest.fixture(scope="module")
def sound(small, photographs):
    return result(small, photographs)


def test_a_row_holds_every_method_and_the_classes_stand_side_by_side(sound):
    galleries = [piece for piece in sound.evidence if isinstance(piece, Gallery)]
    first, second, beside = galleries[:3]
    whole = ["gradient", "absolute gradient", "deconvnet", "guided backprop *", "Grad-CAM", "guided Grad-CAM *"]
    for gallery in (first, second):
        assert labels(gallery)[1:] == whole
        assert all(item.scale for item in gallery.items[1:])
        assert "randomised" in gallery.caption
    assert "(predicted" in first.title
    assert "(second-best" in second.title
    assert labels(beside)[1:] == ["absolute gradient"] * 2 + ["Grad-CAM"] * 2
    assert beside.items[1].scale == beside.items[2].scale
    assert beside.items[3].scale == beside.items[4].scale


def test_every_picture_says_where_it_is_strongest(sound):
    for gallery in (piece for piece in sound.evidence if isinstance(piece, Gallery)):
        assert all("strongest at row" in item.alt or "zero everywhere" in item.alt for item in gallery.items[1:])


def test_the_true_class_is_added_if_it_is_neither_predicted_nor_second_best(small, photographs, tmp_path):
    state = torch.load(small.checkpoint, weights_only=True)
    state["head.bias"][:2] += 100  # the prediction is never one of the last two
    torch.save(state, tmp_path / "skewed.pt")
    found = result(small, photographs, tmp_path / "skewed.pt", samples=8)
    truths = [g.title for g in found.evidence if isinstance(g, Gallery) and "(true class" in g.title]
    assert {title.partition("/")[0] for title in truths} == {"coffee", "rocket"}
    assert all(title.partition("/")[0] in title.partition(": ")[2] for title in truths)
    assert len([g for g in found.evidence if isinstance(g, Gallery)]) == 8 * 3 + len(truths)


def test_a_network_that_looks_at_the_same_place_for_every_class_is_blind(small, photographs, tmp_path, sound):
    state = torch.load(small.checkpoint, weights_only=True)
    state["head.weight"] = torch.tensor([[1.0], [0.5], [-0.3], [2.0]]) * state["head.weight"][:1]
    torch.save(state, tmp_path / "blind.pt")
    finding = rule(result(small, photographs, tmp_path / "blind.pt"), "blind")
    assert (finding.verdict, finding.limit, finding.n) == (Verdict.WARN, 0.95, 3)
    assert finding.value == pytest.approx(1, abs=1e-3)
    assert finding.subject.endswith(".png")
    assert rule(sound, "blind").verdict is Verdict.PASS


def test_two_classes_can_not_be_blind_to_each_other(photographs, small, tmp_path):
    path, arch = made(tmp_path, num_classes=2)
    for i, file in enumerate(sorted(photographs.rglob("*.png"))[:4]):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.open(file).save(tmp_path / "photos" / f"{i}.png")
    finding = rule(result(small, tmp_path / "photos", path, arch), "blind")
    assert finding.verdict is Verdict.SKIP
    assert "two classes" in finding.message


def test_without_rectifiers_their_rules_are_skipped_and_not_drawn(small, photographs, tmp_path):
    found = result(small, photographs, *made(tmp_path, kind="gelu"))
    finding = rule(found, "rectifiers")
    assert (finding.verdict, finding.detail) == (
        Verdict.SKIP,
        "Activation functions between image and score: GELU 2",
    )
    row = next(piece for piece in found.evidence if isinstance(piece, Gallery))
    assert labels(row)[1:] == ["gradient", "absolute gradient", "Grad-CAM"]
    assert "randomised" not in row.caption


def test_reports_to_how_many_activation_functions_a_rule_applies(small, photographs, tmp_path):
    finding = rule(result(small, photographs, *made(tmp_path, kind="mixed")), "rectifiers")
    assert (finding.verdict, finding.value, finding.n) == (Verdict.INFO, 0.5, 4)
    assert "SiLU 2" in finding.detail


def test_grad_cam_uses_the_output_of_the_rectifier_and_says_so(sound, small, photographs):
    assert rule(sound, "layer").message.startswith("layer of Grad-CAM: conv2, after the rectifier behind it")
    assert rule(result(small, photographs, cam_layer="conv1"), "layer").message == "layer of Grad-CAM: conv1"
    named = rule(result(small, photographs, cam_layer="bn1"), "layer")
    assert named.message == "layer of Grad-CAM: bn1, after the rectifier behind it"


def test_a_network_without_maps_has_no_grad_cam(small, photographs, tmp_path):
    found = result(small, photographs, *made(tmp_path, flat=True))
    assert rule(found, "layer").verdict is Verdict.SKIP
    row = next(piece for piece in found.evidence if isinstance(piece, Gallery))
    assert labels(row)[1:] == ["gradient", "absolute gradient"]


def test_units_are_shown_on_the_images_that_excite_them_most(small, photographs):
    found = result(small, photographs, units=("conv2:5", "bn1:2:3:4"), unit_images=2, samples=6)
    rows = [piece for piece in found.evidence if isinstance(piece, Gallery) and ", channel " in piece.title]
    assert [row.title.partition(", on")[0] for row in rows] == ["conv2, channel 5"] * 2 + ["bn1, channel 2"] * 2
    assert labels(rows[0])[1:] == ["gradient", "absolute gradient", "deconvnet", "guided backprop *"]
    activations = [float(row.caption.partition("activation is ")[2].split(". ")[0].rstrip(".")) for row in rows]
    assert activations[0] >= activations[1]
    assert "At row 3 and column 4" in rows[2].caption


@pytest.mark.parametrize(("options", "words"), [
    ({"units": ("cnov2:1",)}, "saliency.units asks for cnov2:1: the network has no layer 'cnov2'; did you mean"),
    ({"units": ("conv2:16",)}, "no channel 16: it has 16"),
    ({"units": ("conv2",)}, "'conv2' is not a unit"),
    ({"cam_layer": "conv3"}, "saliency.cam_layer is 'conv3': the network has no layer 'conv3'"),
])  # fmt: skip
def test_refuses_what_the_network_does_not_have(small, photographs, options, words):
    with pytest.raises(UsageError, match=words):
        result(small, photographs, **options)


def test_certain_predictions_count_as_vanishing(small, photographs, tmp_path):
    state = torch.load(small.checkpoint, weights_only=True)
    state["head.weight"] *= 1e5
    torch.save(state, tmp_path / "certain.pt")
    finding = rule(result(small, photographs, tmp_path / "certain.pt"), "vanishing")
    assert finding.verdict is Verdict.WARN
    assert "a probability of exactly 1" in finding.detail


def test_raw_arrays_are_those_of_the_method(small, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["--arch", small.arch, "--preprocess", str(small.preprocess_file), "--samples", "2", "--seed", "3"]
    kept = ["--check", "saliency", "--save-arrays", "--format", "json", "--out", "out", "-q"]
    assert main(["run", str(small.checkpoint), "--data", str(photographs), *given, *kept]) in (0, 1)
    arrays = load_file("out/arrays/saliency.safetensors")
    names = {name.rpartition("/")[2] for name in arrays}
    assert names == {"classes", "gradient", "deconvnet", "guided_backprop", "grad_cam"}
    files = {name.rpartition("/")[0] for name in arrays}
    assert len(files) == 2
    for file in files:
        assert arrays[f"{file}/gradient"].shape == (len(arrays[f"{file}/classes"]), 3, 32, 32)
        assert arrays[f"{file}/grad_cam"].shape[1:] == (32, 32)
    (result,) = json.loads(Path("out/audit.json").read_bytes())["results"]
    row = next(piece for piece in result["evidence"] if piece["kind"] == "gallery")
    drawn = np.abs(arrays[f"{row['title'].partition(': ')[0]}/gradient"][0].sum(0))
    assert row["items"][1]["scale"]["high"] == pytest.approx(np.quantile(drawn, 0.995), rel=1e-6)


def test_an_image_is_explained_the_same_whatever_stands_beside_it(small, photographs):
    few, many = (result(small, photographs, samples=n) for n in (1, 9))
    alone = [piece for piece in few.evidence if isinstance(piece, Gallery)]
    beside = {piece.title: piece for piece in many.evidence if isinstance(piece, Gallery)}
    shared = [gallery for gallery in alone if gallery.title in beside]
    assert shared
    for gallery in shared:
        for a, b in zip(gallery.items[1:], beside[gallery.title].items[1:], strict=True):
            assert a.scale.high == pytest.approx(b.scale.high, rel=1e-5)
