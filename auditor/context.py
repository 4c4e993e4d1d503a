"""What a check may use: the network, the data, the settings, and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.data.task import MULTICLASS, Task
from auditor.errors import Skip
from auditor.language import _, marked
from auditor.process.deadline import Deadline
from auditor.statistics.softmax import sigmoid, softmax

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from auditor.data.dataset import ImageData
    from auditor.data.preprocessing import Preprocess
    from auditor.model.architectures.architecture import Architecture
    from auditor.model.files.checkpoint import Checkpoint
    from auditor.model.layers import LayerTable
    from auditor.model.network import Network
    from auditor.process.objects import Objects


class Advance(Protocol):
    """Reports how much has been done since the last call, and in a few words the current state."""

    def __call__(self, done: int, note: str = "") -> None: ...


Progress = AbstractContextManager[Advance]
Maps = NDArray[np.float32]
ONE_CLASS = marked("one class an image is needed, and here an image may have several labels")


def unseen(total: int, unit: str) -> Progress:
    """Show no progress."""
    return nullcontext(lambda done, note="": None)


@dataclass(frozen=True, eq=False)
class Sample:
    """One image that is explained.

    Attributes:
        index: Its index in the data set.
        name: Its file, relative to the data.
        label: Its class, None if unknown.
        tensor: The preprocessed image, `[c, h, w]`, on the CPU.
        pixels: The same image as RGB pixels, `[h, w, 3]`, 0 to 255.
        scores: The network's scores before any softmax, `[k]`.
        labels: Its labels, where an image may have several; None if it has one class. The label is then None.
    """

    index: int
    name: str
    label: int | None
    tensor: Tensor
    pixels: NDArray[np.uint8]
    scores: NDArray[np.float32]
    labels: frozenset[int] | None = None

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The softmax of the scores, `[k]`; where an image may have several labels, their sigmoid."""
        return np.asarray(softmax(self.scores[None])[0] if self.labels is None else sigmoid(self.scores))

    @cached_property
    def by_score(self) -> NDArray[np.int64]:
        """The classes from the highest to the lowest score, `[k]`; ties by index."""
        return np.argsort(-self.scores, kind="stable")

    @cached_property
    def ranked(self) -> NDArray[np.int64]:
        """The classes in the order in which they are explained, `[k]`: by score, the true labels of several first."""
        if not self.labels:
            return self.by_score
        is_true = np.isin(self.by_score, list(self.labels))
        return np.concatenate([self.by_score[is_true], self.by_score[~is_true]])

    @property
    def predicted(self) -> int:
        """The class that is explained: the predicted one; where an image has several labels, the most confident."""
        return int(self.ranked[0])


class Samples:
    """The images that are explained: loaded when first needed, with a copy that they are restored from."""

    def __init__(self) -> None:
        self._loaded: tuple[Sample, ...] = ()
        self._copies: Sequence[Tensor] = ()
        self._others: Objects | None = None

    def of(self, context: Context) -> tuple[Sample, ...]:
        """Return the images, in the order of `Context.chosen`.

        Raises:
            Skip: There are no images.
        """
        if not self._loaded:
            loaded = _load(context)
            self._copies = [sample.tensor.clone() for sample in loaded]
            self._others = _objects(loaded)
            self._loaded = loaded  # last: without samples there is nothing to restore
        return self._loaded

    def restore(self) -> list[str]:
        """Restore the tensors that no longer equal their copy, and return a phrase for each."""
        import torch

        changed = [_("{name} changed", name=name) for name in self._others.restored()] if self._others else []
        for sample, copy in zip(self._loaded, self._copies, strict=False):
            if not torch.equal(sample.tensor, copy):
                sample.tensor.copy_(copy)
                changed.append(_("the values of the sample {image} changed", image=sample.name))
        return changed


def _objects(loaded: tuple[Sample, ...]) -> Objects:
    from auditor.process.objects import Objects

    return Objects({"samples": loaded}, lambda kind: kind is Sample, tensors=False)


def _load(context: Context) -> tuple[Sample, ...]:
    import torch

    from auditor.process.isolation import surroundings

    data = context.data
    loaded = [data[i] for i in context.chosen]
    tensors = torch.stack([sample.tensor for sample in loaded if sample.tensor is not None])
    with torch.no_grad(), surroundings(context.seed, "samples", context.network.device):
        parts = tensors.split(context.batch_size)
        scores = torch.cat([context.network.scores(part) for part in parts]).cpu().numpy()
    pixels = np.array(context.preprocess.pixels(tensors))  # memory of its own, which can be put back
    for array in (pixels, scores):
        array.setflags(write=False)
    return tuple(
        Sample(one.index, data.listing.names[one.index], one.label, tensor, picture, row, _labels(context, one.index))
        for one, tensor, picture, row in zip(loaded, tensors, pixels, scores, strict=True)
    )


