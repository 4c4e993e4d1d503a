"""The sweep with the collectors of all checks, against a bare forward loop over the same images.

python benchmarks/sweep.py [--images 500] [--rounds 3]

Both read the same files through the same loader, in batches of the same size, on a ResNet-18 in
channels_last. Aim: at most 1.25.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from measuring import interleaved, load

from auditor import plugins
from auditor.assembly import assemble
from auditor.config import Settings
from auditor.data.dataset import loader
from auditor.demo import prepare
from auditor.runner import loading, trials
from auditor.sweep import sweep
from auditor.vision import torchvision


def manifest(folder: Path, count: int) -> Path:
    """List the demo's photographs again and again, until there are `count`."""
    demo = prepare(folder / "demo")
    photos = sorted(p.resolve() for p in demo.data.rglob("*") if p.suffix in (".jpg", ".png"))
    lines = [f'"{photos[i % len(photos)]}",{i % 10}' for i in range(count)]
    path = folder / "images.csv"
    path.write_text("path,label\n" + "\n".join(lines) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(load())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        torch.manual_seed(0)
        torch.save(torchvision.models.resnet18(num_classes=10).state_dict(), folder / "resnet18.pt")
        settings = Settings(folder / "resnet18.pt", str(manifest(folder, asked.images)))
        context = assemble(settings, architectures={}, sources={})
        network, data = context.network, context.data

        def batches():
            return loader(data, **loading(settings, network.device))

        def bare():
            with torch.inference_mode():
                for loaded in batches():
                    network.module(loaded.images.to(memory_format=torch.channels_last))

        def swept():
            sweep(network, batches(), wanted, seen=lambda done: None, note=print)

        every = trials(list(plugins.load().checks.values()), context, settings)
        for trial in every:
            trial.begin()
        wanted = list({c.key: c for trial in every for c in trial.wanted}.values())
        seconds = interleaved({"bare": bare, "sweep": swept}, rounds=asked.rounds)
    each = {name: 1000 * taken / asked.images for name, taken in seconds.items()}
    print(f"bare forward over the loader {each['bare']:6.1f} ms an image")
    print(f"sweep with all collectors    {each['sweep']:6.1f} ms an image")
    print(f"ratio {seconds['sweep'] / seconds['bare']:.3f} (aim: at most 1.25)")


if __name__ == "__main__":
    main()
