"""The sweep over the data against a bare forward pass over the same batches.

python benchmarks/sweep.py [--networks resnet18,vgg16,efficientnet_lite0] [--images 256] [--rounds 3] [--batch-size 16]
python benchmarks/sweep.py --memory

"bare" runs the network in channels_last over batches that lie in memory already, so that no decoding hides what the
sweep costs. "top-9" keeps the nine best images of every channel of every convolution, "everything" the statistics of
all these channels and the predictions besides. Aims: at most 1.05 and 1.15 times bare.
On a CPU the sweep takes the batches apart, which by itself makes a network with large outputs faster. "in parts" is the
bare network taken apart in the same way: over it the ratio is what looking costs, over "bare" what a user notices.
`--memory` sweeps 500 and then 50,000 images of a synthetic data set and prints the memory that the process holds.
"""

import argparse
import resource
import sys

import torch
from gradients import network as made
from measuring import interleaved, load
from torch import nn

from auditor.collectors import ChannelStatistics, Predictions, TopActivations
from auditor.data.dataset import Loaded
from auditor.model.network import Network
from auditor.sweep.sweep import at_once, parts, sweep

NETWORKS = "resnet18,vgg16,efficientnet_lite0"


def quiet(*_: object) -> None:
    """Take no notice."""


def batches(images: torch.Tensor, size: int, count: int):
    """Yield batches of the images, again and again, until there were `count` images."""
    for start in range(0, count, size):
        rows = torch.arange(start, min(start + size, count))
        yield Loaded(rows, images[rows % len(images)], rows % 10, [])


def measured(name: str, count: int, rounds: int, size: int) -> str:
    images = torch.randn(64, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    network = Network.of(made(name), (3, 224, 224), torch.device("cpu"), amp=False)
    layers, most = [layer for layer in network.layers if "Conv" in layer.type], at_once(network)

    def bare(most: int | None) -> None:
        with torch.inference_mode():
            for loaded in batches(images, size, count):
                for part in parts(loaded, most):
                    network.module(part.images.contiguous(memory_format=torch.channels_last))

    def swept(*collectors: object) -> None:
        broken = sweep(network, batches(images, size, count), collectors, seen=quiet, note=quiet)
        assert not broken, broken

    seconds = interleaved(
        {
            "bare": lambda: bare(None),
            "in parts": lambda: bare(most),
            "top-9": lambda: swept(TopActivations(layers, 9)),
            "everything": lambda: swept(TopActivations(layers, 9), ChannelStatistics(layers), Predictions()),
        },
        rounds=rounds,
    )
    channels = sum(layer.output[0] for layer in layers)
    return "\n".join(
        [
            f"{name}: {channels} channels of {len(layers)} convolutions, batches of {size}, parts of at most {most}",
            *(
                f"  {way:10} {1000 * taken / count:6.1f} ms an image, {taken / seconds['bare']:.3f} of bare, "
                f"{taken / seconds['in parts']:.3f} of bare in parts"
                for way, taken in seconds.items()
            ),
        ]
    )


def memory() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 128, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    network = Network.of(module.eval(), (3, 16, 16), torch.device("cpu"), amp=False)
    images, layers = torch.randn(64, 3, 16, 16), list(network.layers.maps)
    for count in (500, 50_000):
        collectors = [TopActivations(layers, 9), ChannelStatistics(layers), Predictions()]
        sweep(network, batches(images, 50, count), collectors, seen=quiet, note=quiet)
        held = sum(values.nbytes for collector in collectors for values in collector.state().values())
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(f"{count:6} images: {held / 2**20:.1f} MiB in the collectors, at most {highest / 2**20:.0f} MiB in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    print(load())
    if asked.memory:
        memory()
        return
    for name in asked.networks.split(","):
        images = asked.images if name != "vgg16" else asked.images // 4
        print(measured(name, images, asked.rounds, asked.batch_size), flush=True)


if __name__ == "__main__":
    main()
