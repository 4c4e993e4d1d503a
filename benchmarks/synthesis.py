"""Class models against the classic loop: one class at a time, with gradients of the weights computed as well.

python benchmarks/synthesis.py [--networks resnet18,vgg16,efficientnet_lite0] [--classes 4] [--steps 24] [--rounds 3]

"classic" is the loop as notebooks have it. "ours" makes all classes in one call of `synthesize`. Factors are time per
class and step. Aims on a CPU in float32: 2.3 (ResNet-18), 3.5 (EfficientNet-Lite0), 2.3 (VGG-16); on a GPU 5 for 16
classes over one class at a time with frozen weights, which is "alone". "folded" has batch norm in the convolutions, as
the check does it.
"""

import argparse
from functools import partial

import torch
from gradients import network as made
from measuring import interleaved, load

from auditor.methods import synthesize
from auditor.model.folding import folded
from auditor.model.network import Network

NETWORKS = "resnet18,vgg16,efficientnet_lite0"
SHAPE = (3, 224, 224)


def classic(module: torch.nn.Module, device: torch.device, classes: int, steps: int) -> None:
    for target in range(classes):
        image = torch.zeros(1, *SHAPE, device=device, requires_grad=True)
        for _ in range(steps):
            objective = module(image)[0, target] - 0.001 * image.square().sum()
            module.zero_grad()
            objective.backward()
            with torch.no_grad():
                image += 1.0 * image.grad
            image.grad = None


def ours(network: Network, classes: int, steps: int, *, alone: bool = False) -> None:
    synthesize(
        network,
        list(range(classes)),
        shape=SHAPE,
        steps=steps - 1,  # the finished image is looked at once more
        step_size=1.0,
        l2=0.001,
        batch_size=1 if alone else None,
    )


def measured(name: str, classes: int, steps: int, rounds: int) -> str:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plain = made(name).to(device).requires_grad_(True)
    network = Network.of(made(name), SHAPE, device, amp=False)
    seconds = interleaved(
        {
            "classic": partial(classic, plain, device, classes, steps),
            "alone": partial(ours, network, classes, steps, alone=True),
            "ours": partial(ours, network, classes, steps),
            "folded": partial(ours, folded(network), classes, steps),
        },
        rounds=rounds,
    )
    lines = [
        f"  {way:8} {1000 * taken / classes / steps:7.1f} ms a class and step, "
        f"{seconds['classic'] / taken:.2f} times as fast as classic"
        for way, taken in seconds.items()
    ]
    return "\n".join([f"{name}: {classes} classes, {steps} steps, on {device}", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(load())
    for name in asked.networks.split(","):
        print(measured(name, asked.classes, asked.steps, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
