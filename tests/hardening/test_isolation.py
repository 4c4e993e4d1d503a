"""What a check leaves changed is noticed, put back and reported of that check; no other check sees it."""

import builtins
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor import Check, Finding, Verdict
from auditor.config.settings import Settings
from auditor.data.preprocessing import Preprocess
from auditor.model.network import Network
from auditor.observer import Silent
from auditor.plugins import Plugins
from auditor.process.switches import Switches
from auditor.runner import run
from auditor.statistics import softmax as softmax_module
from tests import folders, networks

KEPT: list[object] = []  # what a check keeps alive, so that nothing ends by itself


def left_open(manager):
    manager.__enter__()
    KEPT.append(manager)


class Doubling(torch.utils._python_dispatch.TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Passing(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def wrong(*args, **kwargs):
    return torch.zeros(1)


def overwrite(name, value):
    return lambda context: object.__setattr__(context, name, value)


def remove_the_working_folder(context):
    os.chdir(Path(os.environ["SPARE"]))
    Path(os.environ["SPARE"]).rmdir()


def blacken(context):
    pixels = context.samples[0].pixels
    while pixels.base is not None:
        pixels = pixels.base
    pixels.setflags(write=True)
    pixels.fill(0)


def start_a_thread(context):
    threading.Thread(target=time.sleep, args=(20,), daemon=True, name="left").start()


CHANGES = {
    "autocast": lambda context: left_open(torch.autocast("cpu", torch.bfloat16)),
    "autocast_switch": lambda context: torch.set_autocast_enabled("cpu", True),
    "autocast_dtype": lambda context: torch.set_autocast_dtype("cpu", torch.float16),
    "autocast_cache": lambda context: torch.set_autocast_cache_enabled(False),
    "threads": lambda context: torch.set_num_threads(torch.get_num_threads() + 1),
    "default_dtype": lambda context: torch.set_default_dtype(torch.float64),
    "default_device": lambda context: torch.set_default_device("meta"),
    "grad_mode": lambda context: torch.set_grad_enabled(False),
    "inference_mode": lambda context: left_open(torch.inference_mode()),
    "deterministic": lambda context: torch.use_deterministic_algorithms(True),
    "cudnn": lambda context: setattr(torch.backends.cudnn, "benchmark", True),
    "cudnn_enabled": lambda context: setattr(torch.backends.cudnn, "enabled", False),
    "mkldnn": lambda context: torch._C._set_mkldnn_enabled(False),
    "matmul": lambda context: torch.set_float32_matmul_precision("medium"),
    "fp32_precision": lambda context: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "attention": lambda context: torch.backends.cuda.enable_math_sdp(False),
    "anomaly": lambda context: torch.autograd.set_detect_anomaly(True),
    "saved_tensors": lambda context: left_open(torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)),
    "dispatch_mode": lambda context: left_open(Doubling()),
    "function_mode": lambda context: left_open(Passing()),
    "global_hook": lambda context: nn.modules.module.register_module_forward_hook(lambda m, i, o: o * 0),
    "printoptions": lambda context: torch.set_printoptions(precision=1),
    "denormals": lambda context: torch.set_flush_denormal(True),
    "torch_function": lambda context: setattr(torch, "softmax", wrong),
    "functional": lambda context: setattr(F, "relu", wrong),
    "module_method": lambda context: setattr(nn.Conv2d, "forward", wrong),
    "module_call": lambda context: setattr(nn.Linear, "__call__", wrong),
    "tensor_method": lambda context: setattr(torch.Tensor, "mean", wrong),
    "numpy_function": lambda context: setattr(np, "argsort", wrong),
    "pillow_function": lambda context: setattr(PIL.Image, "open", wrong),
    "pillow_switch": lambda context: setattr(
        PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", not PIL.ImageFile.LOAD_TRUNCATED_IMAGES
    ),
    "pillow_bound": lambda context: setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1),
    "own_function": lambda context: setattr(softmax_module, "softmax", wrong),
    "own_method": lambda context: setattr(Network, "scores", wrong),
    "builtin": lambda context: setattr(builtins, "sorted", lambda things, **how: list(things)),
    "hidden_builtin": lambda context: setattr(sys.modules["auditor.runner"], "len", lambda things: 0),
    "classes": overwrite("classes", ("a", "a", "a", "a")),
    "seed": overwrite("seed", 7),
    "chosen": overwrite("chosen", ()),
    "preprocess": overwrite("preprocess", Preprocess.of({"resize": 8, "crop": 8, "mean": 0, "std": 1})),
    "network": lambda context: object.__setattr__(context.network, "scores", wrong),
    "preprocess_inside": lambda context: object.__setattr__(context.preprocess, "mean", (9.0, 9.0, 9.0)),
    "labels": lambda context: object.__setattr__(context.data.labels, "indices", (0,) * 48),
    "files": lambda context: object.__setattr__(context.data.listing, "files", ()),
    "images": lambda context: setattr(context.data, "preprocess", None),
    "metadata": lambda context: context.checkpoint.metadata.update(classes=["z"]),
    "sample_label": lambda context: object.__setattr__(context.samples[0], "label", 3),
    "sample_pixels": blacken,
    "sample_tensor": lambda context: context.samples[0].tensor.zero_(),
    "weights": lambda context: next(context.network.module.parameters()).data.zero_(),
    "training": lambda context: context.network.module.train(),
    "path": lambda context: sys.path.insert(0, "/elsewhere"),
    "path_list": lambda context: setattr(sys, "path", list(sys.path)),
    "modules": lambda context: sys.modules.update(json=types.ModuleType("json")),
    "environment": lambda context: os.environ.update(LEFT="1"),
    "handler": lambda context: signal.signal(signal.SIGUSR1, lambda *about: None),
    "timer": lambda context: signal.setitimer(signal.ITIMER_REAL, 3600),
    "blocked_signal": lambda context: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    "umask": lambda context: os.umask(0o777),
    "working_folder": lambda context: os.chdir("/"),
    "working_folder_removed": remove_the_working_folder,
    "locale": lambda context: locale.setlocale(locale.LC_ALL, "C"),
    "filters": lambda context: warnings.simplefilter("ignore"),
    "logging": lambda context: logging.disable(logging.CRITICAL),
    "stdout": lambda context: setattr(sys, "stdout", None),
    "recursion": lambda context: sys.setrecursionlimit(5000),
    "garbage": lambda context: gc.disable(),
    "numpy_errors": lambda context: np.seterr(all="ignore"),
    "thread": start_a_thread,
    "language": lambda context: __import__("auditor.language").language.speak("fr"),
}

