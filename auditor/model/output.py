"""Which tensor of what a network gives has the class scores.

A network gives a tensor, or tensors in tuples, lists, mappings, dataclasses and other objects, nested in any way. The
scores are one row for each image. Where several tensors could be scores, the one called `logits` is taken; else the
one whose width is the number of classes, if that is known; else the one that no other is computed from, so that
features are not mistaken for scores. Where none of these decides, the user has to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auditor.errors import ArchitectureError, did_you_mean
from auditor.process.foreign_text import printable

_LOGITS = "logits"
_AUXILIARY = "aux"
_DEEPEST = 6
_MOST = 1000
_SHOWN = 12


class Ambiguous(ArchitectureError):
    """Several tensors may have the scores; `found` says which."""

    def __init__(self, found: str, first: str) -> None:
        super().__init__(f"{found}; choose one with --output {first}")
        self.found = found


@dataclass(frozen=True, slots=True)
class Output:
    """The tensor that has the scores.

    Attributes:
        name: Its keys, attributes and indices, joined by dots; empty if the network gives one tensor only.
        every: All tensors that the network gives, with their shapes for one image: `features [512]`.
        alone: Whether what runs the network has taken this tensor out already.
    """

    name: str = ""
    every: tuple[str, ...] = ()
    alone: bool = False

    @classmethod
    def of(cls, given: Any, *, name: str | None = None, classes: int | None = None) -> Output:
        """Choose among the tensors that a network gave for some images.

        Args:
            given: What it gave. With a graph of autograd it shows which tensors are computed from others.
            name: The tensor that the user names, by its path or its index; None to choose.
            classes: The number of classes of the data, if it is known.

        Raises:
            ArchitectureError: The name fits no tensor, no tensor has one row of scores for each image, or several have.
        """
        found = dict(tensors_in(given))
        listed = tuple(f"{key or 'a tensor'} {list(one.shape[1:])}" for key, one in found.items())
        if name is not None:
            chosen = _named(name, found, listed)
            _scores(found[chosen])
            return cls(chosen, listed)
        if isinstance(given, Tensor) or not found:
            _scores(given)
            return cls("", listed)
        usable = {key: one for key, one in found.items() if _is_scores(one)}
        if not usable:
            _scores(next(iter(found.values())) if len(found) == 1 else given)
            raise ArchitectureError(f"none of the network's outputs has [images, classes]: {_shown(listed)}")
        return cls(_chosen(usable, classes), listed)

    def scores(self, given: Any) -> Float[Tensor, "n k"]:
        """Return the scores in what the network gives.

        Raises:
            ArchitectureError: There are none this time.
        """
        if not self.name or self.alone:
            return _scores(given)
        found = dict(tensors_in(given))
        if self.name not in found:
            raise ArchitectureError(
                f"the network gave no output {self.name!r} this time; it gave {_shown(list(found))}"
            )
        return _scores(found[self.name])

    def __str__(self) -> str:
        """Say what was taken, and what else there was."""
        if not self.every or (len(self.every) == 1 and not self.name):
            return ""
        taken = next((one for one in self.every if one.rpartition(" [")[0] == self.name), self.name)
        return taken if len(self.every) == 1 else f"{taken}; the network gives {_shown(self.every)}"


WHOLE: Final = Output()
"""What the network gives is the tensor with the scores."""


def class_scores(model: Callable[[Tensor], Any], images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """Run a model, and return the scores in what it gives, chosen as an audit does.

    Raises:
        ValueError: There are none, or several.
    """
    given = model(images)
    if not isinstance(given, Tensor):
        try:
            given = _output_of(model, images, given).scores(given)
        except Ambiguous as error:
            raise ValueError(f"{error.found}; give a network that returns one of them") from None
        except ArchitectureError as error:
            raise ValueError(str(error)) from None
    if given.ndim != 2 or len(given) != len(images):
        shape = list(given.shape)
        raise ValueError(f"the model returns {shape} for {len(images)} images, but has to return scores [n, k]")
    return given


def _output_of(model: Callable[[Tensor], Any], images: Tensor, given: Any) -> Output:
    if images.requires_grad and torch.is_grad_enabled():
        return Output.of(given)
    with torch.inference_mode(False), torch.enable_grad():  # the graph shows which tensors are computed from others
        return Output.of(model(images[:1].detach().clone().requires_grad_().clone()))


def tensors_in(given: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a network gave, by the dotted path of keys, attributes and indices; at most 1,000."""
    waiting: list[tuple[str, Any, int]] = [("", given, 0)]
    found = 0
    while waiting and found < _MOST:
        path, one, depth = waiting.pop()
        if isinstance(one, Tensor):
            found += 1
            yield path, one
        elif depth < _DEEPEST:
            inside = [(f"{path}.{key}" if path else str(key), value, depth + 1) for key, value in _entries(one)]
            waiting += reversed(inside)


