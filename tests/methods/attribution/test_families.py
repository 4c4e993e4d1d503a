"""Every family of classifiers passes through every method that applies to it, and says why another does not."""

import pytest
import torch

from auditor.methods import NoRectifier, explain, guided_grad_cam, integrated_gradients, last_maps, smooth_grad
from tests.methods.attribution.test_cam import family

RECTIFIED = {
    "alexnet": 7,
    "vgg11": 10,
    "vgg13_bn": 12,
    "resnet18": 17,
    "resnet50": 49,
    "resnext50_32x4d": 49,
    "squeezenet1_1": 26,
    "densenet121": 121,
    "googlenet": 57,
    "inception_v3": 94,
    "mobilenet_v2": 35,
    "mobilenet_v3_small": 14,
    "mnasnet0_5": 35,
    "shufflenet_v2_x0_5": 37,
    "regnet_x_400mf": 67,
    "regnet_y_400mf": 65,
}
OTHERS = {
    "efficientnet_b0": "SiLU 49, sigmoid 16",
    "efficientnet_v2_s": "SiLU 102, sigmoid 30",
    "convnext_tiny": "GELU 18",
    "vit_b_32": "GELU 12",
    "swin_t": "GELU 12",
    "swin_v2_t": "GELU 12",  # the position bias, made of parameters alone, does not count
    "maxvit_t": "GELU 45, SiLU 11, sigmoid 11, tanh 1",
}


def explained(name):
    size = {"inception_v3": 128, "maxvit_t": 224, "vit_b_32": 224}.get(name, 96)
    model, images = family(name), torch.randn(1, 3, size, size)
    return model, images, explain(model, images, [3, 5], layer=last_maps(model, images))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECTIFIED)
def test_networks_with_rectifiers(name):
    model, images, found = explained(name)
    assert found.activations.rectifiers == RECTIFIED[name]
    for maps in (found.gradient, found.deconvnet, found.guided_backprop):
        assert maps.isfinite().all()
        assert maps.abs().flatten(2).amax(2).min() > 0
    assert found.grad_cam.isfinite().all()
    assert found.grad_cam.abs().amax() > 0
    assert guided_grad_cam(model, images, 3).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_networks_without(name):
    model, images, found = explained(name)
    assert (found.deconvnet, found.guided_backprop) == (None, None)
    assert str(found.activations) == OTHERS[name]
    assert found.gradient.abs().flatten(2).amax(2).min() > 0
    assert found.grad_cam.abs().amax() > 0
    with pytest.raises(NoRectifier, match=f"this network has none \\({OTHERS[name]}\\)"):
        guided_grad_cam(model, images, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "densenet121"])
def test_averaged_gradients(name):
    model, images = family(name), torch.randn(1, 3, 224, 224)
    for method, count in ((integrated_gradients, {"steps": 2}), (smooth_grad, {"samples": 2})):
        found = method(model, images, 3, **count)
        assert found.shape == images.shape
        assert found.isfinite().all()