SILENT = {  # put back, and not reported: a check may use them
    "random": lambda context: (random.seed(3), np.random.seed(3), torch.manual_seed(3)),
}


def changing(name, change):
    def function(context):
        """Does it leave something changed?"""
        yield Finding(f"{name}.before", Verdict.PASS, "fine")
        change(context)

    function.__name__ = name
    return Check(function)


def witness(name):
    def function(context):
        """What does a check see?"""
        images = torch.stack([sample.tensor for sample in context.samples])
        scores = context.network.scores(images)
        drawn = torch.rand(1, generator=context.random("witness")).item()
        told = [scores.sum().item(), drawn, torch.ones(1).dtype]
        told += [scores.requires_grad, torch.get_num_threads(), context.classes, context.seed, context.chosen]
        told += [context.data.labels.indices[:3], context.data[1].tensor.sum().item(), context.samples[0].label]
        told += [str(Path.cwd()), os.environ.get("LEFT"), sys.getrecursionlimit(), sorted([2, 1]), F.relu(images).sum()]
        told += [int(context.samples[0].pixels.sum()), context.preprocess.mean, len(context.data)]
        yield Finding(f"{name}.seen", Verdict.PASS, str(told))

    function.__name__ = name
    return Check(function)


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """An audit with a check for each change, and a witness after each of them."""
    tmp = tmp_path_factory.mktemp("isolation")
    data = folders.noise(tmp / "data", "abcd", 12, (32, 32))
    checkpoint = networks.save(networks.build(networks.Small, seed=3), tmp / "net.pt")
    checks = [witness("witness")]
    for name, change in {**CHANGES, **SILENT}.items():
        checks += [changing(name, change), witness("witness")]
    numbered = {}
    for number, check in enumerate(checks):
        numbered[f"{check.name}_{number}" if check.name == "witness" else check.name] = check
    asked = Settings(
        checkpoint,
        str(data),
        arch=networks.flag(networks.Small),
        preprocess={"resize": 32, "crop": 32, "mean": [0, 0, 0], "std": [1, 1, 1]},
        samples=2,
    )
    (tmp / "spare").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARE", str(tmp / "spare"))
        return results_of(asked, numbered)


def results_of(asked, checks):
    """Return the results by the name under which the check stands, as results are kept by the check's own name."""
    found = {}
    for name, check in checks.items():
        check.name = name if name.startswith("witness") else check.name
    for result in run(asked, Plugins(checks=checks), Silent()).audit.results:
        found[result.check] = result
    return found


def test_there_are_at_least_48_changes():
    assert len(CHANGES) >= 48


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_check_leaves_changed_is_reported_of_it(audit, name):
    (modified,) = [one for one in audit[name].findings if one.verdict is Verdict.ERROR]
    assert modified.rule == f"{name}.modified", modified


def test_everything_that_was_changed_is_put_back(audit):
    """A mode that stayed on would run all that follows, and traces come out wrong under it."""
    assert not [one.message for result in audit.values() for one in result.findings if "put back" in one.message]
    assert not torch._C._len_torch_dispatch_stack()
    assert not torch.utils._python_dispatch.is_in_torch_dispatch_mode()
    net = networks.build(networks.Small).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.jit.trace(net, torch.zeros(1, 3, 24, 24))(torch.ones(1, 3, 24, 24)).isfinite().all()


def test_the_list_that_is_put_back_is_the_one_that_was_there(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/somewhere"])
    own, then = sys.path, list(sys.path)
    switches = Switches()
    sys.path = ["/elsewhere"]
    assert switches.restored() == ["sys.path"]
    assert sys.path is own
    assert sys.path == then


@pytest.mark.parametrize("name", SILENT)
def test_random_streams_are_put_back_without_a_word(audit, name):
    assert audit[name].verdict is Verdict.PASS


def test_no_other_check_sees_a_change_or_is_accused(audit):
    told = {name: [one.message for one in result.findings] for name, result in audit.items() if "witness" in name}
    first = told["witness_0"]
    different = {name: seen for name, seen in told.items() if seen != first}
    assert not different
