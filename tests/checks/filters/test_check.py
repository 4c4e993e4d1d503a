import pytest
import torch

from auditor import plugins
from auditor.config.settings import Settings
from auditor.errors import UsageError
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.results import Figure, Table, Verdict
from auditor.runner import run

FILTERS = Plugins(checks={"filters": plugins.load().checks["filters"]})


def audit(checkpoint, arch, preprocess, *, data=None, **options):
    asked = Settings(
        checkpoint, data, arch=arch, preprocess=preprocess, options={"filters": options} if options else {}
    )
    (result,) = run(asked, FILTERS, Silent()).audit.results
    return result


@pytest.fixture
def made(tmp_path, small):
    """Audit a network of layers whose source is given, with what its seed draws, or what `change` makes of it."""

    def make(layers, change=None, **options):
        source = f"from torch import nn\n\n\ndef net():\n    return nn.Sequential({layers})\n"
        (tmp_path / "made.py").write_text(source)
        space: dict = {}
        exec(source, space)  # noqa: S102 - the text above
        torch.manual_seed(4)
        model = space["net"]()
        with torch.no_grad():
            change and change(model)
        torch.save(model.state_dict(), tmp_path / "made.pt")
        return audit(tmp_path / "made.pt", f"{tmp_path / 'made.py'}:net", small.preprocess, **options)

    return make


HEAD = "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)"


def found(result, rule):
    return [finding for finding in result.findings if finding.rule == rule]


def figures(result):
    return [piece for piece in result.evidence if isinstance(piece, Figure)]


def test_a_trained_network_is_none_of_it(small):
    result = audit(small.checkpoint, small.arch, small.preprocess)
    (noise,) = found(result, "filters.noise")
    assert (noise.verdict, noise.limit, noise.unit) == (Verdict.PASS, 4, "sd")
    assert noise.value > 6
    assert "none of 2 layers is indistinguishable" in noise.message


def test_a_fresh_network_fails_as_a_whole(made):
    result = made(f"nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 1), {HEAD}")
    (noise,) = found(result, "filters.noise")
    assert noise.verdict is Verdict.FAIL
    assert "all 2 layers" in noise.message
    assert "Layers: 0, 2" in noise.detail


def as_trained(*layers):
    """Let some layers be spread otherwise than fresh ones."""

    def change(model):
        for layer in layers:
            model[layer].weight.copy_(torch.rand_like(model[layer].weight) ** 3)

    return change


def test_one_fresh_layer_alone_is_a_warning_and_says_what_is_not_judged(made):
    result = made(f"nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 16, 3), {HEAD}", as_trained(0))
    (noise,) = found(result, "filters.noise")
    assert (noise.verdict, noise.subject, noise.n) == (Verdict.WARN, "2", 16)
    (table,) = [p for p in result.evidence if isinstance(p, Table) and "random" in p.title]
    assert [(row[0], row[-1]) for row in table.rows] == [("0", "not judged"), ("2", "yes")]


def test_layers_that_are_too_small_are_skipped_with_the_reason(made):
    result = made(f"nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 16, 1), {HEAD}", as_trained(0))
    (noise,) = found(result, "filters.noise")
    assert noise.verdict is Verdict.SKIP
    assert "0: 108 weights are too few" in noise.detail


def test_small_layers_and_linear_ones_are_known_for_the_draws_of_pytorch(made):
    head = "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 12), nn.Linear(12, 12), nn.Linear(12, 4)"
    result = made(f"nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 16, 3), {head}", as_trained(2))
    small, linear = found(result, "filters.noise")
    assert (small.verdict, small.subject, small.n) == (Verdict.WARN, "0", 108)
    assert small.limit == pytest.approx(27**-0.5)
    assert (linear.verdict, linear.subject) == (Verdict.WARN, "5")
    assert linear.detail.endswith("The same holds for: 6.")  # the last has 48 weights


def test_several_fresh_layers_are_one_warning(made):
    layers = "nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3)"
    (noise,) = found(made(f"{layers}, {HEAD}", as_trained(2)), "filters.noise")
    assert (noise.verdict, noise.subject) == (Verdict.WARN, "0")
    assert "2 of 3 layers" in noise.message
    assert "Layers: 0, 4" in noise.detail


