"""TorchScript of a quantised network, which has scores and no gradients."""

import warnings

import pytest
import torch
from torch import nn

from tests import folders, networks
from tests.audits import record


@pytest.mark.filterwarnings("ignore")  # torch is about to give quantisation and TorchScript up
def test_a_dynamically_quantised_program_is_no_failure_for_the_scale_of_its_batch(tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    folders.noise(tmp_path / "images", ("ant", "bee", "cow", "zebra"), 3, (24, 24))
    (tmp_path / "pre.toml").write_text("resize = 24\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.ao.quantization.quantize_dynamic(networks.build(networks.Small).eval(), {nn.Linear}, torch.qint8)
        torch.jit.trace(net, torch.zeros(2, 3, 24, 24)).save("net.pt")
    given = ["--trust-checkpoint", "--preprocess", "pre.toml", "--data", "images", "--format", "json"]
    ended = command_line("run", "net.pt", *given, "-k", "predictions")
    assert ended.code == 0, ended
    (found,) = record()["results"]
    (stable,) = (e for e in found["evidence"] if e.get("rule") == "predictions.stability")
    assert stable["verdict"] == "warn"
    assert "quantised dynamically" in stable["detail"]
