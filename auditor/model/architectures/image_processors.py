"""The preprocessing of a `preprocessor_config.json`, in the keys of `[preprocess]`.

The defaults of keys that the file lacks are those of the processor's class in transformers. The steps are the same in
most classes: resize, centre crop, rescale, normalise. Classes with steps of their own are known by name, and any other
class is refused: its images would differ without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from auditor.errors import CheckpointError
from auditor.model.architectures.pretrained import library
from auditor.model.files.format import first_line

_RESAMPLING: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_OWN_STEPS: Final = ("_preprocess", "resize", "center_crop", "rescale", "normalize", "pad", "process_image")
_SEGMENTING: Final = {"BeitImageProcessor", "MobileNetV2ImageProcessor", "SegformerImageProcessor"}
"""Classes whose own steps are for maps of labels, not for images."""
_REFUSED: Final = {
    "do_pad": "pads images",
    "do_reduce_labels": "changes the values of pixels (do_reduce_labels)",
    "do_thumbnail": "makes thumbnails",
    "do_align_long_axis": "turns images",
    "do_color_quantize": "quantises colours",
}


class _Inexpressible(Exception):
    """A step that `[preprocess]` does not have."""


@dataclass(frozen=True)
class _Steps:
    """Resize, crop, and a line from levels of 0 to 255 to the network's input.

    Attributes:
        slope, offset: The input is level * slope - offset, before mean and std.
    """

    resize: int | list[int] | None
    crop: list[int] | None
    mean: list[float]
    std: list[float]
    slope: float
    offset: float = 0.0
    color: str = "rgb"


def preprocessing(said: Mapping[str, Any], *, model_type: str, channels: int, where: str) -> dict[str, Any]:
    """Return the keys of `[preprocess]` with which an image becomes what the image processor makes of it.

    Args:
        said: The contents of the file.
        model_type: That of the network, for files that do not name the class of the processor.
        where: The file, for messages.

    Raises:
        CheckpointError: The processor does something that `[preprocess]` can't say.
        ArchitectureError: transformers is not installed.
    """
    kind = _processor(said, model_type)
    if kind is None:
        raise CheckpointError(
            f"{where} names the image processor {str(_named(said))[:80]!r}, which transformers does not have; give "
            "--preprocess"
        )
    try:
        values = _values(kind, said)
        return _keys(_steps(kind.__name__, values, kind), values, channels)
    except _Inexpressible as error:
        raise CheckpointError(
            f"{where}: {kind.__name__} {error}, which [preprocess] can't say; give --preprocess"
        ) from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{where} describes an impossible preprocessing ({first_line(error)[:120]}); give --preprocess"
        ) from error


def _named(said: Mapping[str, Any]) -> Any:
    return said.get("image_processor_type") or said.get("feature_extractor_type")


def _processor(said: Mapping[str, Any], model_type: str) -> Any:
    """Return the class of the processor; the names of its variants, also those of older versions, stand for one."""
    auto = library("transformers.models.auto.image_processing_auto")
    name = _named(said)
    if not isinstance(name, str):
        known = auto.IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or {}
        name = known.get("torchvision", "ViTImageProcessor") if isinstance(known, dict) else "ViTImageProcessor"
    for ending in ("Fast", "Pil"):
        name = name.removesuffix(ending)
    name = name.replace("FeatureExtractor", "ImageProcessor")
    return auto.get_image_processor_class_from_name(name) if name.isidentifier() else None


def _values(kind: Any, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return every option of the processor, with its defaults and in today's form."""
    known = set(kind.valid_kwargs.__annotations__)
    values = dict(vars(kind(**{key: value for key, value in said.items() if key in known})))
    return {key: values.get(key) for key in known}


def _steps(name: str, values: Mapping[str, Any], kind: Any) -> _Steps:
    own = _SPECIAL.get(name)
    plain = library("transformers.image_processing_backends").TorchvisionBackend
    changed = any(getattr(kind, step) is not getattr(plain, step) for step in _OWN_STEPS)
    if own is None and name not in _SEGMENTING and changed:
        raise _Inexpressible("has steps of its own")
    if refused := next((key for key in _REFUSED if values.get(key)), None):
        raise _Inexpressible(_REFUSED[refused])
    steps = _usual(values)
    return own(steps, values) if own is not None else steps


def _usual(values: Mapping[str, Any]) -> _Steps:
    normalised = bool(values.get("do_normalize"))
    return _Steps(
        resize=_resize(values["size"]) if values.get("do_resize") else None,
        crop=_pair(values["crop_size"]) if values.get("do_center_crop") else None,
        mean=_numbers(values.get("image_mean")) if normalised else [0.0],
        std=_numbers(values.get("image_std")) if normalised else [1.0],
        slope=float(values["rescale_factor"]) if values.get("do_rescale") else 1.0,
    )


