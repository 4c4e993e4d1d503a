"""A frozen network that gives one score for each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from auditor.errors import ArchitectureError, CheckpointError, UsageError
from auditor.model import refusal
from auditor.model.checkpointed_blocks import run_plainly
from auditor.model.ending import Ending, before, ending
from auditor.model.fields.receptive_fields import ReceptiveField, receptive_fields, traced_fields
from auditor.model.files.sandboxed import Sandboxed, choose_output, is_script, operations
from auditor.model.layers import LayerTable, trace
from auditor.model.output import WHOLE, Output
from auditor.model.preserve import Snapshot


@dataclass(frozen=True)
class Network:
    """A frozen network on its device, in eval mode, with its layers.

    Attributes:
        input_shape: Channels, height and width of the images that it takes.
        outputs: The number of classes; a single output counts as two classes.
        single: Whether the network has a single output.
        ending: The softmax or sigmoid at its end, if there is one; the scores are its input.
        output: Which tensor has the scores, if the network gives several.
        layout: The memory format of images: channels_last, which is faster, if the network supports it.
    """

    module: nn.Module
    input_shape: tuple[int, int, int]
    device: torch.device
    amp: bool
    layers: LayerTable
    outputs: int
    ending: Ending
    layout: torch.memory_format = torch.contiguous_format
    output: Output = WHOLE
    single: bool = False

    @classmethod
    @run_plainly()
    def of(
        cls,
        module: nn.Module,
        input_shape: tuple[int, int, int],
        device: torch.device,
        *,
        amp: bool,
        output: str | None = None,
        classes: int | None = None,
    ) -> Network:
        """Move the network to its device and run it once to find its layers, outputs and ending.

        Args:
            output: The output that has the scores, by its path or its index; None to choose.
            classes: The number of classes of the data, if it is known.

        Raises:
            ArchitectureError: It refuses images of `input_shape`, or gives no scores, or several.
            CheckpointError: The sandbox in which it runs has failed.
        """
        module.to(device)
        example = torch.zeros(1, *input_shape, device=device)
        _initialise(module, example)
        found = Snapshot(module)
        layout = _layout(module, example)
        example = example.contiguous(memory_format=layout)
        try:
            chosen = _output(module, example, output, classes)
            scores, end = ending(module, example, chosen.scores)
            layers = _traced(module, example, layout)
        except (ArchitectureError, CheckpointError):  # the latter if a sandbox has failed
            raise
        except Exception as error:
            raise ArchitectureError(refusal.advice(module, example, error)) from error
        if found.changes():
            found.restore()
            _lay(module, layout)
        outputs = scores.shape[1]
        return cls(module, input_shape, device, amp, layers, max(2, outputs), end, layout, chosen, outputs == 1)

    @cached_property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    @cached_property
    def receptive_fields(self) -> Mapping[str, ReceptiveField]:
        """The receptive field of each module that can be traced; this takes one forward pass."""
        with run_plainly():
            return traced_fields(self.module, self._blank())

    def receptive_field(self, layer: str) -> ReceptiveField | None:
        """Return the receptive field of a module, None if it gives no maps.

        If it can't be traced, the network is probed once, with an image for each row and each column.
        """
        return self.receptive_fields.get(layer) or self._probed.get(layer)

    @cached_property
    def _probed(self) -> Mapping[str, ReceptiveField]:
        with run_plainly():
            return receptive_fields(self.module, self._blank())

    def _blank(self) -> Float[Tensor, "1 c h w"]:
        return torch.zeros(1, *self.input_shape, device=self.device).contiguous(memory_format=self.layout)

    def scores(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the scores before any softmax or sigmoid, in float32; differentiable."""
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=self.layout)
        with self._precision(), run_plainly():
            scores = before(self.ending, self.module, images, self.output.scores)
        return as_classes(scores).float()

    __call__ = scores

    def operations(self) -> int:
        """Return the number of multiplications and additions for one image."""
        from torch.utils.flop_counter import FlopCounterMode

        if isinstance(self.module, Sandboxed):
            return operations(self.module, self._blank())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.scores(self._blank())
        return int(counter.get_total_flops())

    def run_once(self) -> None:
        """Run the network on a blank image and on three of noise, for a `Snapshot` to see what that changes."""
        noise = torch.randn(3, *self.input_shape, generator=torch.Generator().manual_seed(0))
        for images in (torch.zeros(1, *self.input_shape), noise):
            with torch.no_grad(), suppress(Exception, SystemExit):  # some take one image only; the checks report it
                self.scores(images)

    def observe(self, images: Float[Tensor, "n c h w"], taps: Sequence[str]) -> dict[str, Tensor]:
        """Return the outputs of the named modules for some images, copied before any in-place operation.

        If a module runs several times, the output of the last run is returned.
        """
        seen: dict[str, Tensor] = {}

        def keeping(tap: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
                seen[tap] = output.detach().clone()

            return keep

        handles = [self.module.get_submodule(tap).register_forward_hook(keeping(tap)) for tap in dict.fromkeys(taps)]
        try:
            with torch.no_grad():
                self.scores(images)
        finally:
            for handle in handles:
                handle.remove()
        return seen

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.amp:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.device.type == "cpu" else None)


def _initialise(module: nn.Module, example: Tensor) -> None:
    """Run a network with lazy layers once: they become other classes and get their shapes in a first call."""
    if any(isinstance(part, LazyModuleMixin) for part in module.modules()):
        with torch.no_grad(), suppress(Exception):  # an error of the network itself is raised again
            module(example)
        module.eval().requires_grad_(requires_grad=False)


def _output(module: nn.Module, example: Tensor, name: str | None, classes: int | None) -> Output:
    if isinstance(module, Sandboxed):
        return choose_output(module, example, name=name, classes=classes)
    with torch.enable_grad():
        return Output.of(module(example.clone().requires_grad_().clone()), name=name, classes=classes)


def _traced(module: nn.Module, example: Tensor, layout: torch.memory_format) -> LayerTable:
    """Return the layers, from a forward pass with two images if the network takes two: see `trace`."""
    try:
        return trace(module, torch.cat([example, example]).contiguous(memory_format=layout))
    except Exception:  # a network that takes one image only may raise any exception with two
        return trace(module, example)


def _layout(module: nn.Module, example: Tensor) -> torch.memory_format:
    """Return channels_last if the network supports it; one that calls `x.view(len(x), -1)` does not."""
    if is_script(module):
        return torch.contiguous_format
    try:
        _lay(module, torch.channels_last)
        with torch.no_grad():
            module(example.contiguous(memory_format=torch.channels_last))
    except Exception:  # an error of the network itself is raised again in the contiguous format
        _lay(module, torch.contiguous_format)
        return torch.contiguous_format
    return torch.channels_last


def _lay(module: nn.Module, layout: torch.memory_format) -> None:
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def as_classes(scores: Float[Tensor, "n _"]) -> Float[Tensor, "n k"]:
    """Return one score for each class; a single score is split into the scores of two classes.

    The two are minus and plus half of it, so that their softmax is its sigmoid and each class has a gradient.
    """
    if scores.shape[1] > 1:
        return scores
    return torch.cat([-scores / 2, scores / 2], dim=1)


def device_named(name: str) -> torch.device:
    """Return the device called `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UsageError: There is no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device is {name!r}, but has to be auto, cpu, cuda, cuda:N or mps") from None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    here = count.get(device.type, 0)
    if (device.index or 0) >= here:
        raise UsageError(f"--device is {name!r}, but this machine has {here} {device.type} devices; use --device cpu")
    return device
