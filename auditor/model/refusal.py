"""Why a network refuses an image, found by experiment: with which other input it runs.

What an exception says differs between libraries, versions and languages. Whether the network runs with another size,
layout or type of numbers does not.
"""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any, Final

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.model.input_size import channels_of, sizes_of
from auditor.process.foreign_text import printable

_SECONDS: Final = 20.0  # for all experiments together
_TYPES: Final = (
    (torch.float64, "float64", ".double()"),
    (torch.float16, "float16", ".half()"),
    (torch.bfloat16, "bfloat16", ".bfloat16()"),
)
_WRAPPER: Final = "give a module with --arch whose forward(self, images) returns self.net({})"


def advice(module: nn.Module, example: Tensor, error: Exception) -> str:
    """Return in one line what a network takes that raised `error` for `example`, and what to do.

    Args:
        module: The network; it may be left changed.
        example: A blank image, `[1, c, h, w]`, on the network's device.

    Raises:
        CheckpointError: The sandbox in which it runs has failed.
    """
    shape = _times(example.shape[1:])
    known = _from_error(error) or _from_signature(module)
    if not known:
        found = _Experiments(module, example).first()
        known = (
            found
            or f"{_kind(error)}; no other size, layout or number of channels was accepted either: look at its code"
        )
    return f"the network refuses an image of {shape}: {known}"


def _from_error(error: Exception) -> str:
    """Return what the type of an exception and the place where it was raised tell."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "its maps do not fit into memory; make the images smaller with --preprocess, or use another --device"
    if isinstance(error, ImportError):
        return f"it needs a package that can't be imported: {_told(error)}; install it where auditor is installed"
    if _asks_for_cuda(error) and not torch.cuda.is_available():
        return "its code asks for CUDA, and this machine has none; remove .cuda() and device='cuda' from its code"
    return ""


def _asks_for_cuda(error: BaseException) -> bool:
    """Return whether an exception comes out of torch's start of CUDA."""
    frames = [Path(frame.f_code.co_filename).parts for frame, _ in walk_tb(error.__traceback__)]
    return any(parts[-3:-1] == ("torch", "cuda") for parts in frames)


def _from_signature(module: nn.Module) -> str:
    """Return what the parameters of `forward` tell: it takes more than an image, or nothing."""
    if type(module).forward is nn.Module.forward:
        return f"{type(module).__name__} has no forward method; give a network that has one with --arch"
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # TorchScript
        return ""
    takes = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = [p.name for p in takes if p.default is p.empty]
    if not takes and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return "its forward takes no image; give a network that takes images with --arch"
    if len(needed) < 2:
        return ""
    others = " and ".join(repr(name) for name in needed[1:])
    wrapper = _WRAPPER.format(", ".join(["images", *needed[1:]]))
    return (
        f"its forward takes {len(needed)} inputs, an image and {others}, and a folder of images gives images alone; "
        f"{wrapper}, with a fixed value of {others}"
    )


