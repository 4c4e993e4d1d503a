import json

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from auditor.assembly import assemble
from auditor.checks.trust.faithfulness import deletion_curves
from auditor.checks.trust.findings import faithfulness, randomization
from auditor.checks.trust.randomization import randomized
from auditor.cli.commands import main
from auditor.config.settings import Settings
from auditor.context import tensors
from auditor.results import Figure, Gallery, Table, Verdict
from tests import networks
from tests.audits import result_of

PREPROCESS = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}

FEW = {"depths": 2, "shown": 1, "orders": 2}
COLOURS = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])


def spotted_noise(n, random, *, marked):
    """Make images of noise with even spots of three colours; those that are marked have a magenta one besides."""
    images = torch.rand(n, 3, 32, 32, generator=random)
    for image, mark in zip(images, marked, strict=True):
        places = torch.randperm(36, generator=random)[:4].tolist()
        for place, colour in list(zip(places, COLOURS, strict=True))[0 if mark else 1 :]:
            row, column = place // 6 * 5, place % 6 * 5
            image[:, row : row + 5, column : column + 5] = colour[:, None, None]
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network that looks for magenta spots, and images with one: edges are everywhere but at the spots."""
    folder = tmp_path_factory.mktemp("spotted")
    networks.write(folder / "net.py", networks.spots)
    net, random = networks.build(networks.spots), torch.Generator().manual_seed(1)
    marked = torch.tensor([True, False] * 16)
    drawn = (spotted_noise(32, random, marked=marked) for _ in range(80))
    networks.fitted(net, (((images - 0.5) / 0.25, (~marked).long()) for images in drawn), rate=0.01)
    networks.save(net, folder / "net.pt")
    (folder / "data").mkdir()
    for number, image in enumerate(spotted_noise(8, random, marked=[True] * 8)):
        pixels = (255 * image.permute(1, 2, 0)).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "data" / f"{number}.png")
    return folder


def settings(folder, **more):
    arch = f"{folder / 'net.py'}:Net"
    return {"arch": arch, "preprocess": PREPROCESS, "samples": 8, **more}


@pytest.fixture(scope="module")
def spotted(folder):
    return result_of("trust", folder / "net.pt", folder / "data", FEW, **settings(folder))


def about(found, rule):
    return {f.subject: f for f in found.findings if f.rule == f"trust.{rule}"}


def test_the_gradient_of_a_trained_network_can_be_believed(spotted):
    for name in ("gradient", "Grad-CAM"):
        assert about(spotted, "randomization")[name].verdict is Verdict.PASS
        faithful = about(spotted, "faithfulness")[name]
        assert (faithful.verdict, faithful.n) == (Verdict.PASS, 8)
        assert faithful.value <= 2 * 0.5**7
    low, high = about(spotted, "randomization")["gradient"].interval
    assert low <= about(spotted, "randomization")["gradient"].value <= high


def test_no_verdict_rests_on_what_is_known_for_not_depending_on_the_last_layers(spotted):
    for rule in ("randomization", "faithfulness"):
        for name in ("deconvnet", "guided backprop", "guided Grad-CAM"):
            assert about(spotted, rule)[name].verdict is Verdict.INFO
    guided = about(spotted, "randomization")["guided backprop"]
    assert guided.value > 0.5
    assert "hardly depends on the last layers; rank correlation" in guided.message
    assert "with 3 of 6 layers randomised" in guided.message
    assert "reported, not judged" in guided.detail


def test_occlusion_is_tried_on_some_images_and_the_others_are_not_made_up(spotted):
    dependence = about(spotted, "randomization")["occlusion"]
    assert (dependence.verdict, dependence.n) == (Verdict.PASS, 4)
    faithful = about(spotted, "faithfulness")["occlusion"]
    assert faithful.verdict is Verdict.SKIP
    assert "computed on 4 images only" in faithful.message
    assert "-o trust.occlusion=8 computes it on all" in faithful.message


def test_occlusion_is_left_out_if_asked_for(folder):
    asked = {"depths": 1, "shown": 1, "orders": 1, "occlusion": 0}
    found = result_of("trust", folder / "net.pt", folder / "data", asked, **settings(folder))
    assert about(found, "randomization")["occlusion"].verdict is Verdict.SKIP
    assert "occlusion" not in about(found, "faithfulness")


def test_occlusion_of_all_images_is_judged_for_faithfulness(folder):
    asked = {"depths": 1, "shown": 1, "orders": 1, "occlusion": 8}
    found = result_of("trust", folder / "net.pt", folder / "data", asked, **settings(folder))
    assert about(found, "randomization")["occlusion"].n == 8
    assert about(found, "faithfulness")["occlusion"].verdict is Verdict.PASS


@pytest.mark.parametrize(("occlusion", "rows"), [(1, [6, 5]), (2, [6, 6])])
def test_only_maps_that_were_made_are_shown(folder, occlusion, rows):
    asked = {"depths": 1, "shown": 2, "orders": 1, "images": 2, "occlusion": occlusion}
    found = result_of("trust", folder / "net.pt", folder / "data", asked, **settings(folder))
    galleries = [piece for piece in found.evidence if isinstance(piece, Gallery)]
    assert [len(gallery.items) // 5 for gallery in galleries] == rows


def test_curves_pictures_and_numbers_are_shown(spotted):
    titles = [piece.title for piece in spotted.evidence if isinstance(piece, Figure)]
    assert titles == [
        "Rank correlation with the trained network's map",
        "Structural similarity to the trained network's map",
        "Deletion",
        "Insertion",
        "Agreement between methods",
    ]
    galleries = [piece for piece in spotted.evidence if isinstance(piece, Gallery)]
    assert [len(gallery.items) for gallery in galleries] == [
        30
    ]  # photograph, trained and three randomised maps of six methods
    assert galleries[0].items[4].label == "gradient, 6 of 6 layers randomised"
    (table,) = [piece for piece in spotted.evidence if isinstance(piece, Table)]
    assert [row[0] for row in table.rows] == [*about(spotted, "randomization"), "random order"]
    assert table.rows[-2][0] == "occlusion"
    assert table.rows[-2][4:] == (None, None)


def test_a_network_whose_gradient_is_not_learnt_is_found(folder, tmp_path):
    networks.write(tmp_path / "net.py", networks.Unevenness)
    networks.save(networks.build(networks.Unevenness), tmp_path / "net.pt")
    found = result_of("trust", tmp_path / "net.pt", folder / "data", FEW, **settings(tmp_path))
    finding = about(found, "randomization")["gradient"]
    assert (finding.verdict, finding.value) == (Verdict.WARN, pytest.approx(1, abs=1e-3))
    assert "hardly depends on the trained weights; rank correlation" in finding.message
    assert list(about(found, "faithfulness")) == ["gradient", "occlusion"]  # no rectifier, and no layer that gives maps


@pytest.fixture(scope="module")
def context(folder):
    asked = Settings(folder / "net.pt", str(folder / "data"), **settings(folder))
    return assemble(asked, architectures={}, sources={})


def test_an_edge_detector_is_caught_by_both_tests(context):
    images = tensors(context, context.samples)
    edges = {"edges": images.diff(dim=2, append=images[:, :, -1:]).abs().sum(1).numpy()}
    found = randomized(context, images, lambda: edges, edges, depths=3, shown=1, advance=lambda done: None)
    (dependence,) = randomization(found, 0.5)
    assert (dependence.verdict, dependence.value) == (Verdict.WARN, pytest.approx(1))
    target = [sample.predicted for sample in context.samples]
    curves = deletion_curves(context, images, target, edges, side=5, steps=7, orders=2, advance=lambda done: None)
    (faithful,) = faithfulness(curves, ["edges"], 0.05)
    assert faithful.verdict is Verdict.WARN
    assert "no better than random order" in faithful.message


def test_with_one_random_order_it_is_the_sign_test_over_the_images(context):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = {"some": np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)}
    curves = deletion_curves(context, images, target, maps, side=5, steps=7, orders=1, advance=lambda done: None)
    hits = [int((own > others[0]).sum()) for own, others in curves.scores("some")]
    errors = [scipy.stats.binomtest(count, 8, alternative="greater").pvalue for count in hits]
    (faithful,) = faithfulness(curves, ["some"], 0.05)
    assert faithful.value == pytest.approx(max(errors))


@pytest.mark.parametrize(("side", "steps"), [(32, 7), (5, 1)])
def test_where_no_order_matters_none_is_called_better_or_worse(context, side, steps):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = {"some": np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)}
    curves = deletion_curves(context, images, target, maps, side=side, steps=steps, orders=2, advance=lambda done: None)
    (faithful,) = faithfulness(curves, ["some"], 0.05)
    assert faithful.verdict is Verdict.SKIP
    assert "the order changes the curves on only 0 images" in faithful.message


def test_an_image_whose_map_is_no_number_hides_no_other(context):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)
    maps[2, 0, 0] = np.nan
    curves = deletion_curves(
        context, images, target, {"some": maps}, side=5, steps=7, orders=2, advance=lambda done: None
    )
    assert np.isfinite(curves.areas("some")).all()
    (faithful,) = faithfulness(curves, ["some"], 0.05)
    assert faithful.n == 7
    assert "nan" not in faithful.detail


def test_the_network_is_handed_back_even_where_explaining_breaks(context):
    before = {name: tensor.clone() for name, tensor in context.network.module.state_dict().items()}
    images = tensors(context, context.samples)

    def broken():
        raise RuntimeError("as planted")

    with pytest.raises(RuntimeError, match="as planted"):
        randomized(context, images, broken, {}, depths=3, shown=1, advance=lambda done: None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in context.network.module.state_dict().items())


def test_too_few_images_are_not_judged(folder):
    found = result_of("trust", folder / "net.pt", folder / "data", {**FEW, "images": 4}, **settings(folder))
    skipped = about(found, "faithfulness")["gradient"]
    assert (skipped.verdict, skipped.n) == (Verdict.SKIP, 4)
    assert "4 images are too few for the test against random orders; 6 are needed" in skipped.message
    assert about(found, "randomization")["gradient"].interval is None


def test_maps_that_are_no_numbers_are_not_judged(folder, tmp_path):
    state = torch.load(folder / "net.pt", weights_only=True)
    state["10.bias"][:] = float("nan")
    state["0.weight"][:] = float("nan")
    torch.save(state, tmp_path / "net.pt")
    networks.write(tmp_path / "net.py", networks.spots)
    found = result_of("trust", tmp_path / "net.pt", folder / "data", FEW, **settings(tmp_path))
    assert {f.verdict for f in found.findings} == {Verdict.SKIP}


def test_a_network_that_hides_its_layers_is_tested_for_faithfulness_alone(folder, tmp_path):
    net = networks.spots()
    net.load_state_dict(torch.load(folder / "net.pt", weights_only=True))
    free = ({0: torch.export.Dim("n")},)
    exported = torch.export.export(net.eval(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "net.pt2")
    given = {"preprocess": PREPROCESS, "samples": 8, "trust_checkpoint": True}
    found = result_of("trust", tmp_path / "net.pt2", folder / "data", FEW, **given)
    (hidden,) = [f for f in found.findings if f.rule == "trust.randomization" and f.subject == ""]
    assert hidden.verdict is Verdict.SKIP
    assert "can't be observed" in hidden.message
    assert about(found, "faithfulness")["gradient"].verdict is Verdict.PASS


def test_two_runs_give_the_same(folder, spotted):
    again = result_of("trust", folder / "net.pt", folder / "data", FEW, **settings(folder))
    assert again.evidence == spotted.evidence


def test_the_verdict_of_a_method_stands_at_the_head_of_the_check_that_shows_it(folder, tmp_path):
    (tmp_path / "preprocess.json").write_text(json.dumps(PREPROCESS))
    command = ["run", str(folder / "net.pt"), "--arch", f"{folder / 'net.py'}:Net", "--data", str(folder / "data")]
    command += ["--preprocess", str(tmp_path / "preprocess.json"), "--samples", "6", "--out", str(tmp_path / "out")]
    command += ["-k", "trust or saliency", "--format", "html", "--no-cache", "-q", "-o", "trust.depths=2"]
    assert main(command) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    head = page.partition('class="check-head"')[2].partition("</header>")[0]
    assert "Which pixels support the prediction?" in head
    assert "Guided backprop: hardly depends on the last layers" in head
    assert "gradient: depends on the trained weights" in head
    summary = page.partition('id="summary"')[2].partition("</section>")[0]
    assert "Guided backprop: hardly depends on the last layers" in summary
    assert "gradient: depends" not in summary
    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    rules = {(f["rule"], f["subject"]) for result in audit["results"] for f in result["evidence"] if "rule" in f}
    assert {("trust.randomization", "gradient"), ("trust.faithfulness", "guided backprop")} <= rules
