"""Networks of transformers from their folders: the scores that transformers gives, and no code of strangers."""

import json
import sys

import pytest
import torch
from torch import nn

from auditor.errors import ArchitectureError
from auditor.model.architectures import architecture, pretrained
from auditor.model.files import checkpoint
from auditor.model.output import Output
from tests import model_folders
from tests.model_folders import FAMILIES, MORE, network, saved


def built(folder, arch=None, **given):
    return architecture.build(checkpoint.read(folder), arch, arch_args=given)


def rewritten(folder, **changed):
    path = folder / "config.json"
    said = {**json.loads(path.read_text()), **changed}
    path.write_text(json.dumps({key: value for key, value in said.items() if value is not None}))
    return folder


@pytest.mark.parametrize("family", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_a_folder_gives_the_scores_that_transformers_gives(tmp_path, family):
    original = network(family)
    found = built(saved(tmp_path, original))
    assert found.coverage.complete
    assert found.classes == model_folders.NAMES
    assert found.name == type(original).__name__
    images = torch.randn(2, 3, 64, 64) if family in ("LeViT", "FocalNet") else torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(Output("logits").scores(found.module(images)), original(images).logits, atol=1e-5)


@pytest.mark.parametrize("family", ["ViT", "BEiT", "Swin"])
def test_names_in_files_are_known_where_the_user_gives_the_network(tmp_path, family):
    """transformers 5 saves under other names than it runs; in a network of the user's, too, and behind a prefix."""
    original = network(family)
    own = original.state_dict()
    files = checkpoint.read(saved(tmp_path, original) / "model.safetensors").tensors
    assert family == "BEiT" or files.keys() != own.keys()
    alone = pretrained.translated(original, files)
    assert alone.keys() == own.keys()
    assert all(torch.equal(alone[key], own[key]) for key in own)
    inside = nn.Sequential(original)
    named = pretrained.translated(inside, {f"0.{key}": value for key, value in files.items()})
    assert named.keys() == inside.state_dict().keys()
    assert pretrained.translated(inside, files, prefix="0.").keys() == inside.state_dict().keys()


def test_names_of_other_networks_stay_as_they_are():
    tensors = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    assert pretrained.translated(nn.Linear(2, 2), tensors) == tensors


@pytest.mark.parametrize(
    ("changed", "misshaped", "missing"),
    [
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}, 2, 0),
        ({"hidden_size": 32}, 35, 0),
        ({"num_hidden_layers": 3}, 0, 16),
    ],
)
def test_what_transformers_would_draw_anew_is_told(tmp_path, changed, misshaped, missing):
    found = built(rewritten(saved(tmp_path, network()), **changed)).coverage
    assert (len(found.misshaped) > 0, len(found.missing)) == (misshaped > 0, missing)


def test_a_network_without_its_head_lacks_it(tmp_path):
    network().vit.save_pretrained(tmp_path)
    found = built(rewritten(tmp_path, architectures=["ViTForImageClassification"])).coverage
    assert set(found.missing) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"architectures": ["ViTModel"]}, "describes a ViTModel, which gives no scores of classes; expected"),
        ({"architectures": ["BertForSequenceClassification"], "model_type": "bert"}, "a BertForSequenceClassification"),
        ({"architectures": ["CLIPModel"], "model_type": "clip"}, "a CLIPModel, which gives no scores"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "mine.Net"}}, "code of its author in auto_map, which is nev"),
        ({"model_type": "vitt"}, "did you mean 'vit'"),
        ({"model_type": 7}, "has the model_type '7'"),
        ({"hidden_size": 10**9}, r"has hidden_size = 1000000000; expected at most 1,000,000"),
        ({"intermediate_size": 10**6, "hidden_size": 10**4}, "far more than the file has"),
        ({"num_hidden_layers": 10**6}, "far more than the file has"),
        ({"hidden_act": "evil"}, "can't be built"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "describes a quantised network"),
        ({"hidden_size": "many"}, "can't be built"),
    ],
)
def test_what_is_no_image_classifier_or_impossible_is_refused_in_one_line(tmp_path, changed, told):
    folder = rewritten(saved(tmp_path, network()), **changed)
    with pytest.raises(ArchitectureError, match=told) as raised:
        built(folder)
    assert "\n" not in str(raised.value)


def test_a_configuration_chooses_no_code(tmp_path):
    """`attn_implementation` may name a repository whose kernels would be fetched and run."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    folder = rewritten(
        saved(tmp_path, network()),
        attn_implementation="evil/kernels",
        _attn_implementation="evil/kernels",
        auto_map={"AutoModelForImageClassification": "evil.Net"},
        dtype="float16",
    )
    found = built(folder)
    assert found.coverage.complete
    assert found.module.config._attn_implementation in ("sdpa", "eager")
    assert not (tmp_path / "ran").exists()
    assert next(found.module.parameters()).dtype is torch.float32


def test_without_transformers_the_line_says_what_to_install(tmp_path, monkeypatch):
    folder = saved(tmp_path, network())
    monkeypatch.setitem(sys.modules, "transformers.models.auto.modeling_auto", None)
    with pytest.raises(ArchitectureError, match=r"run pip install 'auditor\[hf\]'"):
        built(folder)


def test_placeholders_are_no_class_names(tmp_path):
    assert built(saved(tmp_path, network(names=("LABEL_0", "LABEL_1", "LABEL_2")))).classes is None


def test_without_a_processor_the_size_is_that_of_the_network(tmp_path):
    found = built(saved(tmp_path, network()))
    assert (found.preprocess["crop"], found.preprocess_certain) == (32, False)