class _Experiments:
    """Runs a network with one input after the other, until one is accepted or the time is over."""

    def __init__(self, module: nn.Module, example: Tensor) -> None:
        self._module = module
        self._example = example
        self._end = time.monotonic() + _SECONDS

    def first(self) -> str:
        """Return what the first accepted input says; empty if none is accepted."""
        ways = (self._devices, self._layouts, self._numbers, self._channels, self._sizes, self._containers, self._both)
        return next((words for way in ways for words in way()), "")

    def _runs(self, given: Any, module: nn.Module | None = None) -> bool:
        if time.monotonic() > self._end:
            return False
        try:
            with torch.no_grad():
                (module or self._module)(given)
        except CheckpointError:
            raise
        except Exception:  # the network's own code may raise anything
            return False
        return True

    def _runs_as(self, dtype: torch.dtype) -> bool:
        other = self._copied(lambda module: module.to(dtype))
        return other is not None and self._runs(self._example, other)

    def _devices(self) -> Iterator[str]:
        if not torch.cuda.is_available() or self._example.is_cuda:
            return
        if (other := self._copied(lambda m: m.cuda())) is not None and self._runs(self._example.cuda(), other):
            yield "its code asks for CUDA; pass --device cuda"

    def _layouts(self) -> Iterator[str]:
        x = self._example
        if self._runs(x.permute(0, 2, 3, 1)):
            yield "it takes images as [rows, columns, channels]; " + _WRAPPER.format("images.permute(0, 2, 3, 1)")
        if self._runs(x[0]):
            yield "it takes one image without a batch; give a module with --arch that stacks its scores of each image"
        if self._runs(torch.cat([x, x])):
            yield "it takes no single image: it normalises over the batch, even in eval mode; remove training=True"
        for clip in (x[:, :, None].expand(-1, -1, 8, -1, -1), x[:, None].expand(-1, 8, -1, -1, -1)):
            if self._runs(clip):
                yield f"it takes clips of several images, {_times(clip.shape[1:])}, and is no classifier of images"
        if self._runs(x.flatten(1)):
            yield "it takes an image as one row of numbers; " + _WRAPPER.format("images.flatten(1)")

    def _numbers(self) -> Iterator[str]:
        x = self._example
        if self._runs(x.to(torch.uint8)):
            wrapper = _WRAPPER.format("images.byte()")
            yield f"it takes whole numbers from 0 to 255; {wrapper}, and set scale = 255 in [preprocess]"
        for dtype, name, call in _TYPES:
            if self._runs(x.to(dtype)) or self._runs_as(dtype):
                yield f"it computes in {name}, and its weights are audited in float32; remove {call} from its code"

    def _channels(self) -> Iterator[str]:
        for count in self._counts():
            if self._runs(self._blank(count, *self._example.shape[2:])):
                yield self._of_channels(count)

    def _sizes(self) -> Iterator[str]:
        channels, *size = self._example.shape[1:]
        for side in sizes_of(self._module, self._example):
            if [side, side] != size and self._runs(self._blank(channels, side, side)):
                yield self._of_size(side)

    def _both(self) -> Iterator[str]:
        for count in self._counts()[:2]:
            blank = self._blank(count, *self._example.shape[2:])
            for side in sizes_of(self._module, blank):
                if self._runs(self._blank(count, side, side)):
                    yield f"{self._of_channels(count)}, and resize = [{side}, {side}]"

    def _containers(self) -> Iterator[str]:
        if self._runs(asked := _Asked(self._example)):
            keys = ", ".join(repr(printable(str(key)[:40])) for key in asked.keys_asked)
            yield f"it takes a dict with {keys}; " + _WRAPPER.format(f"{{{keys}: images}}")
        if self._runs([self._example[0]]):
            wrapper = _WRAPPER.format("list(images)")
            yield f"it takes a list of images, as networks that find boxes do; if it is a classifier, {wrapper}"

    def _counts(self) -> list[int]:
        own = channels_of(self._module)
        return [count for count in dict.fromkeys([*own, 1, 3, 4, 2, 6]) if count != self._example.shape[1]]

    def _of_channels(self, count: int) -> str:
        given = self._example.shape[1]
        colour = {1: '"gray"', 3: '"rgb"'}.get(count)
        change = f"color = {colour}" if colour else f"channels = {count}, mean and std of {count} numbers each"
        plural = "channel" if count == 1 else "channels"
        return f"it takes images of {count} {plural}, and the preprocessing gives {given}; set in [preprocess] {change}"

    def _of_size(self, side: int) -> str:
        return f"it takes images of {side}x{side}; set in [preprocess] resize = [{side}, {side}] and no crop"

    def _blank(self, channels: int, rows: int, columns: int) -> Tensor:
        return self._example.new_zeros(1, channels, rows, columns)

    def _copied(self, change: Callable[[nn.Module], nn.Module]) -> nn.Module | None:
        try:
            return change(copy.deepcopy(self._module))
        except Exception:  # not every module can be copied
            return None


class _Asked(dict[Any, Any]):
    """Gives the image for every key, and remembers the keys."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._image = image
        self.keys_asked: dict[Any, None] = {}

    def __missing__(self, key: Any) -> Tensor:
        self.keys_asked[key] = None
        return self._image

    def get(self, key: Any, default: Any = None) -> Tensor:
        """Return the image, as `[]` does."""
        return self.__missing__(key)


def _kind(error: Exception) -> str:
    """Return the type and the first line of an exception, and the line of the user's code that raised it."""
    place = extract_tb(error.__traceback__)[-1:]
    where = f" in {Path(place[0].filename).name}:{place[0].lineno}" if place else ""
    return f"{type(error).__name__}{where}: {_told(error)}"


def _told(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    return lines[0].rstrip(".")[:300]


def _times(shape: torch.Size | tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
