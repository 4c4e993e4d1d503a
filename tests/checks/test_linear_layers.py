"""Units of linear layers that repeat each other or never fire: found where planted, and not in sound networks."""

import pytest
import torch

from auditor.results import Verdict
from tests import networks
from tests.audits import result_of
from tests.digits import digits, fitted, write

PREPROCESS = {"resize": "none", "crop": [28, 28], "mean": [0.0], "std": [1.0], "color": "gray"}
KINDS = {"Perceptron": networks.perceptron, "Tokens": networks.Tokens}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of two networks that were trained for two epochs, and of 320 other digits."""
    folder = tmp_path_factory.mktemp("linear")
    write(folder / "data", 320)
    (images, labels), _ = digits()
    for name, kind in KINDS.items():
        net = fitted(networks.build(kind), images, labels, epochs=2, rate=0.003)
        networks.save(net, folder / f"{name}.pt")
    return folder


@pytest.fixture
def found(trained, tmp_path):
    """Audit a network after a change, and return the findings of a rule."""

    def audited(name, rule, change=lambda state: None, data=trained / "data"):
        state = torch.load(trained / f"{name}.pt", weights_only=True)
        change(state)
        torch.save(state, tmp_path / "net.pt")
        asked = {"arch": networks.flag(KINDS[name]), "preprocess": PREPROCESS, "samples": 4}
        findings = result_of(rule.split(".")[0], tmp_path / "net.pt", data, {}, **asked).findings
        return [finding for finding in findings if finding.rule == rule]

    return audited


def repeated(layer, count, factor=1.0):
    def change(state):
        for part in ("weight", "bias"):
            values = state[f"{layer}.{part}"]
            values[count : 2 * count] = factor * values[:count]

    return change


def far_down(layer, count):
    def change(state):
        state[f"{layer}.bias"][:count] = -200.0

    return change


def unmoved(layer, count):
    def change(state):
        state[f"{layer}.weight"][:count] = 0.0
        state[f"{layer}.bias"][:count] = 0.3

    return change


@pytest.mark.parametrize("name", ["Perceptron", "Tokens"])
@pytest.mark.parametrize("rule", ["filters.duplicate", "activations.dead"])
def test_sound_networks_are_not_accused(found, name, rule):
    assert max(finding.verdict for finding in found(name, rule)) is Verdict.PASS


@pytest.mark.parametrize(
    ("name", "layer", "count", "factor"),
    [
        ("Perceptron", "1", 10, 2.0),
        ("Perceptron", "3", 5, -1.0),
        ("Tokens", "block.fc1", 8, 0.5),
        ("Tokens", "block.mix.0", 4, 1.0),
    ],
)
def test_units_that_repeat_others_are_found(found, name, layer, count, factor):
    told = [f for f in found(name, "filters.duplicate", repeated(layer, count, factor)) if f.verdict is Verdict.WARN]
    assert [finding.subject for finding in told] == [layer]
    assert told[0].message.startswith(f"{2 * count} of ")
    assert "units have a duplicate" in told[0].message
    assert told[0].message.endswith("(confirmed by their outputs)")
    assert f"0 and {count}" in told[0].detail


def test_opposite_units_that_are_not_exactly_so_are_left_alone(found):
    def nearly(state):
        repeated("1", 10, -1.0)(state)
        state["1.weight"][10:20] += 0.1 * state["1.weight"][:10].std() * torch.randn(10, 784, generator=seeded())

    assert max(finding.verdict for finding in found("Perceptron", "filters.duplicate", nearly)) is Verdict.PASS


def seeded():
    return torch.Generator().manual_seed(0)


def test_projections_and_classes_that_are_only_alike_are_not_judged(found):
    def change(state):
        repeated("block.fc2", 8)(state)
        repeated("block.attend.out_proj", 8)(state)
        repeated("head", 2, 1.0001)(state)

    assert max(finding.verdict for finding in found("Tokens", "filters.duplicate", change)) is Verdict.PASS


def test_classes_of_the_same_weights_are_told_by_name(found):
    (told,) = [f for f in found("Perceptron", "filters.duplicate", repeated("5", 1)) if f.verdict is Verdict.WARN]
    assert (told.subject, told.value, told.limit) == ("5", 0.2, 0)
    assert told.detail.endswith("Check whether these classes were trained: 0, 1")


@pytest.mark.parametrize("layer", ["block.fc1", "block.mix.0"])
@pytest.mark.parametrize(("change", "kind"), [(far_down, "are dead"), (unmoved, "are constant")])
def test_units_that_never_fire_on_any_token_are_found(found, layer, change, kind):
    bad = [f for f in found("Tokens", "activations.dead", change(layer, 8)) if f.verdict is Verdict.WARN]
    assert [finding.subject for finding in bad] == [layer]
    assert kind in bad[0].message


def test_of_units_that_see_the_whole_image_over_half_have_to_be_dead(found):
    def judged(count):
        return {one.subject: one for one in found("Perceptron", "activations.dead", far_down("1", count))}["1"]

    some, most = judged(30), judged(50)
    assert (some.verdict, some.limit) == (Verdict.PASS, 0.5)
    assert (most.verdict, most.limit) == (Verdict.WARN, 0.5)
    assert found("Perceptron", "activations.dead", unmoved("1", 20))[0].verdict is Verdict.WARN


def test_on_few_images_a_unit_that_sees_the_whole_image_is_not_called_dead(found, tmp_path):
    write(tmp_path / "few", 60)
    (told,) = found("Perceptron", "activations.dead", far_down("1", 60), data=tmp_path / "few")
    assert (told.verdict, told.subject) == (Verdict.SKIP, "1")
    assert "60 images are too few to call a channel dead (300 needed)" in told.message


HOMEMADE = """
import torch
from torch import nn


class TurnedLinear(nn.Module):
    '''Its weights lie the other way round, and its bias has a row.'''

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.zeros(1, outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


def Turned(num_classes=10):
    return nn.Sequential(nn.Flatten(), TurnedLinear(784, 80), nn.ReLU(), TurnedLinear(80, num_classes))
"""


def test_linear_layers_of_an_unknown_making_are_left_alone(trained, tmp_path):
    (tmp_path / "nets.py").write_text(HOMEMADE)
    space: dict = {}
    exec(HOMEMADE, space)  # noqa: S102 - the text above
    torch.save(space["Turned"]().state_dict(), tmp_path / "net.pt")
    asked = {"arch": f"{tmp_path / 'nets.py'}:Turned", "preprocess": PREPROCESS, "samples": 4}
    found = result_of("filters", tmp_path / "net.pt", trained / "data", {}, **asked)
    assert {finding.verdict for finding in found.findings} <= {Verdict.SKIP, Verdict.PASS, Verdict.INFO}


def test_classes_that_are_no_numbers_are_not_called_the_same(found):
    def change(state):
        state["5.weight"][:3], state["5.bias"][:3] = float("nan"), float("nan")

    assert not [f for f in found("Perceptron", "filters.duplicate", change) if f.verdict is Verdict.WARN]
