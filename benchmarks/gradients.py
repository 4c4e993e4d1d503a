"""The backpropagation methods against captum and pytorch-grad-cam, on the same network and image.

python benchmarks/gradients.py [--networks resnet18,efficientnet_lite0,vgg16] [--rounds 5]

Both sides get the same network with the same weights, as it is loaded; ours lies in channels_last, as in an audit.
Aims: gradient, guided backprop, deconvnet and Grad-CAM of 10 classes at least 2 times as fast as captum's
calls on ResNet-18 and 2.5 times on EfficientNet-Lite0; no method slower for one class; Grad-CAM at least
3 times as fast as pytorch-grad-cam's. The difference is the largest, over the largest value of the peer; where
the peer misses rectifiers that are no `nn.ReLU` it is large, and ours is right (see tests/methods).
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import torch
from measuring import interleaved, load

from auditor import methods
from auditor.demo import efficientnet_lite0, prepare
from auditor.process.torchvision import torchvision  # before the peers, which need it

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam, LayerGradCam, Saliency
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

LAYERS = {"resnet18": "layer4", "vgg16": "features.29", "efficientnet_lite0": "_bn1"}
MANY = list(range(3, 13))


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if name == "efficientnet_lite0":
        made = efficientnet_lite0()
        with tempfile.TemporaryDirectory() as place:
            made.load_state_dict(torch.load(prepare(Path(place)).checkpoint, weights_only=True))
    else:
        made = getattr(torchvision.models, name)(weights=None)
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return made.eval()


def pairs(name: str, image: torch.Tensor):
    """Return, by what is measured, the peer's way and ours."""
    ours = network(name).to(memory_format=torch.channels_last)
    layer, theirs = LAYERS[name], {kind: network(name) for kind in ("gradient", "guided", "deconvnet", "cam", "both")}
    last = image.contiguous(memory_format=torch.channels_last)
    saliency, guided = Saliency(theirs["gradient"]), GuidedBackprop(theirs["guided"])
    deconvnet = Deconvolution(theirs["deconvnet"])
    cam = LayerGradCam(theirs["cam"], theirs["cam"].get_submodule(layer))
    both = GuidedGradCam(theirs["both"], theirs["both"].get_submodule(layer))
    other = network(name)
    peer = GradCAM(other, [other.get_submodule(layer)])

    def asked():
        return image.clone().requires_grad_()

    def captum(classes):
        each = [saliency.attribute(asked(), target=c, abs=False) for c in classes]
        each += [method.attribute(asked(), target=c) for method in (guided, deconvnet) for c in classes]
        cams = [cam.attribute(asked(), target=c).detach() for c in classes]
        return torch.cat(each), torch.cat(cams)

    def together(classes):
        found = methods.explain(ours, last, classes, layer=layer)
        return torch.cat([found.gradient[0], found.guided_backprop[0], found.deconvnet[0]]), found.grad_cam[0]

    return {
        "gradient": (lambda: saliency.attribute(asked(), target=3, abs=False), lambda: methods.gradient(ours, last, 3)),
        "guided backprop": (
            lambda: guided.attribute(asked(), target=3),
            lambda: methods.guided_backprop(ours, last, 3),
        ),
        "deconvnet": (lambda: deconvnet.attribute(asked(), target=3), lambda: methods.deconvnet(ours, last, 3)),
        "Grad-CAM": (
            lambda: cam.attribute(asked(), target=3, relu_attributions=True)[:, 0].detach(),
            lambda: methods.grad_cam(ours, last, 3, layer),
        ),
        "guided Grad-CAM": (
            lambda: both.attribute(asked(), target=3),
            lambda: methods.guided_grad_cam(ours, last, 3, layer),
        ),
        "gradient of 10 classes": (
            lambda: torch.cat([saliency.attribute(asked(), target=c, abs=False) for c in MANY]),
            lambda: methods.gradient(ours, last, MANY),
        ),
        "all four, 1 class": (lambda: captum(MANY[:1])[0], lambda: together(MANY[:1])[0]),
        "all four, 10 classes": (lambda: captum(MANY)[0], lambda: together(MANY)[0]),
        "Grad-CAM, pytorch-grad-cam": (
            lambda: torch.as_tensor(peer(asked(), [ClassifierOutputTarget(3)])),
            lambda: methods.grad_cam(ours, last, 3, layer),
        ),
    }


def difference(theirs: torch.Tensor, ours: torch.Tensor) -> str:
    if theirs.shape != ours.shape:
        return "normalised and resized by the other library"
    return f"{((theirs - ours).abs().max() / theirs.abs().max()).item():.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="resnet18,efficientnet_lite0,vgg16")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(load())
    warnings.filterwarnings("ignore", message="Setting backward hooks|Input Tensor")
    for name in asked.networks.split(","):
        image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
        for measured, (theirs, ours) in pairs(name, image).items():
            seconds = interleaved({"theirs": theirs, "ours": ours}, rounds=asked.rounds)
            ratio = seconds["theirs"] / seconds["ours"]
            line = f"{name:19} {measured:27} {ratio:5.2f}x {1000 * seconds['ours']:8.1f} ms"
            print(f"{line}  difference {difference(theirs(), ours())}")


if __name__ == "__main__":
    main()
