"""TorchScript of a quantised network, which has scores and no gradients."""

import warnings

import pytest
import torch
from torch import nn

from tests import folders, networks
from tests.audits import record

pytestmark = pytest.mark.filterwarnings("ignore")  # torch is about to give quantisation and TorchScript up


@pytest.fixture
def audited(tmp_path, monkeypatch, command_line):
    """Audit the program of a dynamically quantised network, and return the end and what each check found."""
    monkeypatch.chdir(tmp_path)
    folders.noise(tmp_path / "images", ("ant", "bee", "cow", "zebra"), 3, (24, 24))
    (tmp_path / "pre.toml").write_text("resize = 24\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.ao.quantization.quantize_dynamic(networks.build(networks.Small).eval(), {nn.Linear}, torch.qint8)
        torch.jit.trace(net, torch.zeros(2, 3, 24, 24)).save("net.pt")

    def run(*flags):
        given = ["--preprocess", "pre.toml", "--data", "images", "--samples", "4", "--format", "json"]
        ended = command_line("run", "net.pt", *given, *flags)
        return ended, {result["check"]: result["evidence"] for result in record()["results"]}

    return run


def test_the_scale_of_a_batch_is_a_warning_with_its_reason(audited):
    ended, found = audited("--trust-checkpoint", "--samples", "12", "-k", "predictions")
    assert ended.code == 0, ended
    (stable,) = (e for e in found["predictions"] if e.get("rule") == "predictions.stability")
    assert stable["verdict"] == "warn"
    assert "quantised dynamically" in stable["detail"]


def test_layers_with_packed_weights_break_no_check_of_weights(audited):
    _, found = audited("--trust-checkpoint", "-k", "filters or weights or checkpoint")
    assert not [e for evidence in found.values() for e in evidence if e.get("verdict") == "error"]


@pytest.mark.parametrize("flags", [("--trust-checkpoint",), ()], ids=["in the process", "in a sandbox"])
def test_what_needs_a_gradient_is_skipped_and_never_shows_zeros(audited, flags):
    ended, found = audited(*flags, "-k", "saliency")
    assert ended.code == 5, ended
    (reason,) = found["saliency"]
    assert (reason["verdict"], "differentiable" in reason["message"]) == ("skip", True)
