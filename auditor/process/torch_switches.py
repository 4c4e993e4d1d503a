"""The global switches of torch, each with how it is read and how it is put back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch.nn.modules import module
from torch.utils import _python_dispatch

Switch = tuple[str, Callable[[], Any], Callable[[Any], object]]

_PAIRS = (  # of getters and setters that torch._C names alike
    *("cublas_allow_bf16_reduced_precision_reduction", "cublas_allow_fp16_accumulation"),
    *("cublas_allow_fp16_reduced_precision_reduction", "cublas_allow_tf32", "cudnn_allow_tf32", "cudnn_benchmark"),
    *("cudnn_deterministic", "cudnn_enabled", "deterministic_fill_uninitialized_memory"),
    *("math_sdp_allow_fp16_bf16_reduction", "mkldnn_deterministic", "mkldnn_enabled", "nnpack_enabled"),
    *("onednn_allow_tf32", "qengine", "sdp_priority_order", "warnAlways", "graph_executor_optimize"),
    *("cpu_allow_fp16_reduced_precision_reduction", "linalg_preferred_backend", "blas_preferred_backend"),
)
_DISPATCH_FLAGS = tuple(name for name in vars(_python_dispatch) if name.startswith("_is_in_"))
_SDP = ("flash", "mem_efficient", "math", "cudnn")
_OPENED: list[Any] = []  # guards that must live as long as the process


def _named_alike(name: str) -> Switch:
    read, put = getattr(torch._C, f"_get_{name}"), getattr(torch._C, f"_set_{name}")
    return f"torch: {name}", read, (lambda then: put(list(then))) if name == "sdp_priority_order" else put


def _sdp(kind: str) -> Switch:
    cuda = torch.backends.cuda
    return (
        f"torch.backends.cuda.{kind}_sdp_enabled()",
        getattr(cuda, f"{kind}_sdp_enabled"),
        getattr(cuda, f"enable_{kind}_sdp"),
    )


def _autocast(kind: str) -> Iterator[Switch]:
    yield (
        f"torch.is_autocast_enabled({kind!r})",
        lambda: torch.is_autocast_enabled(kind),
        lambda then: torch.set_autocast_enabled(kind, then),
    )
    yield (
        f"torch.get_autocast_dtype({kind!r})",
        lambda: torch.get_autocast_dtype(kind),
        lambda then: torch.set_autocast_dtype(kind, then),
    )


def _put_autocast_nesting(then: int) -> None:
    while _autocast_nesting() > then:
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()


def _autocast_nesting() -> int:
    depth = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return int(depth) - 1


def _put_function_modes(then: int) -> None:
    while torch._C._len_torch_function_stack() > then:
        torch._C._pop_torch_function_stack()


def _dispatch_modes() -> tuple[Any, ...]:
    """Return how many modes are on, and what torch notes of them outside of the stack."""
    return torch._C._len_torch_dispatch_stack(), *(getattr(_python_dispatch, flag) for flag in _DISPATCH_FLAGS)


def _put_dispatch_modes(then: tuple[Any, ...]) -> None:
    while torch._C._len_torch_dispatch_stack() > then[0]:
        torch._C._pop_torch_dispatch_stack(None)
    for flag, value in zip(_DISPATCH_FLAGS, then[1:], strict=True):
        setattr(_python_dispatch, flag, value)


def _put_inference(then: bool) -> None:
    _OPENED.append(torch._C._InferenceMode(then))  # the guard that a check left open may be out of reach


def _device_context() -> Any:
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def _put_device_context(then: Any) -> None:
    torch._GLOBAL_DEVICE_CONTEXT.device_context = then  # its mode was popped before, with the other modes


def _hooks() -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(module).items()
        if name.startswith("_global_")
    }


def _put_hooks(then: dict[str, Any]) -> None:
    for name, value in then.items():
        if isinstance(value, dict):
            place = getattr(module, name)
            place.clear()
            place.update(value)
        else:
            setattr(module, name, value)


def _saved_tensor_hooks() -> bool:
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def _put_saved_tensor_hooks(then: bool) -> None:
    while not then and _saved_tensor_hooks():
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _flushes_denormals() -> bool:
    return not float(torch.tensor([2.0**-1060], dtype=torch.float64).mul(0.5))


def _precisions() -> dict[str, str]:
    """Return the precision of single-precision matrices by backend and operator, and under torch's older name."""
    found = {}
    for backend, operator in itertools.product(("generic", "cuda", "mkldnn"), ("all", "matmul", "conv", "rnn")):
        with suppress(RuntimeError):  # not all pairs exist
            found[f"{backend} {operator}"] = torch._C._get_fp32_precision_getter(backend, operator)
    with suppress(RuntimeError):  # both names were used
        found["older name"] = torch._C._get_float32_matmul_precision()
    return found


