import json

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from auditor.assembly import assemble
from auditor.checks.trust.faithfulness import Uncovered, uncovered
from auditor.checks.trust.findings import faithfulness, randomization
from auditor.checks.trust.randomization import Redrawn, redrawn
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
    assert "hardly depends on the last layers of this network; with 3 of 6 re-drawn" in guided.message
    assert "no verdict rests on it" in guided.detail


def test_occlusion_is_tried_on_some_images_and_the_others_are_not_made_up(spotted):
    dependence = about(spotted, "randomization")["occlusion"]
    assert (dependence.verdict, dependence.n) == (Verdict.PASS, 4)
    faithful = about(spotted, "faithfulness")["occlusion"]
    assert faithful.verdict is Verdict.SKIP
    assert "made of 4 images alone" in faithful.message
    assert "-o trust.occlusion=8 makes them of all" in faithful.message


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
        "Rank correlation with the map as trained",
        "Structural similarity to the map as trained",
        "Deletion",
        "Insertion",
        "Agreement between methods",
    ]
    galleries = [piece for piece in spotted.evidence if isinstance(piece, Gallery)]
    assert [len(gallery.items) for gallery in galleries] == [30]  # photograph, trained and three twins of six
    assert galleries[0].items[4].label == "gradient, 6 of 6 layers re-drawn"
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
    assert "hardly depends on what this network has learnt; with all" in finding.message
    assert list(about(found, "faithfulness")) == ["gradient", "occlusion"]  # no rectifier, and no layer that gives maps


@pytest.fixture(scope="module")
def context(folder):
    asked = Settings(folder / "net.pt", str(folder / "data"), **settings(folder))
    return assemble(asked, architectures={}, sources={})


def test_an_edge_detector_is_caught_by_both_tests(context):
    images = tensors(context, context.samples)
    edges = {"edges": images.diff(dim=2, append=images[:, :, -1:]).abs().sum(1).numpy()}
    told = redrawn(context, images, lambda: edges, edges, depths=3, shown=1, seen=lambda done: None)
    (dependence,) = randomization(told, 0.5)
    assert (dependence.verdict, dependence.value) == (Verdict.WARN, pytest.approx(1))
    target = [sample.predicted for sample in context.samples]
    bared = uncovered(context, images, target, edges, side=5, steps=7, orders=2, seen=lambda done: None)
    (faithful,) = faithfulness(bared, ["edges"], 0.05)
    assert faithful.verdict is Verdict.WARN
    assert "no better than a random order" in faithful.message


@pytest.mark.parametrize(("over", "close"), [(0, False), (1, False), (3, True)])
def test_a_limit_that_many_images_are_over_is_called_close(over, close):
    told = np.broadcast_to(np.where(np.arange(9) < over, 0.6, 0.1), (2, 9))
    (finding,) = randomization(Redrawn(3, (1, 3), ("b", "a"), 0, {"some": told}, {"some": told}, {}), 0.5)
    assert finding.verdict is Verdict.PASS
    assert ("Close to the limit" in finding.detail) == close


def test_maps_that_vanish_with_what_was_learnt_prove_nothing():
    told = np.zeros((2, 9))
    (finding,) = randomization(Redrawn(3, (1, 3), ("b", "a"), 0, {"some": told}, {"some": told}, {}), 0.5)
    assert (finding.verdict, finding.n) == (Verdict.SKIP, 9)
    assert "nothing is left of the maps" in finding.message


def test_one_image_is_not_called_close():
    told = np.full((2, 1), 0.1)
    (finding,) = randomization(Redrawn(3, (1, 3), ("b", "a"), 0, {"some": told}, {"some": told}, {}), 0.5)
    assert (finding.interval, finding.detail) == (None, "")


def test_with_one_random_order_it_is_the_sign_test_over_the_images(context):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = {"some": np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)}
    bared = uncovered(context, images, target, maps, side=5, steps=7, orders=1, seen=lambda done: None)
    hits = [int((own > others[0]).sum()) for own, others in bared.standing("some")]
    errors = [scipy.stats.binomtest(count, 8, alternative="greater").pvalue for count in hits]
    (faithful,) = faithfulness(bared, ["some"], 0.05)
    assert faithful.value == pytest.approx(max(errors))


