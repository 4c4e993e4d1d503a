"""Build an architecture with random weights, compare its layers with autograd, and audit it with every check."""

from __future__ import annotations

import dataclasses
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor.model.architectures.builders import named
from auditor.results import Finding, Verdict
from benchmarks.architectures import layouts
from benchmarks.architectures.families import Member

IMAGES = 24
OPTIONS: dict[str, dict[str, Any]] = {
    "patches": {"top": 2, "channels": (0,), "few": 8},
    "synthesis": {"steps": 2, "natural_steps": 2, "trigger": False},
    "trust": {"images": 1, "depths": 2, "steps": 3, "orders": 1, "occlusion": 1},
    "shortcut": {"images": 8, "explained": 1, "few": 4},
    "preprocess": {"images": 20},
    "filters": {"images": 1, "shown": 4},
}


@dataclass(frozen=True, slots=True)
class Row:
    """What an architecture gave.

    Attributes:
        size: The side of the images.
        layers, equal, last: Layers compared with autograd, those equal to it, those with channels last.
        checks: The worst verdict of each check.
        skipped: By check, the reasons of findings that were skipped.
        broken: Errors, and layers that differ from autograd.
    """

    architecture: str
    size: int = 0
    parameters: int = 0
    layers: int = 0
    equal: int = 0
    last: int = 0
    checks: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    broken: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def row(member: Member, folder: Path, checks: Sequence[str]) -> Row:
    """Return what one architecture gives; an error is part of it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    begun, found = time.perf_counter(), Row(member.spec)
    try:
        net, size = built(member)
        found = dataclasses.replace(found, size=size, parameters=sum(p.numel() for p in net.parameters()))
        found = _compared(net, size, member, found)
        found = _audited(net, size, member, found, folder, checks)
    except BaseException as error:
        broken = [*found.broken, f"{type(error).__name__}: {error}", *traceback.format_exc().splitlines()[-5:]]
        found = dataclasses.replace(found, broken=broken)
    return dataclasses.replace(found, seconds=round(time.perf_counter() - begun, 1))


def built(member: Member) -> tuple[nn.Module, int]:
    """Return the network with random weights, and the smallest side of images that it takes."""
    net = named(member.spec, {})(member.arguments).eval().requires_grad_(False)
    _vary(net)
    for size in member.sizes:
        if _takes(net, size):
            return net, size
    raise ValueError(f"takes none of the sizes {member.sizes}")


def _takes(net: nn.Module, size: int) -> bool:
    try:
        with torch.no_grad():
            net(torch.zeros(2, 3, size, size))
    except Exception:  # a network may raise any exception on images of another size
        return False
    return True


def _vary(net: nn.Module) -> None:
    """Draw what many networks set to zero at first, so that every branch and every head has a say."""
    torch.manual_seed(0)
    for name, parameter in net.named_parameters():
        if parameter.numel() and parameter.std(correction=0) == 0 and parameter.abs().max() < 0.01:
            nn.init.normal_(parameter, std=0.02 if parameter.ndim > 1 or name.endswith("bias") else 0.5)


def _compared(net: nn.Module, size: int, member: Member, found: Row) -> Row:
    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    others = torch.randn(2, 3, 2 * size, 2 * size) if _takes(net, 2 * size) else None
    layers = layouts.compared(net, images, others, count=member.layers)
    wrong = [f"{one.layer}: {one.problem or f'unit {one.unit:.1g}, cam {one.cam}'}" for one in layers if not one.equal]
    facts = layouts.summary(layers)
    return dataclasses.replace(found, **facts, broken=[*found.broken, *wrong])


def _audited(net: nn.Module, size: int, member: Member, found: Row, folder: Path, checks: Sequence[str]) -> Row:
    place = folder / member.spec.replace(":", "-")
    place.mkdir(parents=True, exist_ok=True)
    data = written(net, size, place)
    torch.save(net.state_dict(), place / "net.pt")
    preprocess = {"resize": [size, size], "mean": [0.5] * 3, "std": [0.25] * 3}
    audit = auditor.run(
        place / "net.pt",
        data,
        arch=member.spec,
        arch_arg=member.arguments,
        preprocess=preprocess,
        samples=1,
        batch_size=8,
        check=checks,
        checks={**OPTIONS, "occlusion": {"window": size // 4, "stride": size // 4}},
    )
    findings = [(result.check, one) for result in audit.results for one in result.evidence if isinstance(one, Finding)]
    skipped: dict[str, list[str]] = {}
    for check, one in findings:
        if one.verdict is Verdict.SKIP:
            skipped.setdefault(check, []).append(f"{one.rule}: {one.message}")
    broken = [f"{one.rule}: {one.message} {one.detail[-600:]}" for _, one in findings if one.verdict is Verdict.ERROR]
    verdicts = {result.check: result.verdict.name.lower() for result in audit.results}
    (place / "net.pt").unlink()
    return dataclasses.replace(found, checks=verdicts, skipped=skipped, broken=[*found.broken, *broken])


def written(net: nn.Module, size: int, folder: Path) -> Path:
    """Write images of shapes, with the network's own answers as labels, halved so that both classes occur."""
    random, pictures = np.random.default_rng(0), []
    for _ in range(IMAGES):
        picture = random.integers(0, 255, (size, size, 3), dtype=np.uint8) // 3
        y, x, side = *random.integers(0, size // 2, 2), size // 3
        picture[y : y + side, x : x + side] = random.integers(0, 255, 3)
        pictures.append(picture)
    margins = _margins(net, pictures)
    _centred(net, margins)
    answers = (_margins(net, pictures) > 0).long().tolist()
    lines = ["file,label"]
    for number, (picture, answer) in enumerate(zip(pictures, answers, strict=True)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{answer}")
    manifest = folder / "labels.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def _margins(net: nn.Module, pictures: Sequence[np.ndarray]) -> Tensor:
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        scores = torch.cat([net(part) for part in ((images - 0.5) / 0.25).split(4)])
    return scores[:, 1] - scores[:, 0]


def _centred(net: nn.Module, margins: Tensor) -> None:
    """Move the bias of the last layer with two outputs, so that half of the images are of each class."""
    biases = [p for name, p in net.named_parameters() if name.endswith("bias") and p.shape == (2,)]
    if biases:
        biases[-1].data[1] -= margins.median()


def verdict_counts(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    """Return how often each check ended in each verdict."""
    found: dict[str, Counter[str]] = {}
    for one in rows:
        for check, verdict in one.checks.items():
            found.setdefault(check, Counter())[verdict] += 1
    return found
