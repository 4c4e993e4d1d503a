"""Known networks that somebody changed before training: found again, or told and not guessed."""

import pytest
import torch
from torch import nn

from auditor.errors import ArchitectureError
from auditor.model.architectures.architecture import build
from auditor.model.files.checkpoint import read
from auditor.process.torchvision import torchvision

timm = pytest.importorskip("timm")  # after torchvision, which it imports itself


def network(name, **arguments):
    torch.manual_seed(0)
    return torchvision.models.get_model(name, **arguments).eval()


def resnet(**parts):
    net = network("resnet18", num_classes=4)
    for name, part in parts.items():
        setattr(net, name, part)
    return net.eval()


def mobilenet(place, head):
    net = network("mobilenet_v2", num_classes=4)
    net.classifier = head if place == "classifier" else net.classifier
    if place == "classifier.1":
        net.classifier[1] = head
    return net.eval()


def built(folder, net, arch=None, **arguments):
    state = net if isinstance(net, dict) else net.state_dict()
    torch.save(state, folder / "net.pt")
    return build(read(folder / "net.pt"), arch, arch_args=arguments)


HEADS = {
    "dropout before it": resnet(fc=nn.Sequential(nn.Dropout(), nn.Linear(512, 3))),
    "without bias": resnet(fc=nn.Sequential(nn.Linear(512, 3, bias=False))),
    "the whole head": mobilenet("classifier", nn.Linear(1280, 3)),
    "in its place": mobilenet("classifier.1", nn.Sequential(nn.Dropout(), nn.Linear(1280, 3))),
    "another place": mobilenet("classifier", nn.Sequential(nn.Dropout(), nn.Identity(), nn.Linear(1280, 3))),
    "one channel": resnet(conv1=nn.Conv2d(1, 64, 7, 2, 3, bias=False)),
    "13 channels, and a head": resnet(
        conv1=nn.Conv2d(13, 64, 7, 2, 3, bias=False), fc=nn.Sequential(nn.Dropout(), nn.Linear(512, 3))
    ),
}


@pytest.mark.parametrize("case", HEADS)
@pytest.mark.parametrize("named", [False, True])
def test_a_changed_head_or_first_layer_gives_equal_answers(tmp_path, case, named):
    net = HEADS[case].eval()
    found = built(
        tmp_path, net, type(net).__name__.lower().replace("resnet", "resnet18").replace("v2", "_v2") * named or None
    )
    assert found.coverage.complete
    assert "changed: " in found.source
    channels = next(net.parameters()).shape[1]
    images = torch.rand(2, channels, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), net(images))


def test_the_preprocessing_of_other_channels_is_not_that_of_the_library(tmp_path):
    assert built(tmp_path, HEADS["one channel"]).preprocess is None
    assert built(tmp_path, HEADS["dropout before it"]).preprocess is not None


@pytest.mark.slow
def test_the_size_of_the_image_follows_from_the_position_embeddings(tmp_path):
    net = network("vit_b_16", image_size=96, num_classes=3)
    net.heads = nn.Linear(768, 3)
    found = built(tmp_path, net)
    assert (found.name, found.coverage.complete) == ("vit_b_16", True)
    assert (found.preprocess["crop"], found.preprocess_certain) == ([96, 96], False)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), net(images))


def test_channels_and_size_of_timm_are_its_arguments(tmp_path):
    net = timm.create_model("vit_tiny_patch16_224", img_size=96, in_chans=1, num_classes=5).eval()
    found = built(tmp_path, net, "timm:vit_tiny_patch16_224")
    assert found.coverage.complete
    with torch.no_grad():
        torch.testing.assert_close(found.module(torch.ones(1, 1, 96, 96)), net(torch.ones(1, 1, 96, 96)))


def test_what_is_given_is_not_changed(tmp_path):
    net = HEADS["dropout before it"]
    assert not built(tmp_path, net, "resnet18", num_classes=7).coverage.complete