@pytest.mark.parametrize(("side", "steps"), [(32, 7), (5, 1)])
def test_where_no_order_matters_none_is_called_better_or_worse(context, side, steps):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = {"some": np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)}
    bared = uncovered(context, images, target, maps, side=side, steps=steps, orders=2, seen=lambda done: None)
    (faithful,) = faithfulness(bared, ["some"], 0.05)
    assert faithful.verdict is Verdict.SKIP
    assert "on 0 images it matters in which order" in faithful.message


def test_an_image_whose_map_is_no_number_hides_no_other(context):
    images, target = tensors(context, context.samples), [sample.predicted for sample in context.samples]
    maps = np.random.default_rng(3).random((8, 32, 32), dtype=np.float32)
    maps[2, 0, 0] = np.nan
    bared = uncovered(context, images, target, {"some": maps}, side=5, steps=7, orders=2, seen=lambda done: None)
    assert np.isfinite(bared.areas("some")).all()
    (faithful,) = faithfulness(bared, ["some"], 0.05)
    assert faithful.n == 7
    assert "nan" not in faithful.detail


def test_no_number_of_images_makes_an_error_of_nought(context):
    flat = np.full((8, 3), 0.5)
    (finding,) = faithfulness(Uncovered({"some": flat}, {"some": flat}, (flat[None], flat[None])), ["some"], 0.0)
    assert finding.verdict is Verdict.SKIP
    assert "no number of images is enough" in finding.message


@pytest.mark.parametrize(
    ("better", "n", "verdict"),
    [
        *((8, 8, Verdict.PASS), (5, 8, Verdict.SKIP), (4, 8, Verdict.SKIP), (2, 8, Verdict.SKIP), (0, 8, Verdict.WARN)),
        *((11, 19, Verdict.SKIP), (11, 20, Verdict.WARN)),
    ],
)
def test_on_few_images_only_what_is_worse_than_random_is_a_warning(better, n, verdict):
    flat = np.full((n, 3), 0.5)
    falls = flat - np.where(np.arange(n) < better, 0.1, -0.1)[:, None] * [0, 1, 0]
    found = Uncovered({"some": falls}, {"some": 1 - falls}, (flat[None], flat[None]))
    (finding,) = faithfulness(found, ["some"], 0.05)
    assert (finding.verdict, finding.n) == (verdict, n)
    assert ("so few images can't tell" in finding.message) == (verdict is Verdict.SKIP)


def test_the_network_is_handed_back_even_where_explaining_breaks(context):
    before = {name: tensor.clone() for name, tensor in context.network.module.state_dict().items()}
    images = tensors(context, context.samples)

    def broken():
        raise RuntimeError("as planted")

    with pytest.raises(RuntimeError, match="as planted"):
        redrawn(context, images, broken, {}, depths=3, shown=1, seen=lambda done: None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in context.network.module.state_dict().items())


def test_too_few_images_are_not_judged(folder):
    found = result_of("trust", folder / "net.pt", folder / "data", {**FEW, "images": 4}, **settings(folder))
    skipped = about(found, "faithfulness")["gradient"]
    assert (skipped.verdict, skipped.n) == (Verdict.SKIP, 4)
    assert "4 images are too few to tell it from a random order; it takes 6" in skipped.message
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
    found = result_of("trust", tmp_path / "net.pt2", folder / "data", FEW, preprocess=PREPROCESS, samples=8)
    (hidden,) = [f for f in found.findings if f.rule == "trust.randomization" and f.subject == ""]
    assert hidden.verdict is Verdict.SKIP
    assert "does not show its layers" in hidden.message
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
    assert "Which pixels speak for the answer" in head
    assert "Guided backprop: hardly depends on the last layers of this network" in head
    assert "gradient: changes with what this network has learnt" in head
    summary = page.partition('id="summary"')[2].partition("</section>")[0]
    assert "Guided backprop: hardly depends on the last layers of this network" in summary
    assert "gradient: changes" not in summary
    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    rules = {(f["rule"], f["subject"]) for result in audit["results"] for f in result["evidence"] if "rule" in f}
    assert {("trust.randomization", "gradient"), ("trust.faithfulness", "guided backprop")} <= rules
