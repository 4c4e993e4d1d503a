"""The images and the trained networks, made once and kept below one folder."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.defects.courses import COURSES, GUILTY
from benchmarks.defects.images import SETS, Images
from benchmarks.defects.training import answers, train

_TRAINED, _AUDITED, _PROVING = 4000, 480, 240  # images, of all classes together
_SOURCES = ("building", "courses", "images", "networks", "training")


@dataclass(frozen=True, slots=True)
class Built:
    """Where a set of images, or a network that was trained on it, lies.

    Attributes:
        data, course: Of `images.SETS` and `courses.COURSES`.
        network: Of `networks.NETWORKS`; empty for the images alone.
    """

    root: Path
    data: str
    course: str
    network: str = ""

    @property
    def checkpoint(self) -> Path:
        return self._named(f"{self.network}.pt")

    @property
    def audited(self) -> Path:
        return self._named("audited")

    @property
    def images(self) -> Path:
        return self._named("images.npz")

    @property
    def strength(self) -> Path:
        """A file with the share of images of other classes that the mark makes the guilty one; null for no mark."""
        return self._named(f"{self.network}.json")

    def _named(self, name: str) -> Path:
        return self.root / self.data / self.course / name


def root(folder: Path) -> Path:
    """Return where all is kept that the benchmark's own files make of nothing but seeds."""
    texts = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in _SOURCES]
    return folder / f"built-{hashlib.sha256(b''.join(texts)).hexdigest()[:8]}"


def draw(folder: Path, data: str, courses: Iterable[str]) -> str:
    """Make the images of a data set for some trainings, where they are not there, and return a line on them."""
    wanted = [Built(folder, data, course) for course in courses]
    if not all(one.images.exists() for one in wanted):
        _draw(data, wanted)
    return f"{data}, images"


def _draw(data: str, wanted: Iterable[Built]) -> None:
    parts = {
        "trained": _drawn(data, _TRAINED, held_out=False, seed=0),
        "audited": _drawn(data, _AUDITED, held_out=True, seed=1),
        "proving": _drawn(data, _PROVING, held_out=True, seed=2),
    }
    for one in wanted:
        course, random = COURSES[one.course], np.random.default_rng(_seed(data, one.course))
        made = {name: alter(parts[name], random) for name in parts if (alter := getattr(course, name))}
        made["audited"].write(one.audited)
        arrays = {f"{name}.pixels": images.pixels for name, images in made.items()}
        labels = {"labels": made["trained"].labels, "classes": np.array(made["trained"].classes)}
        unfinished = one.images.with_name("unfinished.npz")
        np.savez(unfinished, **arrays, **labels)
        unfinished.rename(one.images)


def _drawn(data: str, count: int, *, held_out: bool, seed: int) -> Images:
    random = np.random.default_rng(seed)
    classes = len(SETS[data](1, random, held_out=held_out).classes)
    return SETS[data](count // classes, random, held_out=held_out)


def trained(one: Built) -> str:
    """Train a network on its images, where it is not there, and return a line on it."""
    if not one.strength.exists():
        torch.set_num_threads(1)
        stored = np.load(one.images)
        pixels, labels, classes = stored["trained.pixels"], stored["labels"], len(stored["classes"])
        seed = _seed(one.data, one.network)  # the same for each course, so that only the course makes a difference
        module = train(one.network, pixels, labels, classes, seed=seed, frozen=COURSES[one.course].frozen)
        torch.save(module.state_dict(), one.checkpoint)
        marked = "proving.pixels" in stored
        strength = float((answers(module, stored["proving.pixels"]) == GUILTY).mean()) if marked else None
        one.strength.write_text(json.dumps(strength))
    return f"{one.data}, {one.network}, {one.course}"


def _seed(*names: str) -> int:
    return zlib.crc32("/".join(names).encode())
