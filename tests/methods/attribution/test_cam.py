import captum.attr
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.methods import Location, Unit, enlarged, grad_cam, gradient, guided_backprop, guided_grad_cam, last_maps
from auditor.process.torchvision import torchvision


class Maps(nn.Module):
    """Maps, their mean, and linear scores: Grad-CAM is the maps weighted with the weights, over their number."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 7, 3), nn.Linear(7, 4)
        self.double()

    def forward(self, images):
        return self.head(F.relu(self.conv(images), inplace=True).mean((2, 3)))


def test_where_scores_are_linear_in_the_mean_of_the_maps_it_is_the_class_activation_map():
    """B. Zhou et al.: Learning Deep Features for Discriminative Localization, CVPR 2016."""
    model, images = Maps(), torch.randn(3, 3, 8, 12, dtype=torch.float64)
    found = grad_cam(model, images, [0, 3, 1], signed=True)
    maps = model.conv(images).relu().detach()
    weights = model.head.weight[[0, 3, 1]].detach()
    expected = torch.einsum("nk,nkhw->nhw", weights, maps) / (6 * 10)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(grad_cam(model, images, [0, 3, 1]), expected.clamp(min=0), rtol=1e-12, atol=1e-15)


def test_a_named_layer_is_taken_before_its_activation_even_if_that_is_in_place():
    model, images = Maps(), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    before = model.conv(images).detach()
    source = before.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.head(source.relu().mean((2, 3)))[0, 2], source)
    expected = (slope.mean((2, 3), keepdim=True) * before).sum(1)
    torch.testing.assert_close(grad_cam(model, images, 2, "conv", signed=True), expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(grad_cam(model, images, 2, model.conv, signed=True), expected, rtol=1e-12, atol=1e-15)


def test_without_a_name_it_is_taken_after_its_activation():
    model, images = Maps(), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    assert last_maps(model, images) == Location("conv", rectified=True)
    torch.testing.assert_close(grad_cam(model, images, 1), grad_cam(model, images, 1, Location("conv", rectified=True)))


def test_several_classes_of_one_image():
    model, images = Maps(), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    found = grad_cam(model, images, [2, 0])
    for place, target in enumerate((2, 0)):
        torch.testing.assert_close(found[place], grad_cam(model, images, target)[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer"), [
    ("resnet18", "layer4"), ("resnet18", "layer3.0.conv2"), ("vgg11", "features.10"), ("densenet121", "features"),
    ("mobilenet_v2", "features.18"),
])  # fmt: skip
def test_agrees_with_captum(name, layer):
    torch.manual_seed(3)
    model = getattr(torchvision.models, name)(weights=None).eval()
    images = torch.randn(2, 3, 96, 96)
    theirs = captum.attr.LayerGradCam(model, model.get_submodule(layer))
    expected = theirs.attribute(images, target=[5, 9], relu_attributions=True)[:, 0].detach()
    found = grad_cam(model, images, [5, 9], layer)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


CHOSEN = {
    "resnet18": "layer4",
    "vgg11": "features.19",
    "squeezenet1_1": "features",
    "densenet121": "features, after its rectifier",
    "googlenet": "inception5b",
    "mobilenet_v2": "features",
    "convnext_tiny": "features",
    "vit_b_32": "encoder.layers.encoder_layer_11.ln_1",
    "swin_t": "permute",
    "timm/vit_tiny_patch16_224": "blocks.11.norm1",
    "timm/swin_tiny_patch4_window7_224": "norm",
    "timm/resnetv2_50": "norm",
}
GRIDS = {"vgg11": (14, 14), "squeezenet1_1": (13, 13), "timm/vit_tiny_patch16_224": (14, 14)}


def family(name):
    torch.manual_seed(5)
    if name.startswith("timm/"):
        import timm  # after torchvision, which it needs

        model = timm.create_model(name.removeprefix("timm/"), pretrained=False)
    else:
        unstarted = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, name)(weights=None, **unstarted)
    for key, parameter in model.named_parameters():
        if key.startswith("head"):
            nn.init.normal_(parameter, std=0.02)  # vision transformers begin with scores of zero
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_finds_the_last_maps_before_the_classifier(name):
    model, images = family(name), torch.randn(2, 3, 224, 224)
    assert str(last_maps(model, images)) == CHOSEN[name]
    assert grad_cam(model, images[:1], 7).shape == (1, *GRIDS.get(name, (7, 7)))


def test_tokens_are_put_back_in_their_grid():
    """The patches of a transformer lie row by row; what comes first stands for no patch."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.patches, self.tokens, self.head = nn.Conv2d(3, 5, 4, 4), nn.Identity(), nn.Linear(5, 3)
            self.double()

        def forward(self, images):
            rows = self.patches(images).flatten(2).transpose(1, 2)
            rows = self.tokens(torch.cat([9 + rows[:, :1], rows], 1))
            return self.head(rows[:, 1:].mean(1))

    model, images = Tokens(), torch.randn(1, 3, 12, 20, dtype=torch.float64)
    maps = model.patches(images).detach()
    expected = torch.einsum("k,nkhw->nhw", model.head.weight[1].detach(), maps) / 15
    torch.testing.assert_close(grad_cam(model, images, 1, "tokens", signed=True), expected)
    unit = Unit("tokens", 2, 1, 3)
    found = gradient(model, images, unit)
    assert found.abs().sum((0, 1)).nonzero().amin(0).tolist() == [4, 12]
    assert found.abs().sum((0, 1)).nonzero().amax(0).tolist() == [7, 15]


