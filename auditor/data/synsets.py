"""ImageNet's classes by their WordNet identifiers, such as n02123045, in the order of a network's outputs.

The lists are data files of timm, which are read without importing it.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from auditor.process.regular_files import content

_IDENTIFIER: Final = re.compile(r"n\d{8}", re.ASCII)
_FILES: Final = MappingProxyType(
    {
        1000: "imagenet_synsets.txt",
        11221: "imagenet21k_miil_synsets.txt",
        11821: "imagenet12k_synsets.txt",
        21841: "imagenet22k_synsets.txt",
        21843: "imagenet21k_goog_synsets.txt",
    }
)
_LARGEST: Final = 2**20  # bytes


def are_identifiers(labels: Collection[object]) -> bool:
    """Return whether all labels are WordNet identifiers."""
    return bool(labels) and all(isinstance(label, str) and _IDENTIFIER.fullmatch(label) for label in labels)


def identifiers(outputs: int) -> tuple[str, ...]:
    """Return the identifier of each output of a network for ImageNet; () if there is no list of this length."""
    found = importlib.util.find_spec("timm") if outputs in _FILES else None
    for folder in (found.submodule_search_locations or ()) if found else ():
        try:
            lines = content(Path(folder, "data", "_info", _FILES[outputs]), most=_LARGEST).decode().split()
        except (OSError, UnicodeDecodeError):
            continue
        if len(lines) == outputs:
            return tuple(lines)
    return ()


def names(labels: Sequence[str]) -> dict[str, str]:
    """Return the English name of each identifier among ImageNet's 1000."""
    from auditor.process.torchvision import torchvision

    categories = torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"]
    wanted = set(labels)
    return {one: name for one, name in zip(identifiers(1000), categories, strict=False) if one in wanted}