TWO_LAYERS = nn.Sequential(nn.Linear(512, 8), nn.GELU(), nn.Linear(8, 3))
UNTOLD = {
    "a head of two layers": (resnet(fc=TWO_LAYERS), r"resnet18, but its head was replaced: fc\.0\.weight 8x512, fc\.2"),
    "a head with a norm": (resnet(fc=nn.Sequential(nn.BatchNorm1d(512), nn.Linear(512, 3))), "its head was replaced"),
    "a stem of small images": (
        resnet(conv1=nn.Conv2d(3, 64, 3, 1, 1, bias=False)),
        r"first layer is changed: conv1\.weight is 64x3x3x3 instead of 64x3x7x7\. Its stride",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", UNTOLD)
def test_what_leaves_no_trace_is_told_and_not_guessed(tmp_path, case):
    net, words = UNTOLD[case]
    with pytest.raises(ArchitectureError, match=words) as refused:
        built(tmp_path, net)
    assert "--arch path/to/file.py:callable" in str(refused.value)


@pytest.mark.slow
def test_no_network_is_called_near_that_is_not(tmp_path):
    with pytest.raises(ArchitectureError) as refused:
        built(tmp_path, timm.create_model("vit_tiny_patch16_224"))
    line = str(refused.value)
    assert "none of the 80 is near, its names look like a vision transformer of timm (--arch timm:NAME)" in line
    assert "alexnet" not in line


def openmmlab(state):
    """Return a state dict under the names of mmpretrain."""
    return {f"head.{k}" if k.startswith("fc.") else f"backbone.{k}": v for k, v in state.items()}


def test_a_resnet_of_mmpretrain_gives_equal_answers(tmp_path):
    net = resnet()
    content = {
        "meta": {"epoch": 1, "cfg": "model = dict()"},
        "state_dict": openmmlab(net.state_dict()),
        "optimizer": {},
    }
    found = built(tmp_path, content)
    assert (found.name, found.coverage.complete) == ("resnet18", True)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), net(images))


def test_a_vision_transformer_of_mmpretrain_gives_equal_answers(tmp_path):
    net = torchvision.models.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=3).eval()
    theirs = {
        "class_token": "backbone.cls_token", "encoder.pos_embedding": "backbone.pos_embed",
        "conv_proj.": "backbone.patch_embed.projection.", "encoder.ln.": "backbone.ln1.",
        "heads.head.": "head.layers.head.", "encoder.layers.encoder_layer_": "backbone.layers.",
    }  # fmt: skip
    inside = {
        ".ln_1.": ".ln1.", ".ln_2.": ".ln2.", ".mlp.0.": ".ffn.layers.0.0.", ".mlp.3.": ".ffn.layers.1.",
        ".self_attention.in_proj_": ".attn.qkv.", ".self_attention.out_proj.": ".attn.proj.",
    }  # fmt: skip
    state = {}
    for key, value in net.state_dict().items():
        for old, new in (*theirs.items(), *inside.items()):
            key = key.replace(old, new)
        state[key] = value
    (tmp_path / "vit.py").write_text(
        "from auditor.process.torchvision import torchvision\n\n\n"
        "def net():\n    return torchvision.models.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=3)\n"
    )
    found = built(tmp_path, {"state_dict": state}, f"{tmp_path / 'vit.py'}:net")
    assert found.coverage.complete
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), net(images))


LAZY = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.n, self.f = nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(5)

    def forward(self, x):
        return self.f(self.n(self.c(x)).relu().mean((2, 3)))
"""


def test_lazy_layers_get_their_shapes_from_the_file(tmp_path):
    (tmp_path / "net.py").write_text(LAZY)
    space = {}
    exec(LAZY, space)  # noqa: S102
    net = space["Net"]()
    net(torch.rand(2, 3, 8, 8))
    found = built(tmp_path, net, f"{tmp_path / 'net.py'}:Net")
    assert [type(part).__name__ for part in found.module.children()] == ["Conv2d", "BatchNorm2d", "Linear"]
    assert (found.module.c.in_channels, found.module.n.num_features, found.module.f.in_features) == (3, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(found.module(torch.ones(1, 3, 8, 8)), net.eval()(torch.ones(1, 3, 8, 8)))
    state = {key: value for key, value in net.state_dict().items() if not key.startswith("f.")}
    with pytest.raises(ArchitectureError, match=r"lazy layers.*lacks f\.weight, f\.bias"):
        built(tmp_path, state, f"{tmp_path / 'net.py'}:Net")