def test_channels_that_come_last_are_told_from_rows():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.norm, self.head = nn.Conv2d(3, 5, 4, 4), nn.LayerNorm(5), nn.Linear(5, 3)

        def forward(self, images):
            return self.head(self.norm(self.conv(images).permute(0, 2, 3, 1)).mean((1, 2)))

    assert grad_cam(Last(), torch.randn(2, 3, 16, 24), 0, "norm").shape == (2, 4, 6)
    assert str(last_maps(Last(), torch.randn(2, 3, 16, 24))) == "norm"


def test_guided_grad_cam_is_the_product_at_the_size_of_the_image():
    model, images = Maps(), torch.randn(2, 3, 8, 12, dtype=torch.float64)
    coarse = grad_cam(model, images, 1)
    expected = guided_backprop(model, images, 1) * enlarged(coarse, (8, 12))[:, None]
    torch.testing.assert_close(guided_grad_cam(model, images, 1), expected)


def test_enlarging_keeps_the_mean_and_the_middle_of_a_ramp():
    ramp = torch.arange(4.0).expand(1, 3, 4)
    large = enlarged(ramp, (30, 40))
    assert large.mean() == pytest.approx(1.5)
    assert large[0, 0, 5].item() == pytest.approx(0.05)
    assert large[0, 0, 19].item() == pytest.approx(1.45)


def test_the_last_run_of_a_shared_module_counts():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.one, self.two, self.act, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Linear(6, 3)

        def forward(self, images):
            return self.head(self.act(self.two(self.act(self.one(images)))).mean((2, 3)))

    assert grad_cam(Shared(), torch.randn(1, 3, 12, 12), 0, "act").shape == (1, 8, 8)
    assert str(last_maps(Shared(), torch.randn(1, 3, 12, 12))) == "act"


@pytest.mark.parametrize(("layer", "words"), [
    ("cnov", "no layer 'cnov'; did you mean 'conv'"),
    ("unused", "layer 'unused' has no tensor as output"),
    (nn.Conv2d(3, 3, 1), "a Conv2d that is not part of the network"),
    (Location("head", rectified=True), "no rectifier directly follows layer 'head'"),
])  # fmt: skip
def test_refuses_layers_that_can_not_be_looked_at(layer, words):
    model = Maps()
    model.unused = nn.Identity()
    with pytest.raises(ValueError, match=words):
        grad_cam(model, torch.randn(1, 3, 8, 8, dtype=torch.float64), 0, layer)


def test_says_so_where_there_are_no_maps():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with pytest.raises(ValueError, match="no layer has maps"):
        grad_cam(model, torch.randn(1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="does not show them"):
        grad_cam(lambda images: model(images), torch.randn(1, 3, 4, 4), 0)


def test_the_score_of_a_unit_before_the_layer_does_not_depend_on_it():
    class Two(Maps):
        def __init__(self):
            super().__init__()
            self.second = nn.Conv2d(7, 7, 3).double()

        def forward(self, images):
            return self.head(self.second(self.conv(images)).mean((2, 3)))

    with pytest.raises(ValueError, match="layer 'conv' has no tensor as output that depends on layer 'second'"):
        grad_cam(Two(), torch.randn(1, 3, 8, 8, dtype=torch.float64), Unit("conv", 0), "second")


def test_rows_and_columns_of_unequal_strides_are_not_taken_for_channels():
    class Uneven(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv2d(3, 16, 3, stride=(2, 1), padding=1), nn.Linear(16, 3)

        def forward(self, images):
            return self.head(self.conv(images).relu().mean((2, 3)))

    model, images = Uneven(), torch.randn(2, 3, 32, 32)
    assert grad_cam(model, images, 0).shape == (2, 16, 32)
    with pytest.raises(IndexError, match="no channel 20: it has 16"):
        gradient(model, images, Unit("conv", 20))


def test_a_rectifier_after_a_pooling_is_the_one_that_follows():
    class Digits(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv2d(1, 6, 5), nn.Linear(6 * 36, 3)

        def forward(self, images):
            return self.head(F.relu(F.max_pool2d(self.conv(images), 2)).flatten(1))

    model, images = Digits(), torch.randn(1, 1, 16, 16)
    assert last_maps(model, images) == Location("conv", rectified=True)
    maps = F.max_pool2d(model.conv(images), 2).relu().detach()
    slope = model.head.weight[1].view(6, 6, 6).detach()
    expected = (slope.mean((1, 2))[None, :, None, None] * maps).sum(1)
    torch.testing.assert_close(grad_cam(model, images, 1, signed=True), expected)


def test_maps_of_attention_are_no_features():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.patches, self.norm, self.qk = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, 16)
            self.attend, self.head = nn.Softmax(-1), nn.Linear(8, 3)
            self.token = nn.Parameter(torch.randn(1, 1, 8))

        def forward(self, images):
            rows = self.patches(images).flatten(2).transpose(1, 2)
            rows = self.norm(torch.cat([self.token.expand(len(rows), -1, -1), rows], 1))
            queries, keys = self.qk(rows).chunk(2, -1)
            weights = self.attend((queries @ keys.transpose(1, 2))[:, None])  # one head: [n, 1, t, t]
            return self.head((torch.cat([weights, weights], 1).mean(1) @ rows)[:, 0])

    assert str(last_maps(Attending(), torch.randn(1, 3, 32, 32))) == "norm"


def test_maps_of_as_many_channels_as_classes_may_be_features_all_the_same():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(432, 3))
    classes = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert str(last_maps(plain, torch.randn(1, 3, 16, 16))) == "3"
    assert str(last_maps(classes, torch.randn(1, 3, 16, 16))) == "1"
