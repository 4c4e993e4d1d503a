"""Real builders with random weights, saved to real files and found again."""

import random
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.errors import ArchitectureError
from auditor.model.architectures import architecture, builders, inference
from auditor.model.architectures.architecture import build
from auditor.model.files.checkpoint import Checkpoint, read
from auditor.process.torchvision import torchvision

timm = pytest.importorskip("timm")  # after torchvision, which it imports itself
models = torchvision.models


def saved(folder, content, name="net.pt") -> Checkpoint:
    torch.save(content, folder / name)
    return read(folder / name)


def network(name, **arguments) -> nn.Module:
    torch.manual_seed(1)
    if name in ("googlenet", "inception_v3"):
        arguments["init_weights"] = False
    return models.get_model(name, **arguments).eval()


def same(one: nn.Module, other: nn.Module, size=64) -> bool:
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        return torch.allclose(one(images), other(images), atol=1e-5)


NET = """
from torch import nn
from blocks import head

answer = 42


class Net(nn.Module):
    def __init__(self, classes=2, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.fc = head(width, classes)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Net()


def breaks():
    raise KeyError("the moon")


def text():
    return "no network"


ready = Net()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "blocks.py").write_text("from torch import nn\n\n\ndef head(w, k):\n    return nn.Linear(w, k)\n")
    return tmp_path / "net.py"


def states(width=4, classes=2):
    torch.manual_seed(2)
    conv, fc = nn.Conv2d(3, width, 3), nn.Linear(width, classes)
    return nn.ModuleDict({"conv": conv, "fc": fc}).state_dict()


# -- found from the file alone


def test_finds_a_resnet50_with_seven_classes_quickly(tmp_path):
    file = saved(tmp_path, network("resnet50", num_classes=7).state_dict())
    before = time.perf_counter()
    built = build(file)
    assert time.perf_counter() - before < 2
    assert built.name == "resnet50"
    assert built.source == "torchvision (inferred from the checkpoint's keys)"
    assert built.coverage.complete
    assert built.module.fc.out_features == 7
    assert built.classes is None
    assert same(built.module, network("resnet50", num_classes=7))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mnasnet0_5", "regnet_y_400mf", "shufflenet_v2_x0_5"])
def test_finds_and_fills_small_torchvision_networks(tmp_path, name):
    built = build(saved(tmp_path, network(name, num_classes=5).state_dict()))
    assert built.name == name
    assert built.coverage.complete
    assert built.coverage.loaded == 1


def weightless(name, **arguments):
    with inference.Weightless():
        return builders.torchvision_builder(name)(arguments).state_dict()


@pytest.mark.parametrize("name", ["densenet121", "efficientnet_b0", "swin_t", "convnext_tiny", "vgg11_bn", "vit_h_14"])
def test_finds_torchvision_networks_of_every_family(name):
    assert inference.infer(weightless(name, num_classes=5)).builder.name == name


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 1000])
def test_finds_every_torchvision_network(classes):
    for name in builders.torchvision_names():
        assert inference.infer(weightless(name, num_classes=classes)).builder.name == name


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_auxiliary_heads_may_be_there_or_not(name, auxiliary):
    state = weightless(name, num_classes=4, aux_logits=auxiliary)
    assert inference.infer(state).builder.name == name
    match = inference.compare(builders.torchvision_builder(name), state)
    assert (match.differing, match.arguments) == (0, {"aux_logits": auxiliary, "num_classes": 4})


def test_googlenet_says_that_its_input_may_want_scaling(tmp_path):
    file = saved(tmp_path, network("googlenet", num_classes=4, aux_logits=False).state_dict())
    built = build(file, "googlenet")
    assert built.coverage.complete
    assert not built.module.transform_input
    assert "--arch-arg transform_input=true" in built.source
    scaling = build(file, "googlenet", arch_args={"transform_input": True})
    assert scaling.module.transform_input
    assert scaling.source == "torchvision"


def test_no_file_needs_memory_for_weights_to_be_compared():
    assert all(t.is_meta for k, t in weightless("vit_h_14").items() if k.endswith("mlp.0.weight"))


def test_finds_a_network_inside_another_ones_attribute(tmp_path):
    state = {f"backbone.{k}": v for k, v in network("resnet18", num_classes=3).state_dict().items()}
    built = build(saved(tmp_path, {"state_dict": state}))
    assert (built.name, built.coverage.complete) == ("resnet18", True)


def test_finds_vision_transformers_under_their_old_names(tmp_path):
    state = network("vit_b_32", num_classes=3).state_dict()
    old = {k.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): v for k, v in state.items()}
    assert old.keys() != state.keys()
    built = build(saved(tmp_path, old))
    assert (built.name, built.coverage.complete) == ("vit_b_32", True)
    assert torch.equal(built.module.state_dict()["heads.head.weight"], state["heads.head.weight"])


def test_finds_safetensors(tmp_path):
    save_file(network("mobilenet_v3_small", num_classes=3).state_dict(), tmp_path / "a.safetensors")
    assert build(read(tmp_path / "a.safetensors")).name == "mobilenet_v3_small"


def test_finds_a_lightning_checkpoint(tmp_path):
    state = {f"model.{k}": v for k, v in network("squeezenet1_1", num_classes=3).state_dict().items()}
    state["criterion.weight"] = torch.ones(3)
    content = {"state_dict": state, "pytorch-lightning_version": "2.5", "hyper_parameters": {"lr": 1e-3}}
    built = build(saved(tmp_path, content))
    assert (built.name, built.coverage.complete) == ("squeezenet1_1", True)


def test_without_a_match_names_the_near_networks_and_the_keys_that_differ(tmp_path):
    state = network("resnet18", num_classes=3).state_dict()
    del state["conv1.weight"]
    with pytest.raises(ArchitectureError) as refused:
        build(saved(tmp_path, state))
    assert "nearest: resnet18 (1 key differs: conv1.weight); " in str(refused.value)
    assert "resnet34" not in str(refused.value)  # 97 keys differ
    assert "--arch" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_old_checkpoints_without_counters_are_whole(tmp_path):
    state = {k: v for k, v in network("resnet18").state_dict().items() if "num_batches_tracked" not in k}
    built = build(saved(tmp_path, state))
    assert (built.name, built.coverage.complete) == ("resnet18", True)


# -- named by the checkpoint


def test_believes_what_the_checkpoint_names(tmp_path):
    content = {"arch": "resnet18", "state_dict": network("resnet18", num_classes=2).state_dict(), "classes": ["a", "b"]}
    built = build(saved(tmp_path, content))
    assert built.source == "torchvision (named by the checkpoint)"
    assert built.classes == ("a", "b")


def test_finds_the_timm_network_that_the_checkpoint_names(tmp_path):
    state = timm.create_model("resnet10t", num_classes=3).state_dict()
    built = build(saved(tmp_path, {"arch": "resnet10t", "state_dict": state}))
    assert (built.source, built.coverage.complete) == ("timm (named by the checkpoint)", True)


def test_a_wrong_name_in_the_checkpoint_does_not_mislead(tmp_path):
    for name in ("resnet34", "my own thing"):
        content = {"arch": name, "state_dict": network("resnet18").state_dict()}
        assert build(saved(tmp_path, content)).name == "resnet18"


def test_code_that_a_checkpoint_names_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('victim').touch()\n")
    state = network("squeezenet1_1", num_classes=2).state_dict()
    for name in ("evil.py:Net", "evil:Net", str(tmp_path / "evil.py:Net"), "timm:hf_hub:evil/evil"):
        assert build(saved(tmp_path, {"arch": name, "state_dict": state})).name == "squeezenet1_1"
    assert not (tmp_path / "victim").exists()


def test_recorded_arguments_load_no_weights(tmp_path):
    state = network("resnet18", num_classes=3).state_dict()
    said = {"weights": "IMAGENET1K_V1", "checkpoint_path": "evil.pt", "pretrained": True}
    assert build(saved(tmp_path, {"arch": "resnet18", "arch_args": said, "state_dict": state})).coverage.complete


# -- named by the user


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_sizes_the_head_of_a_named_network(tmp_path, name):
    built = build(saved(tmp_path, network(name, num_classes=6).state_dict()), name)
    assert built.coverage.complete
    assert same(built.module, network(name, num_classes=6))


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "test_vit"])
def test_builds_and_sizes_timm_networks(tmp_path, name):
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=6).eval()
    built = build(saved(tmp_path, net.state_dict()), f"timm:{name}")
    assert (built.name, built.source, built.coverage.complete) == (name, "timm", True)
    assert same(built.module, net, size=224)


def test_given_arguments_take_precedence(tmp_path):
    built = build(
        saved(tmp_path, network("resnet18", num_classes=6).state_dict()), "resnet18", arch_args={"num_classes": 9}
    )
    assert built.module.fc.out_features == 9
    assert built.coverage.misshaped == ("fc.bias", "fc.weight")
    assert 0.99 < built.coverage.loaded < 1


def test_a_wrong_network_is_a_finding_and_no_error(tmp_path):
    built = build(saved(tmp_path, network("resnet18").state_dict()), "squeezenet1_1")
    assert built.coverage.loaded == 0
    assert "classifier.1.weight" in built.coverage.missing
    assert "fc.weight" in built.coverage.unexpected


def test_part_of_a_network_is_counted_by_elements(file, tmp_path):
    state = states()
    del state["conv.weight"]
    built = build(saved(tmp_path, state | {"extra": torch.ones(1)}), f"{file}:Net")
    assert built.coverage.missing == ("conv.weight",)
    assert built.coverage.unexpected == ("extra",)
    assert built.coverage.loaded == pytest.approx(1 - 108 / 122)


@pytest.mark.parametrize("name", ["Net", "ready"])
def test_calls_what_a_file_defines_with_arguments(file, tmp_path, name):
    built = build(saved(tmp_path, states()), f"{file}:{name}")
    assert (built.name, built.source) == (f"net.py:{name}", "a Python file")
    assert built.coverage.complete
    wide = build(saved(tmp_path, states(width=8, classes=3)), f"{file}:Net", arch_args={"width": 8, "classes": 3})
    assert wide.coverage.complete


@pytest.mark.parametrize("prefix", ["", "model.", "module.model.", "net.", "module.model.model."])
@pytest.mark.parametrize("name", ["Net", "Wrapped"])
def test_a_network_may_itself_have_an_attribute_called_model(file, tmp_path, name, prefix):
    state = {prefix + k: v for k, v in states().items()}
    assert build(saved(tmp_path, state), f"{file}:{name}").coverage.complete


def test_a_file_leaves_no_modules_and_no_path_behind(file, tmp_path):
    modules, path = set(sys.modules), list(sys.path)
    build(saved(tmp_path, states()), f"{file}:Net")
    assert set(sys.modules) - modules == set()
    assert sys.path == path


def test_calls_what_a_module_defines(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_auditor_test").mkdir()
    (tmp_path / "mine_auditor_test" / "nets.py").write_text(NET.replace("from blocks import head", "head = nn.Linear"))
    built = build(saved(tmp_path, states()), "mine_auditor_test.nets:Net")
    assert built.source == "a Python module"
    assert built.coverage.complete


def test_calls_a_plugins_scheme(tmp_path):
    seen = []

    def builder(rest, **arguments):
        seen.append((rest, arguments))
        return nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "fc": nn.Linear(4, 2)})

    built = build(saved(tmp_path, states()), "zoo:some/net", arch_args={"a": 1}, schemes={"zoo": builder})
    assert seen == [("some/net", {"a": 1})]
    assert (built.source, built.coverage.complete) == ("the plugin's scheme zoo", True)


WRONG = {
    "resnet81": "did you mean 'resnet18'",
    "timm:resnet10x": "did you mean 'resnet10t'",
    "timm:hf_hub:timm/resnet18": "timm has no network",
    "nowhere.to:be": "no module 'nowhere.to' can be imported",
    "missing.py:Net": "missing.py does not exist",
    "FILE:Nett": "did you mean 'Net'",
    "FILE:breaks": "KeyError",
    "FILE:text": "returned str; expected a torch.nn.Module",
    "FILE:answer": "is int",
    "some/folder:Net": "but has to be a torchvision name",
    "math:tau": "is float",
    "": "torchvision has no classification network",
}


@pytest.mark.parametrize(("spec", "told"), WRONG.items())
def test_a_wrong_architecture_gives_one_line(file, tmp_path, spec, told):
    with pytest.raises(ArchitectureError) as refused:
        build(saved(tmp_path, states()), spec.replace("FILE", str(file)))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("source", ["def Net(:", "import nowhere_at_all", "1/0", "raise SystemError"])
def test_a_broken_file_gives_one_line(tmp_path, source):
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(ArchitectureError, match=r"net\.py:Net can't be built: \w+"):
        build(saved(tmp_path, states()), f"{tmp_path / 'net.py'}:Net")


@pytest.mark.parametrize("argument", ["weights", "pretrained", "checkpoint_path"])
def test_arguments_that_would_bring_other_weights_are_refused(tmp_path, argument):
    with pytest.raises(ArchitectureError, match="all weights come from the checkpoint"):
        build(saved(tmp_path, network("resnet18").state_dict()), "resnet18", arch_args={argument: "DEFAULT"})


def test_an_unknown_argument_gives_one_line(tmp_path):
    with pytest.raises(ArchitectureError, match=r"resnet18 can't be built: TypeError.*--arch-arg"):
        build(saved(tmp_path, network("resnet18").state_dict()), "resnet18", arch_args={"widht": 3})


def test_says_how_to_get_timm(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ArchitectureError, match=r"pip install timm"):
        build(saved(tmp_path, states()), "timm:resnet10t")


# -- what is handed over


def test_the_network_is_frozen_and_in_float32(tmp_path):
    built = build(saved(tmp_path, network("resnet18", num_classes=2).half().state_dict()))
    assert {p.dtype for p in built.module.parameters()} == {torch.float32}
    assert not any(m.training for m in built.module.modules())
    assert not any(p.requires_grad for p in built.module.parameters())


def test_a_trusted_network_is_used_itself(tmp_path):
    torch.save({"model": network("resnet18", num_classes=2), "classes": ["a", "b"]}, tmp_path / "net.pt")
    built = build(read(tmp_path / "net.pt", trust=True))
    assert (built.name, built.source, built.classes) == ("ResNet", "pickled module", ("a", "b"))
    assert built.coverage.complete


def test_missing_weights_are_the_same_each_time_and_random_streams_stay(tmp_path, file):
    checkpoint = saved(tmp_path, {"fc.bias": torch.ones(2)})
    states_before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one, other = (build(checkpoint, f"{file}:Net").module for _ in range(2))
    assert torch.equal(one.conv.weight, other.conv.weight)
    assert torch.equal(states_before[0], torch.random.get_rng_state())
    assert (states_before[1] == np.random.get_state()[1]).all()
    assert states_before[2] == random.getstate()


def test_the_head_of_a_thousand_gets_torchvisions_class_names(tmp_path):
    built = build(saved(tmp_path, network("squeezenet1_1").state_dict()))
    assert built.classes[:2] == ("tench", "goldfish")
    assert len(built.classes) == 1000


# -- preprocessing


def test_one_recipe_for_all_weights_is_certain(tmp_path):
    built = build(saved(tmp_path, network("resnet18", num_classes=2).state_dict()))
    assert built.preprocess == {
        "resize": 256,
        "crop": 224,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "scale": 1,
        "color": "rgb",
        "interpolation": "bilinear",
    }
    assert built.preprocess_source == "torchvision ResNet18_Weights.IMAGENET1K_V1"
    assert built.preprocess_certain


def test_several_recipes_are_only_plausible(tmp_path):
    built = build(saved(tmp_path, network("resnet50", num_classes=2).state_dict()))
    assert built.preprocess["resize"] == 256
    assert not built.preprocess_certain


def test_a_published_file_is_known_by_its_hash():
    """Its name carries the first letters of its SHA-256."""
    weights = models.ResNet50_Weights.IMAGENET1K_V2
    declared = architecture._of_torchvision("resnet50", "11ad3fa6" + "0" * 56)
    assert "11ad3fa6" in weights.url
    assert declared.source == "torchvision ResNet50_Weights.IMAGENET1K_V2"
    assert declared.certain
    assert declared.preprocess["resize"] == 232


def test_timm_says_its_own_recipe(tmp_path):
    built = build(saved(tmp_path, timm.create_model("resnet10t", num_classes=2).state_dict()), "timm:resnet10t")
    data = timm.data.resolve_data_config({}, model=timm.create_model("resnet10t"))
    assert built.preprocess["crop"] == data["input_size"][1]
    assert built.preprocess["interpolation"] == data["interpolation"]
    assert built.preprocess["resize"] == int(data["input_size"][1] / data["crop_pct"])
    assert built.preprocess_source == "timm pretrained_cfg"


def test_what_the_checkpoint_says_comes_first(tmp_path):
    said = {"resize": 40, "crop": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    content = {"state_dict": network("resnet50", num_classes=2).state_dict(), "preprocess": said}
    built = build(saved(tmp_path, content))
    assert (built.preprocess, built.preprocess_source) == (said, "checkpoint metadata")
    assert built.preprocess_certain


def test_a_network_of_ones_own_has_no_recipe(file, tmp_path):
    built = build(saved(tmp_path, states()), f"{file}:Net")
    assert (built.preprocess, built.preprocess_source) == (None, "")
