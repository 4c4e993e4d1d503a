"""Files whose weights are packed or only change others: one line that names what they are, or merged weights."""

import argparse
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from auditor.model.files.checkpoint import read
from tests import networks
from tests.audits import record

FLAGS = ["--arch", networks.flag(networks.Small), "--check", "checkpoint", "--format", "json"]


@pytest.fixture
def audited(tmp_path, monkeypatch, command_line):
    """Audit what is saved with the check of the checkpoint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 24\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")

    def run(content, name="net.pt"):
        save_file(content, name) if name.endswith("safetensors") else torch.save(content, name)
        return command_line("run", name, *FLAGS)

    return run


def small():
    return networks.build(networks.Small).eval()


def dynamic():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to give this up
        return torch.ao.quantization.quantize_dynamic(small(), {nn.Linear}, dtype=torch.qint8)


def static():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(3, 4, 3), torch.ao.quantization.DeQuantStub())
        net.eval().qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
        prepared = torch.ao.quantization.prepare(net)
        prepared(torch.ones(1, 3, 8, 8))
        return torch.ao.quantization.convert(prepared).state_dict()


def pack(**parts):
    """Return the state of a network whose head has these parts in place of its weight."""
    state = {name: tensor for name, tensor in small().state_dict().items() if name != "head.weight"}
    return state | {f"head.{name.replace('__', '.')}": tensor for name, tensor in parts.items()}


whole, bytes4 = torch.ones(2, 4, dtype=torch.int32), torch.ones(32, 1, dtype=torch.uint8)

PACKS = {
    "torch.ao, dynamic": (lambda: dynamic().state_dict(), "torch.ao.quantization"),
    "torch.ao, static": (static, "torch.ao.quantization"),
    "torch.ao, in a checkpoint": (lambda: {"model": dynamic().state_dict(), "epoch": 1}, "torch.ao.quantization"),
    "torch.ao, pickled whole": (dynamic, "torch.ao.quantization"),
    "GPTQ": (lambda: pack(qweight=whole, qzeros=whole, scales=torch.ones(1, 4), g_idx=whole[0]), "GPTQ"),
    "AWQ": (lambda: pack(qweight=whole, qzeros=whole, scales=torch.ones(1, 4)), "AWQ"),
    "bitsandbytes, 8 bit": (
        lambda: pack(weight=torch.ones(4, 16, dtype=torch.int8), SCB=torch.ones(4)),
        "bitsandbytes",
    ),
    "bitsandbytes, 4 bit": (
        lambda: pack(weight=bytes4, weight__absmax=torch.ones(1), weight__quant_map=torch.ones(16)),
        "bitsandbytes",
    ),
    "optimum-quanto": (
        lambda: pack(weight___data=torch.ones(4, 16, dtype=torch.int8), weight___scale=torch.ones(4, 1)),
        "quanto",
    ),
    "FP8": (
        lambda: pack(weight=torch.ones(4, 16).to(torch.float8_e4m3fn), weight_scale=torch.ones(4)),
        "scales beside",
    ),
    "FSDP": (lambda: {"_fsdp_wrapped_module._flat_param": torch.ones(99)}, "flat parameters of FSDP"),
}


@pytest.mark.parametrize(("make", "told"), PACKS.values(), ids=PACKS)
def test_packed_weights_are_named_in_one_line_and_not_audited(audited, make, told):
    ended = audited(make())
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert told in ended.err
    assert "trust" not in ended.err
    assert any(way in ended.err for way in ("give the float weights", "save a full state dict"))


def test_packed_weights_in_safetensors_are_named_too(audited):
    ended = audited(pack(qweight=whole, qzeros=whole + 1, scales=torch.ones(1, 4)), "net.safetensors")
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "AWQ" in ended.err


def test_scales_beside_float_weights_are_a_network_of_their_own(audited):
    """As in weight standardisation: what does not fit is a finding, and no reason to refuse the file."""
    state = dict(small().state_dict()) | {"head.weight_scale": torch.ones(4)}
    assert audited(state).code == 1


def lora(base, rank=2, alpha=None):
    """Return the state of a network with adapters as peft saves it, and the change of each weight for a scale of 1."""
    torch.manual_seed(1)
    a, b = torch.randn(rank, 16), torch.randn(4, rank)
    kernel_a, kernel_b = torch.randn(rank, 8, 3, 3), torch.randn(16, rank, 1, 1)
    parts = {"head.lora_A.default.weight": a, "head.lora_B.default.weight": b}
    parts |= {"conv2.lora_A.default.weight": kernel_a, "conv2.lora_B.default.weight": kernel_b}
    state = {n.replace("head.", "head.base_layer.").replace("conv2.", "conv2.base_layer."): t for n, t in base.items()}
    return {f"base_model.model.{name}": tensor for name, tensor in (state | parts).items()}, parts


def test_adapters_are_merged_into_their_weights_as_the_layers_compute(audited):
    """The change of a convolution is that of two convolutions, one after the other."""
    base = small().state_dict()
    state, parts = lora(base)
    assert audited({"state_dict": state, "peft_config": {"r": 2, "lora_alpha": 6}}).code in (0, 1)
    (found,) = record()["results"]
    verdicts = {f["rule"]: f["verdict"] for f in found["evidence"] if f["kind"] == "finding"}
    assert {verdicts[f"checkpoint.{rule}"] for rule in ("missing", "unexpected", "shape")} == {"pass"}
    tensors, x = read(Path("net.pt")).tensors, torch.randn(2, 8, 6, 6)
    inner = functional.conv2d(x, parts["conv2.lora_A.default.weight"])
    expected = functional.conv2d(x, base["conv2.weight"]) + 3 * functional.conv2d(
        inner, parts["conv2.lora_B.default.weight"]
    )
    assert torch.allclose(functional.conv2d(x, tensors["conv2.weight"]), expected, atol=1e-4)
    change = parts["head.lora_B.default.weight"] @ parts["head.lora_A.default.weight"]
    assert torch.allclose(tensors["head.weight"], base["head.weight"] + 3 * change, atol=1e-5)


def test_the_root_of_the_rank_scales_where_the_file_says_so(audited):
    base = small().state_dict()
    state, parts = lora(base, rank=4)
    config = {"peft": argparse.Namespace(lora_alpha=8, use_rslora=True)}
    audited({"state_dict": state, **config})
    change = parts["head.lora_B.default.weight"] @ parts["head.lora_A.default.weight"]
    assert torch.allclose(read(Path("net.pt")).tensors["head.weight"], base["head.weight"] + 4 * change, atol=1e-5)


ADAPTERS = {
    "no scale": (lambda: {"state_dict": lora(small().state_dict())[0]}, "does not say lora_alpha"),
    "adapter alone": (
        lambda: {n: t for n, t in lora(small().state_dict())[0].items() if "lora" in n},
        "is a LoRA adapter, which only changes another network's weights",
    ),
    "two adapters": (
        lambda: {
            "state_dict": lora(small().state_dict())[0]
            | {
                "conv1.lora_A.other.weight": torch.ones(2, 3, 5, 5),
                "conv1.lora_B.other.weight": torch.ones(8, 2, 1, 1),
            },
            "lora_alpha": 2,
        },
        "has several of them",
    ),
}


@pytest.mark.parametrize(("make", "told"), ADAPTERS.values(), ids=ADAPTERS)
def test_adapters_that_cannot_be_merged_cost_one_line_that_says_how(audited, make, told):
    ended = audited(make())
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert told in ended.err
    assert "merge_and_unload()" in ended.err


def test_an_adapter_in_safetensors_is_named(audited):
    parts = {name: tensor for name, tensor in lora(small().state_dict())[0].items() if "lora" in name}
    named = {name.replace(".default.", "."): tensor for name, tensor in parts.items()}
    ended = audited(named, "adapter_model.safetensors")
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "is a LoRA adapter" in ended.err