def test_how_far_from_draws_a_layer_must_be_is_an_option(small):
    result = audit(small.checkpoint, small.arch, small.preprocess, noise_deviations=500.0)
    assert [f.verdict for f in found(result, "filters.noise")] == [Verdict.FAIL]


def test_a_copied_filter_of_a_transposed_convolution_is_found_by_its_output(made):
    def copy(model):
        model[2].weight[:, 9] = 2 * model[2].weight[:, 4]  # [inputs, outputs, rows, columns]

    (twin,) = found(
        made(f"nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 16, 3), {HEAD}", copy), "filters.duplicate"
    )
    assert (twin.verdict, twin.subject) == (Verdict.WARN, "2")
    assert "4 and 9 (+1.000)" in twin.detail


def test_a_filter_that_weight_norm_makes_short_is_dead(made):
    def shorten(model):
        model[0].parametrizations.weight.original0[5] = 1e-6

    norm = "nn.utils.parametrizations.weight_norm"
    result = made(f"{norm}(nn.Conv2d(3, 16, 3)), nn.ReLU(), {HEAD}", shorten)
    (dead,) = found(result, "filters.dead")
    assert (dead.verdict, dead.subject) == (Verdict.WARN, "0")
    assert "Indices: 5" in dead.detail
    assert "Red: near zero." in figures(result)[0].caption


def test_what_is_flat_or_solid_is_named_and_left_out(made):
    layers = f"nn.Conv2d(3, 16, 3), nn.Flatten(2), nn.Conv1d(16, 16, 3), nn.Unflatten(2, (-1, 2)), {HEAD}"
    skipped, _ = found(made(layers), "filters.dead")
    assert skipped.verdict is Verdict.SKIP
    assert "1 convolution in one or three dimensions" in skipped.message
    assert skipped.detail == "2"


@pytest.mark.parametrize(
    ("layers", "names"),
    [("all", ["conv1", "conv2"]), ("spread", ["conv1", "conv2"]), (("conv2",), ["conv2"])],
)
def test_the_layers_asked_for_are_shown(small, layers, names):
    result = audit(small.checkpoint, small.arch, small.preprocess, layers=layers)
    *shown, plotted = figures(result)
    assert [figure.title.partition(":")[0] for figure in shown] == names
    assert plotted.title == "Norms of the filters"


def test_a_layer_that_does_not_exist_is_refused_with_the_nearest_name(small):
    with pytest.raises(UsageError, match="no convolution 'conv3'; did you mean 'conv"):
        audit(small.checkpoint, small.arch, small.preprocess, layers=("conv3",))


@pytest.mark.parametrize("order", ["norm", "similarity", "index"])
def test_a_copy_is_marked_in_the_picture_whatever_the_order(made, order):
    def copy(model):
        model[0].weight[11] = model[0].weight[2]

    result = made(f"nn.Conv2d(3, 16, 3), {HEAD}", copy, order=order, shown=4)
    assert "4 of 16" in figures(result)[0].caption
    assert "Blue: has a duplicate." in figures(result)[0].caption


def test_the_demo_network_has_no_untrained_layer(tmp_path):
    from auditor import demo

    network = demo.prepare(tmp_path)
    (noise,) = found(audit(network.checkpoint, network.arch, network.preprocess), "filters.noise")
    assert noise.verdict is Verdict.PASS
    assert "none of 48 layers" in noise.message


@pytest.mark.slow
def test_the_same_network_with_fresh_weights_fails(tmp_path):
    from auditor import demo

    network = demo.prepare(tmp_path)
    torch.manual_seed(1)
    torch.save(demo.efficientnet_lite0().state_dict(), tmp_path / "fresh.pt")
    noise, linear = found(audit(tmp_path / "fresh.pt", network.arch, network.preprocess), "filters.noise")
    assert noise.verdict is Verdict.FAIL
    assert "all 49 layers" in noise.message
    assert (linear.verdict, linear.subject) == (Verdict.WARN, "_fc")
