"""Occlusion against captum's, and against computing each image completely, on the same network and image.

python benchmarks/occlusion.py [--networks resnet18,vgg16] [--windows 32/16,16/8] [--rounds 3]

captum runs at the best of several `perturbations_per_eval`, which is searched first. "whole" is our own loop: graph
exported, batch norm folded, channels_last, inference mode, a batch that fits the caches. "plan" is how many times
less work the plan takes, by multiplications and bytes written: an estimate of the saving. Making an
`Occluder` ready is told apart, for it is done once for all images. The difference is the largest of all scores, over
the largest score where that is above 1.
Aims, captum's time over ours: VGG-16 8 at 32/16 and 12 at 16/8, ResNet-18 3.7, ResNet-50 3.2, MobileNetV2 2.8,
EfficientNet-Lite0 3.5; scores within 1e-4.
"""

import argparse
import time
import warnings

import torch
from gradients import network
from measuring import interleaved, load

from auditor.methods import Occluder, occlude

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from captum.attr import Occlusion

NETWORKS = "vgg16,resnet18,resnet50,mobilenet_v2,efficientnet_lite0"
CLASS = 3


def captum(model: torch.nn.Module, image: torch.Tensor, window: int, stride: int, together: int):
    def run():
        with torch.inference_mode():
            return Occlusion(model).attribute(
                image,
                sliding_window_shapes=(3, window, window),
                strides=(3, stride, stride),
                target=CLASS,
                perturbations_per_eval=together,
            )

    return run


def best(model: torch.nn.Module, image: torch.Tensor) -> int:
    """Return the `perturbations_per_eval` with which captum is fastest."""
    seconds = interleaved({str(n): captum(model, image, 56, 56, n) for n in (1, 2, 4, 8, 16)}, rounds=2)
    return int(min(seconds, key=lambda n: seconds[n]))


def logits(way, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        passed = list(way(image, torch.zeros_like(image)))
    return torch.cat([one.scores for one in passed])[torch.cat([one.numbers for one in passed]).argsort()]


def measured(name: str, image: torch.Tensor, window: int, stride: int, together: int, rounds: int) -> str:
    begun = time.perf_counter()
    model = network(name)
    ours = Occluder(model, image, window=window, stride=stride)
    ready = time.perf_counter() - begun
    last = image.contiguous(memory_format=torch.channels_last)
    ways = {
        "captum": captum(model, image, window, stride, together),
        "whole": lambda: logits(ours.in_whole, last),
        "ours": lambda: occlude(ours, image, CLASS, score="logit"),
    }
    seconds = interleaved(ways, rounds=rounds)
    whole = logits(ours.in_whole, last)
    apart = ((whole - logits(ours, image)).abs().max() / whole.abs().max().clamp_min(1)).item()
    return (
        f"{name:19} {window:3}/{stride:<3} captum {seconds['captum'] / seconds['ours']:5.2f}x  "
        f"whole {seconds['whole'] / seconds['ours']:5.2f}x  plan {ours.how.saving:5.2f}x  "
        f"{len(ours.windows) / seconds['ours']:7.1f} windows/s  ready in {ready:4.1f} s  largest difference {apart:.0e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--windows", default="32/16,16/8,32/8,16/4")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(load())
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    for name in asked.networks.split(","):
        together = best(network(name), image)
        print(f"{name}: captum is fastest with {together} perturbations per evaluation")
        for window, stride in (pair.split("/") for pair in asked.windows.split(",")):
            print(measured(name, image, int(window), int(stride), together, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
