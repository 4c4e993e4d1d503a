"""The process without rights in which a program runs, as the audit sees it.

The process may say anything: each answer is checked before it is used, each call has a time limit, and a process that
has failed once is not asked again. `program_server` is the other end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import torch
from torch import Tensor

from auditor.errors import ArchitectureError, CheckpointError, UnsafeCheckpoint
from auditor.model.ending import Ending
from auditor.model.files.description import Description, Tensors, described, in_one_line
from auditor.model.files.exchange import BrokenExchange, Exchange
from auditor.model.files.format import Format
from auditor.model.files.mark import Mark
from auditor.process import sandbox

TRUST = "pass --trust-checkpoint if you trust its author"

LOADING = 120.0  # seconds for starting and loading, and again for each 100 MB of the file
A_CALL, AN_IMAGE = 60.0, 30.0  # seconds for a call, and for each of its images; three times as long with gradients
_MOST_SCORES = 2**28  # bytes
_MOST_OUTPUTS = 1000
_MOST_STATE = 2**26  # bytes, besides four times the size of the file
_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (ArchitectureError, CheckpointError, UnsafeCheckpoint)
}


class ProgramFailed(CheckpointError):
    """The process of a program has ended, is late, or gives answers that make no sense."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a program gave for a batch of images.

    Attributes:
        scores: `[n, k]`, before the ending.
        random: Whether the program drew random numbers.
        written: The tensors that the program has changed, by name.
        operations: Multiplications and additions, if they were to be counted.
        depends: Whether a gradient of the scores with respect to the images can be asked for.
    """

    scores: Tensor
    ending: Ending
    random: bool
    written: Tensors
    operations: int
    depends: bool = False


class ProgramProcess:
    """The process of one program; it is started again after an interrupted call, and in a forked process.

    Attributes:
        run: The number of the last run, whose graph the process keeps.
        output: The output of the program that has the scores; empty if it gives one tensor.
    """

    def __init__(self, path: Path, kind: Format, file: BinaryIO) -> None:
        self.path, self.kind = path, kind
        self.run, self.output = 0, ""
        self._file, self._size = file, os.fstat(file.fileno()).st_size
        weakref.finalize(self, file.close)
        self._process: subprocess.Popen[bytes] | None = None
        self._exchange: Exchange | None = None
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._failure = ""
        self._marks: dict[str, Mark] = {}
        self._kinds: dict[str, tuple[torch.Size, torch.dtype]] = {}

    def __deepcopy__(self, memo: object) -> ProgramProcess:
        return self

    def start(self) -> tuple[Description, Tensors]:
        """Start the process; return the program's description and its tensors.

        Raises:
            UnsafeCheckpoint: The program reaches beyond tensors, or the sandbox can't be closed.
            CheckpointError: The program can't be loaded.
        """
        self._end()
        handle = self._file.fileno()
        module, packages = f"{__package__}.program_server", Path(torch.__file__).parents[1]
        self._process = process = sandbox.start(module, descriptors=[handle], folders=[packages])
        self._owner = os.getpid()
        weakref.finalize(self, _ended, process, self._owner)
        self._exchange = _piped(process)
        said = {"format": self.kind, "memory": sandbox.memory_for(self._size), **_computing()}
        most, seconds = 4 * self._size + _MOST_STATE, LOADING * (1 + self._size / 1e8)
        answer, tensors = self._exchanged(said, (), most=most, seconds=seconds)
        if answer.get("kind") != "program":
            self._end()
            raise self._refusal(answer)
        found = described(answer, tensors)
        if found is None:
            self._fail("it describes impossible modules or tensors")
        self._kinds = {name: (tensor.shape, tensor.dtype) for name, tensor in found[1].items()}
        return found

    def choose(self, images: Tensor, *, name: str | None, classes: int | None) -> tuple[str, tuple[str, ...]]:
        """Choose the output that has the scores; return its name, and all outputs with their shapes.

        Raises:
            ArchitectureError: The program has no such output, or several that may be the scores.
            ProgramFailed: The process gives no usable answer.
            RuntimeError: The program raised an error.
        """
        with self._lock:
            self._awake()
            said = {"kind": "output", "name": name, "classes": classes, **_computing()}
            answer, _given = self._exchanged(said, [images], most=0, seconds=_patience(images, gradients=True))
            self._raise_from(answer)
            found, every = answer.get("name"), answer.get("every")
            if not isinstance(found, str) or not isinstance(every, list):
                self._fail("it answers with an invalid header")
            self.output = found
            return in_one_line(found), tuple(map(in_one_line, every[:_MOST_OUTPUTS]))

    def scores(
        self, images: Tensor, state: Tensors, *, randomness: Tensor, gradients: bool, training: bool, count: bool
    ) -> Run:
        """Run the program on images.

        Args:
            state: The parameters and buffers to run with.
            randomness: The state of the random stream.
            gradients: Whether the gradient may be asked for.
            count: Whether to count operations.

        Raises:
            ProgramFailed: The process gives no usable answer.
            RuntimeError: The program raised an error.
        """
        with self._lock:
            self._awake()
            changed = [name for name, tensor in state.items() if not self._has(name, tensor)]
            said = {
                "kind": "scores",
                "changed": changed,
                "gradients": gradients,
                "training": training,
                "count": count,
                "output": self.output,
                "autocast": _autocast(images.device.type),
                **_computing(),
            }
            tensors = [images, randomness, *(state[name] for name in changed)]
            most = _MOST_SCORES + sum(size.numel() * dtype.itemsize for size, dtype in self._kinds.values())
            answer, given = self._exchanged(said, tensors, most=most, seconds=_patience(images, gradients=gradients))
            self._marks.update({name: Mark.of(state[name]) for name in changed})
            self.run += 1
            return self._checked(answer, given, images, gradients=gradients)

    def gradient(self, arriving: Tensor, images: Tensor) -> Tensor:
        """Return the gradient of the last run's scores with respect to its images.

        Raises:
            ProgramFailed: The process gives no usable answer.
            RuntimeError: The program raised an error.
        """
        with self._lock:
            said, most = {"kind": "gradient", **_computing()}, images.numel() * images.element_size()
            answer, given = self._exchanged(said, [arriving], most=most, seconds=_patience(images, gradients=True))
            self._raise_from(answer)
            if len(given) != 1 or given[0].shape != images.shape or given[0].dtype != images.dtype:
                self._fail("it answers with a gradient of another shape")
            return given[0]

    def holds(self, name: str, tensor: Tensor) -> None:
        """Note that the process has these values of a tensor."""
        self._marks[name] = Mark.of(tensor)

    def _has(self, name: str, tensor: Tensor) -> bool:
        return name in self._marks and self._marks[name].fits(tensor)

    def _awake(self) -> None:
        """Start the process again if it was interrupted, or if this process was forked from the one that has it."""
        if self._failure:
            raise ProgramFailed(self._failure)
        if self._exchange is None or self._owner != os.getpid():
            before = self._kinds
            self._marks = {}
            self.start()
            if self._kinds != before:
                self._fail("it loads other tensors than before")

    def _exchanged(
        self, said: dict[str, Any], tensors: Sequence[Tensor], *, most: int, seconds: float
    ) -> tuple[dict[str, Any], list[Tensor]]:
        if self._exchange is None:
            self._fail("it ended")
        try:
            self._exchange.send(said, tensors, seconds=seconds)
            return self._exchange.receive(most=most, seconds=seconds)
        except BrokenExchange as error:
            self._fail(str(error))
        except BaseException:  # after an interrupt, what is left in the pipes answers nothing
            self._end()
            raise

    def _checked(self, answer: Mapping[str, Any], given: Sequence[Tensor], images: Tensor, *, gradients: bool) -> Run:
        self._raise_from(answer)
        written, ending = answer.get("written"), Ending.__members__.get(str(answer.get("ending")))
        random, depends, operations = (answer.get(name) for name in ("random", "depends", "operations"))
        if ending is None or type(random) is not bool or type(operations) is not int or not isinstance(written, list):
            self._fail("it answers with an invalid header")
        if len(given) != 1 + len(written) or any(name not in self._kinds for name in map(str, written)):
            self._fail("it answers with tensors that it was not asked for")
        changed = dict(zip(map(str, written), given[1:], strict=True))
        if any((tensor.shape, tensor.dtype) != self._kinds[name] for name, tensor in changed.items()):
            self._fail("it answers with tensors of another shape")
        scores = given[0]
        if scores.ndim != 2 or len(scores) != len(images) or not scores.is_floating_point():
            self._fail(f"it answers with {list(scores.shape)} for {len(images)} images")
        return Run(scores, ending, random, changed, operations, depends=gradients and depends is True)

    def _raise_from(self, answer: Mapping[str, Any]) -> None:
        if answer.get("kind") == "error":
            raise _ERRORS.get(str(answer.get("error")), RuntimeError)(in_one_line(answer.get("message")))

    def _refusal(self, answer: Mapping[str, Any]) -> Exception:
        message, unsafe = in_one_line(answer.get("message")), answer.get("error") == UnsafeCheckpoint.__name__
        if answer.get("kind") == "unsealed":
            return UnsafeCheckpoint(f"{self.path} is a program, and the sandbox can't be closed: {message}; {TRUST}")
        kind = UnsafeCheckpoint if unsafe else CheckpointError
        return kind(f"{self.path} {message}{f'; {TRUST}' if unsafe else ''}")

    def _fail(self, what: str) -> NoReturn:
        how = _how_it_ended(self._process) if what == "it ended" else what
        self._end()
        self._failure = f"the program in {self.path}, which runs in a sandbox, has failed: {how}; {TRUST}"
        raise ProgramFailed(self._failure)

    def _end(self) -> None:
        if self._process is not None:
            _ended(self._process, self._owner)
        self._process = self._exchange = None


def _piped(process: subprocess.Popen[bytes]) -> Exchange:
    source, target = (pipe.fileno() for pipe in (process.stdout, process.stdin) if pipe is not None)
    for handle in (source, target):
        os.set_blocking(handle, False)
    return Exchange(source, target)


def _computing() -> dict[str, Any]:
    return {"threads": torch.get_num_threads()}


def _patience(images: Tensor, *, gradients: bool) -> float:
    return (A_CALL + AN_IMAGE * len(images)) * (3 if gradients else 1)


def _autocast(device: str) -> str:
    on = torch.is_autocast_enabled(device)
    return str(torch.get_autocast_dtype(device)).removeprefix("torch.") if on else ""


def _how_it_ended(process: subprocess.Popen[bytes] | None) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired, AttributeError, ValueError):
        code = process.wait(5)  # type: ignore[union-attr]
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
    return "it ended"


def _ended(process: subprocess.Popen[bytes], owner: int) -> None:
    """End the process, in the one that has started it."""
    if os.getpid() != owner:
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
