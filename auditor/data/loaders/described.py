"""What a data set says about its images: class names, and the files that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from auditor.data.folder_tree import printable
from auditor.data.loaders.batch import LABELS
from auditor.data.loaders.items import is_in_order


def name_of(data: Any) -> str:
    """Return the name of the data: the classes of the loader and of the data set in it."""
    if isinstance(data, DataLoader):
        return f"{type(data).__name__} of {name_of(data.dataset)}"
    return type(data).__name__


def count_of(data: Any) -> int:
    """Return the number of images, 0 if the data do not say it before they are read."""
    dataset = data.dataset if isinstance(data, DataLoader) else data
    if not isinstance(dataset, Dataset) or isinstance(dataset, IterableDataset):
        return 0
    try:
        return len(dataset)  # type: ignore[arg-type]
    except TypeError:
        return 0


def classes_of(data: Any) -> tuple[str, ...]:
    """Return the class names that a data set of torchvision or of Hugging Face knows; () if it knows none."""
    if isinstance(data, DataLoader | Subset):
        return classes_of(data.dataset)
    features = getattr(data, "features", None)
    of_feature = [getattr(features.get(key), "names", None) for key in LABELS] if isinstance(features, dict) else []
    for names in (getattr(data, "classes", None), *of_feature):
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    return ()


def names_of(data: Any, count: int) -> list[str]:
    """Return a name for each image: that of its file where the data set lists files, else its number."""
    files = _files(data)
    if files is not None and len(files) >= count:
        return files[:count]
    digits = len(str(count - 1))
    return [f"image {index:0{digits}}" for index in range(count)]


def _files(data: Any) -> list[str] | None:
    if isinstance(data, DataLoader):
        return _files(data.dataset) if is_in_order(data) else None
    if isinstance(data, Subset):
        files = _files(data.dataset)
        return files and [files[index] for index in data.indices]
    samples, root = getattr(data, "samples", None), getattr(data, "root", None)
    if not isinstance(samples, list) or not isinstance(root, str | Path):
        return None
    if len(samples) != len(data) or not all(isinstance(one, tuple) and isinstance(one[0], str) for one in samples):
        return None
    return _relative([path for path, _ in samples], Path(root))


def _relative(paths: Sequence[str], root: Path) -> list[str]:
    return [printable((p.relative_to(root) if p.is_relative_to(root) else p).as_posix()) for p in map(Path, paths)]
