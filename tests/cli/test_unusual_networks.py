"""Networks that are built in unusual ways: which are audited, and in which words the others are refused."""

import pytest
import torch

from tests import folders, unusual_networks
from tests.audits import record

AUDITED = [
    *("GreyStem", "Convolutions", "CustomFunction", "ControlFlow", "lambdas", "Functional", "Reused", "SharedWeights"),
    *("perceptron", "Rows", "AttentionPooling", "ending_in_softmax", "ending_in_log_softmax", "Cached", "LazyLayers"),
    *("AutocastInside", "Reentrant", "TwoBranches", "HalfCut", "FeaturesAndScores", "ScoresAndFeatures"),
    *("InDataclass", "Auxiliary"),
]
WITHOUT_GRADIENT = ["NoGrad", "InferenceMode", "Rounding"]
REFUSED = {
    "all_in_half": "it computes in float16, and its weights are audited in float32",
    "all_in_bfloat16": "it computes in bfloat16, and its weights are audited in float32",
    "Bfloat16Inside": "Input type (c10::BFloat16) and bias type (float) should be the same",
    "dynamically_quantised": "its weights are quantised by torch.ao.quantization",
    "Quantised": "its weights are quantised by torch.ao.quantization",
    "TwoHeads": "2 outputs of the network may be the class scores: kind [4], season [4]; choose one with --output",
}


@pytest.fixture
def audited(tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    folders.noise(tmp_path / "photos", "abcd", 2, (40, 40))
    (tmp_path / "auditor.toml").write_text(
        "samples = 1\n[preprocess]\nresize = 32\ncrop = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n"
    )

    def audit(name, *flags, checks="checkpoint or predictions or saliency"):
        torch.manual_seed(0)
        network = getattr(unusual_networks, name)().eval()
        with torch.no_grad():
            network(torch.zeros(2, 3, 32, 32))
        torch.save(network.state_dict(), "net.pt")
        named = ["net.pt", "--arch", f"{unusual_networks.__file__}:{name}", "--data", "photos", "-k", checks]
        return command_line("run", *named, "--format", "json", "--out", "out", *flags)

    return audit


def verdicts(rule):
    return [e["verdict"] for r in record("out")["results"] for e in r["evidence"] if e.get("rule") == rule]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", AUDITED)
def test_is_audited_and_its_gradients_are_shown(audited, name):
    done = audited(name)
    assert done.code in (0, 1), done.err
    assert verdicts("saliency.vanishing") != []
    assert not [r for r in record("out")["results"] if r["verdict"] == "error"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_without_a_gradient_methods_by_gradient_are_skipped_and_occlusion_runs(audited, name):
    done = audited(name, checks="saliency or occlusion")
    assert done.code in (0, 1), done.err
    assert {r["check"]: r["verdict"] for r in record("out")["results"]}["saliency"] == "skip"
    assert verdicts("occlusion.insensitive") != []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_in_one_line_that_says_why(audited, name):
    done = audited(name)
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert REFUSED[name] in done.err


@pytest.mark.parametrize("choice", ["season", "1"])
def test_an_output_is_chosen_by_name_or_by_index(audited, choice):
    done = audited("TwoHeads", "--output", choice)
    assert done.code in (0, 1), done.err
    assert record("out")["provenance"]["architecture"]["output"].startswith("season")


def test_an_output_that_is_none_is_refused_with_the_names_of_all(audited):
    done = audited("TwoHeads", "--output", "seasons")
    assert done.code == 4
    assert "season" in done.err