def _labels(context: Context, index: int) -> frozenset[int] | None:
    if not context.task.multilabel:
        return None
    one = context.data.labels.sets[index]
    return frozenset(one.present if one else ())


@dataclass(frozen=True, eq=False)
class Context:
    """The network, the data and the settings, as a check sees them.

    Attributes:
        classes: A name for each of the network's outputs.
        named: Whether the names are known; otherwise they are numbers.
        task: Whether an image has one class or may have several labels.
        data_problem: Why the labels can't be used; empty if they can.
        chosen: The images to explain, as indices of the data set.
        unreadable: Files that were candidates for `chosen` and can't be read, with the reason.
        misnamed: Why the class names in the checkpoint are not used; empty if they are, or if it has none.
        batch_size: Images for each forward pass of a check.
        pool: The samples, once they are loaded; all checks share them.
        looked: Holds "images" once the images were asked for.
        budget: The time that is left to the audit.
        working: Shows the progress of a check: `with context.working(total, "windows") as done: ... done(8)`.
    """

    network: Network
    checkpoint: Checkpoint
    architecture: Architecture
    preprocess: Preprocess
    classes: tuple[str, ...]
    named: bool
    seed: int
    images: ImageData | None = None
    task: Task = MULTICLASS
    data_problem: str = ""
    chosen: Sequence[int] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    misnamed: str = ""
    batch_size: int = 8
    budget: Deadline = field(default_factory=Deadline)
    working: Callable[[int, str], Progress] = unseen
    pool: Samples = field(default_factory=Samples, repr=False)
    looked: set[str] = field(default_factory=set, repr=False)

    def for_one_check(self) -> Context:
        """Return a copy that knows whether its check has looked at images."""
        return replace(self, looked=set())

    @property
    def shared(self) -> dict[str, Any]:
        """What all checks share, by name."""
        private = ("pool", "looked", "working")
        return {f"context.{one.name}": getattr(self, one.name) for one in fields(self) if one.name not in private}

    def put_back(self, shared: Mapping[str, Any]) -> list[str]:
        """Put back the attributes that are not the shared ones any more, and return their names."""
        changed = [name for name, value in self.shared.items() if value is not shared[name]]
        for name in changed:
            object.__setattr__(self, name.partition(".")[2], shared[name])
        return changed

    @property
    def layers(self) -> LayerTable:
        """The network's layers.

        Raises:
            Skip: They can't be observed.
        """
        if not len(self.network.layers):
            kind = self.checkpoint.format
            raise Skip(
                _("the layers of a {kind} network can't be observed; audit its state dict with --arch", kind=kind)
            )
        return self.network.layers

    @property
    def data(self) -> ImageData:
        """The images.

        Raises:
            Skip: There are none.
        """
        if self.images is None:
            raise Skip(_("needs images; give some with --data"))
        self.looked.add("images")
        return self.images

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The images that are explained.

        Raises:
            Skip: There are no images.
        """
        samples = self.pool.of(self)
        self.looked.add("images")
        return samples

    @property
    def score(self) -> Literal["probability", "sigmoid"]:
        """How a probability follows from the scores: by the softmax, or for several labels by the sigmoid."""
        return "sigmoid" if self.task.multilabel else "probability"

    def probabilities(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each class from scores `[n, k]`."""
        return sigmoid(scores) if self.task.multilabel else softmax(scores)

    def one_class_needed(self) -> None:
        """Skip the check, or its part, where an image may have several labels.

        Raises:
            Skip: It may.
        """
        if self.task.multilabel:
            raise Skip(_(ONE_CLASS))

    def changed_samples(self) -> list[str]:
        """Restore the samples that a check has changed, and return a phrase for each."""
        return self.pool.restore()

    def random(self, purpose: str) -> torch.Generator:
        """Return a random generator for one purpose: independent of the others, and the same in every run."""
        import torch

        return torch.Generator().manual_seed(self.seed + zlib.crc32(purpose.encode()))


def tensors(context: Context, samples: Sequence[Sample]) -> Tensor:
    """Return the preprocessed images as one batch, `[n, c, h, w]`, on the network's device."""
    import torch

    return torch.stack([sample.tensor for sample in samples]).to(context.network.device)