def _resize(size: Any) -> int | list[int]:
    sides = {key: getattr(size, key) for key in ("shortest_edge", "longest_edge", "height", "width")}
    if sides["longest_edge"] or not (sides["shortest_edge"] or (sides["height"] and sides["width"])):
        raise _Inexpressible("resizes the longer side")
    return sides["shortest_edge"] or [sides["height"], sides["width"]]


def _pair(size: Any) -> list[int]:
    if not (size.height and size.width):
        raise _Inexpressible("crops to no fixed size")
    return [size.height, size.width]


def _numbers(value: Any) -> list[float]:
    return [float(number) for number in value] if isinstance(value, Sequence) else [float(value)]


def _shortest(steps: _Steps) -> int:
    if not isinstance(steps.resize, int):
        raise _Inexpressible("resizes to a fixed size in steps of its own")
    return steps.resize


def _convnext(steps: _Steps, values: Mapping[str, Any]) -> _Steps:
    """Images below 384 are resized by the inverse of `crop_pct` and cropped; larger ones are distorted to a square."""
    if steps.resize is None:
        return steps
    side = _shortest(steps)
    if side >= 384:
        return replace(steps, resize=[side, side])
    if steps.crop not in (None, [side, side]):
        raise _Inexpressible("crops twice")
    return replace(steps, resize=int(side / values["crop_pct"]), crop=[side, side])


def _levit(steps: _Steps, values: Mapping[str, Any]) -> _Steps:
    return replace(steps, resize=int((256 / 224) * steps.resize)) if isinstance(steps.resize, int) else steps


def _poolformer(steps: _Steps, values: Mapping[str, Any]) -> _Steps:
    """The shorter side is resized by the inverse of `crop_pct`, whatever form the size has."""
    share = values.get("crop_pct")
    if share is None or steps.resize is None:
        return steps
    if isinstance(steps.resize, int):
        return replace(steps, resize=int(steps.resize / share))
    rows, cols = steps.resize
    return replace(steps, resize=int(rows / share) if rows == cols else [int(rows / share), int(cols / share)])


def _efficientnet(steps: _Steps, values: Mapping[str, Any]) -> _Steps:
    """With `rescale_offset` 1 is subtracted, and with `include_top` the input is divided by the std once more."""
    offset = 1.0 if values.get("rescale_offset") and values.get("do_rescale") else 0.0
    again = _numbers(values["image_std"]) if values.get("include_top") else [1.0]
    std = steps.std * (len(again) // len(steps.std) or 1)
    twice = [a * b for a, b in zip(std, again * (len(std) // len(again)), strict=True)]
    return replace(steps, std=twice, offset=offset)


def _mobilevit(steps: _Steps, values: Mapping[str, Any]) -> _Steps:
    """The channels are flipped and not normalised."""
    return replace(steps, mean=[0.0], std=[1.0], color="bgr" if values.get("do_flip_channel_order") else "rgb")


_SPECIAL: Final[Mapping[str, Callable[[_Steps, Mapping[str, Any]], _Steps]]] = {
    "ConvNextImageProcessor": _convnext,
    "LevitImageProcessor": _levit,
    "PoolFormerImageProcessor": _poolformer,
    "EfficientNetImageProcessor": _efficientnet,
    "MobileViTImageProcessor": _mobilevit,
}


def _keys(steps: _Steps, values: Mapping[str, Any], channels: int) -> dict[str, Any]:
    crop = steps.crop or (steps.resize if isinstance(steps.resize, list) else None)
    if crop is None:
        raise _Inexpressible("keeps the shape of each image, so that the network gets images of different sizes")
    resample = values.get("resample")
    scale = 255 if steps.slope == 1 else 1
    unit = scale / (255 * steps.slope)  # 1 up to rounding, for images of 0 to 1 or of 0 to 255
    unit = 1.0 if abs(unit - 1) < 1e-9 else unit
    return {
        "resize": steps.resize,
        "crop": crop,
        "mean": _by_channel([(mean + steps.offset) * unit for mean in steps.mean], channels),
        "std": _by_channel([std * unit for std in steps.std], channels),
        "scale": scale,
        "color": "gray" if channels == 1 else steps.color,
        "interpolation": _RESAMPLING[int(resample)] if resample is not None else "bilinear",
    }


def _by_channel(numbers: list[float], channels: int) -> list[float]:
    return numbers if len(numbers) > 1 else numbers * max(1, channels)