def _entries(one: Any) -> list[tuple[Any, Any]]:
    if isinstance(one, Mapping):
        return list(one.items())
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        return [(field.name, getattr(one, field.name, None)) for field in dataclasses.fields(one)]
    if isinstance(one, tuple) and hasattr(one, "_fields"):
        return list(zip(one._fields, one, strict=False))
    if isinstance(one, Sequence) and not isinstance(one, str | bytes):
        return list(enumerate(one))
    if isinstance(one, Set | nn.Module | type) or not hasattr(one, "__dict__"):
        return []
    return [(name, value) for name, value in vars(one).items() if not name.startswith("_")]


def _named(name: str, found: Mapping[str, Tensor], listed: Sequence[str]) -> str:
    """Return the path that a user means: the path itself, one that leads to a single tensor, or an index."""
    below = [key for key in found if key == name or key.startswith(f"{name}.")]
    if name in found or len(below) == 1:
        return name if name in found else below[0]
    if name.isdecimal() and not below and int(name) < len(found):
        return list(found)[int(name)]
    if list(found) == [""]:
        raise ArchitectureError(f"--output is {name!r}, but the network gives one tensor; leave --output out")
    hint = did_you_mean(name, found)
    raise ArchitectureError(f"--output is {name!r}, but the network gives {_shown(listed)}{hint}")


def _chosen(usable: Mapping[str, Tensor], classes: int | None) -> str:
    called = [key for key in usable if key.rpartition(".")[2] == _LOGITS]
    if len(called) == 1:
        return called[0]
    names = list(_distinct(usable))
    for kept in (
        [key for key in names if classes is not None and _fits(usable[key], classes)],
        [key for key in names if _AUXILIARY not in key.lower()],
    ):
        names = [key for key in names if key in kept] or names
    names = _last(names, usable) if len(names) > 1 else names
    if len(names) == 1:
        return names[0]
    listed = [f"{key} {list(usable[key].shape[1:])}" for key in names]
    raise Ambiguous(f"{len(names)} outputs of the network may be the class scores: {_shown(listed)}", names[0])


def _distinct(usable: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each tensor once, under its first name."""
    known = {id(one): key for key, one in reversed(list(usable.items()))}
    return {key: one for key, one in usable.items() if known[id(one)] == key}


def _last(names: Sequence[str], usable: Mapping[str, Tensor]) -> list[str]:
    """Return the tensors that no other is computed from, as far as their graphs show it."""
    before = {key: _nodes_before(usable[key]) for key in names}
    used = {key for key in names for other in names if other != key and usable[key].grad_fn in before[other] - {None}}
    return [key for key in names if key not in used]


def _nodes_before(scores: Tensor) -> set[Any]:
    seen: set[Any] = set()
    waiting = [node for node, _ in scores.grad_fn.next_functions] if scores.grad_fn is not None else []
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return seen


def _fits(scores: Tensor, classes: int) -> bool:
    width = scores[0].numel() if scores.ndim > 1 else 1
    return width == classes or (width == 1 and classes == 2)


def _is_scores(one: Any) -> TypeGuard[Tensor]:
    if not isinstance(one, Tensor) or not one.is_floating_point() or not one.ndim or not len(one):
        return False
    return one.ndim == 1 or 0 < int(one.shape[1]) == one[0].numel()


def _scores(one: Any) -> Float[Tensor, "n k"]:
    """Return a tensor as scores; one number for each image becomes one column."""
    if _is_scores(one):
        return one[:, None] if one.ndim == 1 else one.flatten(1)
    shape = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
    raise ArchitectureError(f"the network gives {shape} for a batch of images; a classifier gives [images, classes]")


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return printable(", ".join(names[:_SHOWN]) + more)
