"""What a network is asked: which one class an image has, or which of several labels apply to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from auditor.errors import DataError, UsageError
from auditor.language import _

Name = Literal["multiclass", "multilabel"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is asked.

    Attributes:
        name: `multiclass` if an image has one class, `multilabel` if it may have several labels, or none.
        reason: What it was recognised by; empty if nothing speaks for several labels.
        asked: Whether it was chosen with `--task`.
    """

    name: Name
    reason: str = ""
    asked: bool = False

    @property
    def multilabel(self) -> bool:
        return self.name == "multilabel"


_SEVERAL: Final = "multi_label_classification"
MULTICLASS: Final = Task("multiclass")


def decided(asked: Name | None, *, outputs: int, ending: str, several: str, declared: str = "") -> Task:
    """Return the task that was asked for, or the one that the data, the end of the network or its file speak for.

    Args:
        outputs: The number of scores of the network; one score makes two classes.
        ending: Of the network: `sigmoid`, `softmax` or another one.
        several: The first image with several labels, with these; empty if there is none.
        declared: The `problem_type` of a configuration of transformers; empty if there is none.

    Raises:
        UsageError: A network with one score is asked for several labels.
        DataError: The data and the network contradict each other.
    """
    if outputs == 1 and asked == "multilabel":
        raise UsageError("--task multilabel needs a network with several outputs; this one has one, for two classes")
    if asked:
        return Task(asked, _("--task {name}", name=asked), asked=True)
    if several and (outputs == 1 or ending in ("softmax", "log-softmax")):
        end = "has one output, for two classes" if outputs == 1 else f"ends in a {ending}, for one class an image"
        other = "" if outputs == 1 else "--task multilabel, or "
        raise DataError(
            f"an image has several labels ({several}), but the network {end}; give {other}--task multiclass, which "
            "leaves the labels of such images out"
        )
    if several:
        return Task("multilabel", _("images have several labels, as {example}", example=several))
    if ending == "sigmoid" and outputs > 1:
        return Task("multilabel", _("the network ends in a sigmoid over {n} outputs", n=outputs))
    if declared == _SEVERAL and outputs > 1:
        return Task("multilabel", _("config.json says problem_type = {name}", name=declared))
    return MULTICLASS