def _put_precisions(then: dict[str, str]) -> None:
    if "older name" in then:
        torch._C._set_float32_matmul_precision(then["older name"])  # writes to several of the others
    for pair, value in then.items():
        if pair != "older name" and torch._C._get_fp32_precision_getter(*pair.split()) != value:
            backend, operator = pair.split()
            torch._C._set_fp32_precision_setter(backend, operator, value)


def _put_profiler(then: bool) -> None:
    if not then:
        with suppress(Exception):
            torch._C._autograd._disable_profiler()


_FIXED: tuple[Switch, ...] = (
    ("torch.is_inference_mode_enabled()", torch.is_inference_mode_enabled, _put_inference),
    (
        "torch.overrides: modes that are left on",
        torch._C._len_torch_function_stack,
        _put_function_modes,
    ),
    ("torch.utils._python_dispatch: modes that are left on", _dispatch_modes, _put_dispatch_modes),
    ("torch.get_default_device()", _device_context, _put_device_context),
    ("torch.is_grad_enabled()", torch.is_grad_enabled, torch.set_grad_enabled),
    ("torch.get_default_dtype()", torch.get_default_dtype, torch.set_default_dtype),
    ("torch.get_num_threads()", torch.get_num_threads, torch.set_num_threads),
    ("torch.get_num_interop_threads()", torch.get_num_interop_threads, torch.set_num_interop_threads),
    (
        "torch.use_deterministic_algorithms()",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda then: torch.use_deterministic_algorithms(then[0], warn_only=then[1]),
    ),
    (
        "torch.is_anomaly_enabled()",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda then: torch.set_anomaly_enabled(*then),
    ),
    ("torch.autograd: multithreading", torch._C._is_multithreading_enabled, torch._C._set_multithreading_enabled),
    ("torch.autograd.graph.saved_tensors_hooks", _saved_tensor_hooks, _put_saved_tensor_hooks),
    ("torch.profiler", torch._C._autograd._profiler_enabled, _put_profiler),
    ("torch.backends: fp32_precision", _precisions, _put_precisions),
    ("torch.set_flush_denormal()", _flushes_denormals, torch.set_flush_denormal),
    ("torch.nn.Module: global hooks", _hooks, _put_hooks),
    ("torch.is_autocast_cache_enabled()", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    ("torch.autocast: left open", _autocast_nesting, _put_autocast_nesting),
    *itertools.chain.from_iterable(_autocast(kind) for kind in ("cpu", "cuda")),
    (
        "torch.set_printoptions()",
        lambda: dict(vars(torch._tensor_str.PRINT_OPTS)),
        lambda then: vars(torch._tensor_str.PRINT_OPTS).update(then),
    ),
    (
        "torch.multiprocessing: sharing strategy",
        torch.multiprocessing.get_sharing_strategy,
        torch.multiprocessing.set_sharing_strategy,
    ),
)

TORCH: tuple[Switch, ...] = (
    *_FIXED,
    *(_named_alike(name) for name in _PAIRS if hasattr(torch._C, f"_get_{name}") and hasattr(torch._C, f"_set_{name}")),
    *(_sdp(kind) for kind in _SDP if hasattr(torch.backends.cuda, f"enable_{kind}_sdp")),
)
"""Name, how it is read, and how it is put back; the modes come first, since they change what the others do."""
