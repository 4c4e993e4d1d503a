"""Processes that decode images: what they need of the machine, and what happens when they fail.

A batch is sent through shared memory. Where there is little of it, as in a container (Docker gives 64 MB), a process
that writes a batch is killed, or drops the batch, and the audit would wait for ever. There the batches are sent
through pipes. If the processes fail in another way, the main process decodes the rest.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from auditor.errors import describe
from auditor.language import _, current, speak

if TYPE_CHECKING:
    from auditor.data.dataset import ImageData, Loaded

PATIENCE = 120.0
"""Seconds without a batch after which the processes count as failed."""

_SHARED = Path("/dev/shm")  # noqa: S108 - the system's shared memory, where nothing is written here
_AHEAD = 2  # batches that each process prepares
_SPARE = 2  # times the memory of these batches


def batches(
    data: ImageData,
    chosen: Sequence[list[int]],
    *,
    workers: int,
    pin: bool,
    note: Callable[[str], None],
) -> Iterator[Loaded]:
    """Yield the batches of some images; if the processes fail, the main process decodes the rest.

    Args:
        chosen: The indices of the images of each batch.
        workers: The number of processes; 0 decodes in the main process.
        pin: Put batches into pinned memory.
        note: Called with a sentence if the batches are loaded otherwise than asked.
    """
    done = 0
    if workers and chosen:
        data.listing.digests  # noqa: B018 - computed once, not in each process
        try:
            for batch in _sent(data, chosen, workers=workers, pin=pin, note=note):
                yield batch
                done += 1
        except GeneratorExit:
            raise
        except Exception as error:  # torch and the system raise many kinds
            reason = describe(error).partition("\n")[0][:200]
            note(
                _(
                    "the processes that decode images failed, and the main process decoded the rest; set --workers 0, "
                    "or give the container more shared memory (docker run --shm-size): {reason}",
                    reason=reason,
                )
            )
            del error
            gc.collect()  # ends what is left of the processes
    for indices in chosen[done:]:
        yield data.collate([data[index] for index in indices])


def _sent(
    data: ImageData,
    chosen: Sequence[list[int]],
    *,
    workers: int,
    pin: bool,
    note: Callable[[str], None],
) -> Iterable[Loaded]:
    """Return the batches as the processes send them, through shared memory if there is enough of it."""
    piped = _is_scarce(data, len(chosen[0]), workers)
    if piped:
        note(_("there is little shared memory, so the processes that decode images send them through pipes"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # the number was asked for
        loaded: Iterable[Any] = DataLoader(
            data,
            batch_sampler=chosen,
            num_workers=workers,
            pin_memory=pin and not piped,
            collate_fn=partial(_packed, data) if piped else data.collate,
            generator=torch.Generator(),  # otherwise every pass would draw from the global stream
            multiprocessing_context=_processes(),
            worker_init_fn=partial(_begin, current().name),
            prefetch_factor=_AHEAD,
            timeout=PATIENCE,
        )
    return map(_unpacked, loaded) if piped else loaded


def _is_scarce(data: ImageData, count: int, workers: int) -> bool:
    """Return whether the batches that are on their way at once may not fit into the shared memory."""
    channels, height, width = data.preprocess.input_shape
    needed = _SPARE * (_AHEAD + 1) * workers * count * channels * height * width * 4
    try:
        free = os.statvfs(_SHARED)
    except (OSError, AttributeError):  # a system that has no such folder
        return False
    return free.f_bavail * free.f_frsize < needed


def _packed(data: ImageData, samples: Any) -> tuple[Any, ...]:
    """Return a batch as arrays, which are sent through a pipe, where tensors are sent through shared memory."""
    loaded = data.collate(samples)
    return tuple(part.numpy() if isinstance(part, torch.Tensor) else part for part in loaded)


def _unpacked(parts: tuple[Any, ...]) -> Loaded:
    from auditor.data.dataset import Loaded

    indices, images, labels, unreadable, traits, targets = parts
    return Loaded(
        torch.from_numpy(indices),
        torch.from_numpy(images),
        torch.from_numpy(labels),
        unreadable,
        traits,
        None if targets is None else torch.from_numpy(targets),
    )


def _begin(language: str, worker: int) -> None:
    """Set the language of a process, for the reasons why files can't be read."""
    speak(language)


def _processes() -> BaseContext | None:
    """Return a way to start processes that can't deadlock: without a fork of this process and its threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["auditor.data.dataset"])  # imports torch once, not in each process
    return context
