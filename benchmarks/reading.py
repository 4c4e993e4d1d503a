"""Time and peak memory of reading a checkpoint, by format, against the library that wrote it.

python benchmarks/reading.py [--networks resnet18,resnet50] [--rounds 3]

Each reading is a process of its own; time and memory are counted from when the libraries are imported. Memory is the
peak of the process, and of the processes that it began, beyond what they held before; pages of the file that it maps
count, too. `auditor` also computes the SHA-256 of the file, and runs a program in a sandboxed process. Linux only.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from measuring import load
from safetensors.torch import load_file, save_file
from torch import nn

from auditor.process.torchvision import torchvision

FORMATS = ("safetensors", "state dict", "state dict, old format", "Lightning", "TorchScript", "torch.export")
PEERS = {"safetensors": load_file, "TorchScript": torch.jit.load, "torch.export": torch.export.load}


def write(kind: str, network: nn.Module, folder: Path) -> Path:
    """Write the network in a format."""
    path, state = folder / f"{kind}.pt{'2' * (kind == 'torch.export')}", network.state_dict()
    if kind == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    elif kind == "Lightning":
        training = {"state": {i: {"exp_avg": p.detach().clone()} for i, p in enumerate(network.parameters())}}
        torch.save({"state_dict": state, "optimizer_states": [training], "pytorch-lightning_version": "2.5"}, path)
    elif kind == "TorchScript":
        torch.jit.script(network).save(path)
    elif kind == "torch.export":
        torch.export.save(torch.export.export(network, (torch.ones(2, 3, 224, 224),)), path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "state dict")
    return path


def read(path: Path, how: str) -> tuple[float, float]:
    """Return seconds and MB that reading takes in a process of its own."""
    command = [sys.executable, __file__, "--read", str(path), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def measured(path: str, how: str) -> tuple[float, float]:
    """Read the file in this process; the libraries are imported before."""
    from auditor.model.files import checkpoint

    peer = PEERS.get(Path(path).stem) or (lambda file: torch.load(file, weights_only=True))
    before = _held("VmRSS", "self")
    begun = time.perf_counter()
    kept = checkpoint.read(Path(path)) if how == "auditor" else peer(path)
    seconds = time.perf_counter() - begun
    children = sum(_held("VmHWM", child) for child in _below("self"))
    del kept
    return seconds, (_held("VmHWM", "self") - before + children) / 1e6


def _held(name: str, process: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def _below(process: str) -> list[str]:
    found = Path(f"/proc/{process}/task").glob("*/children")
    children = [child for file in found for child in file.read_text().split()]
    return children + [one for child in children for one in _below(child)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="resnet18,resnet50")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        print(json.dumps(measured(*asked.read)))
        return
    print(load())
    print(f"{'network':<9} {'format':<24} {'file':>9}   {'auditor':>18}   {'the library':>18}")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in asked.networks.split(","):
            network = getattr(torchvision.models, name)(weights=None).eval()
            for kind in FORMATS:
                path = write(kind, network, Path(folder))
                taken = [[read(path, way) for _ in range(asked.rounds)] for way in ("auditor", "library")]
                medians = [[statistics.median(column) for column in zip(*rounds, strict=True)] for rounds in taken]
                shown = "   ".join(f"{seconds:6.2f} s {peak:6.0f} MB" for seconds, peak in medians)
                print(f"{name:<9} {kind:<24} {path.stat().st_size / 1e6:6.1f} MB   {shown}")
                path.unlink()


if __name__ == "__main__":
    main()
