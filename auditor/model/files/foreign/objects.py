"""Objects that well-known libraries pickle: which of them hold a classifier, and how its network is had again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from auditor.model.files.constructors import Array
from auditor.model.files.foreign.kind import Foreign, of_framework
from auditor.model.files.stand_in import StandIn

_OTHER_TASKS: Final = (
    (r"ultralytics\..*\.(Detection|RTDETRDetection|YOLOE?|World|YOLOEModel)\w*", "an Ultralytics detection network"),
    (r"ultralytics\..*\.\w*Segment\w*", "an Ultralytics segmentation network"),
    (r"ultralytics\..*\.Pose\w*", "an Ultralytics network for poses"),
    (r"ultralytics\..*\.OBB\w*", "an Ultralytics network for oriented boxes"),
    (r"models\.(yolo|experimental)\.(?!Classification)\w+", "a YOLO detection network"),
    (r"torchvision\.models\.detection\..*", "a detection network of torchvision"),
    (r"torchvision\.models\.segmentation\..*", "a segmentation network of torchvision"),
    (r"segmentation_models_pytorch\..*", "a segmentation network"),
    (r"transformers\..*For(ObjectDetection|SemanticSegmentation|CausalLM|MaskedLM)", "no image classifier"),
)


def no_classifier(of: StandIn | None) -> str:
    """Return what a network is that its class shows to be no classifier; empty for all others."""
    name = of.name if of is not None else ""
    return next((what for pattern, what in _OTHER_TASKS if re.fullmatch(pattern, name)), "")


def origin(saved: object, of: StandIn | None) -> Foreign | None:
    """Return where a classifier that was pickled whole comes from, and how its class is given.

    Args:
        saved: What the file holds.
        of: The module whose tensors are taken.
    """
    outer = saved.name if isinstance(saved, StandIn) else ""
    if outer.startswith("fastai."):
        way = "load it with fastai and save the network: torch.save(learn.model.state_dict(), 'net.pt')"
        return Foreign("an exported Learner of fastai", f"{way}; give the network with --arch path/to/file.py:callable")
    if of is not None and re.fullmatch(r"ultralytics\..*\.ClassificationModel", of.name):
        return _ultralytics(of)
    return None


def _ultralytics(of: StandIn) -> Foreign:
    said = of.attributes.get("yaml")
    settings = said if isinstance(said, Mapping) else {}
    file, classes = settings.get("yaml_file"), settings.get("nc")
    name = file if isinstance(file, str) and re.fullmatch(r"[\w.-]{1,60}", file) else "NAME-cls.yaml"
    count = f", nc={classes}" if type(classes) is int else ""
    what = f"an Ultralytics classifier ({name.removesuffix('.yaml')})"
    function = f"ultralytics.nn.tasks.ClassificationModel({name!r}{count})"
    return Foreign(what, f"give it with --arch path/to/file.py:callable, where callable returns {function}")


def without_network(saved: object) -> Foreign | None:
    """Return what a file is that holds no tensors of a network."""
    if isinstance(saved, StandIn) and (match := re.match(r"(sklearn|xgboost|lightgbm|catboost)\.", saved.name)):
        return Foreign(f"a pickled estimator of {match[1]}", "only networks of PyTorch are audited")
    entries: Any = saved if isinstance(saved, Mapping) else {}
    if "StructuredToParameterName@@" in entries:
        return of_framework("a file of PaddlePaddle's parameters", "PaddlePaddle")
    if any(isinstance(value, Array) for value in entries.values()):
        tensors = "{k: torch.tensor(v) for k, v in saved.items()}"
        way = f"if the names are those of a PyTorch network: torch.save({tensors}, 'net.pt')"
        return Foreign("a pickle of numpy arrays", way)
    return None
