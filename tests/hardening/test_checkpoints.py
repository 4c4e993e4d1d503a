"""Checkpoints that are not hostile by code: impossible numbers, depth, kinds of tensors and files. One line each."""

import importlib
import json
import os
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from auditor.cli.commands import main
from auditor.data.preprocessing import Preprocess
from auditor.errors import AuditorError, CheckpointError, UsageError
from auditor.model.architectures import architecture
from auditor.model.files.checkpoint import read
from tests import networks
from tests.hardening import hostile

STATE = {"conv.weight": torch.ones(2, 3, 3, 3), "fc.weight": torch.ones(2, 2)}


def saved(folder, content):
    torch.save(content, folder / "net.pt")
    return folder / "net.pt"


def _deep(depth):
    found = dict(STATE)
    for _ in range(depth):
        found = {"model": found}
    return found


def _shared(depth):
    found = {"epoch": 1}
    for _ in range(depth):
        found = {"a": found, "b": found, "model": found}
    return found


def _in_itself():
    found = {"model": {}, "state_dict": dict(STATE)}
    found["model"]["model"] = found["model"]
    found["meta"] = found
    return found


READ = {
    "dicts shared 60 deep beside the weights": lambda: {"state_dict": STATE, "x": _shared(60), "meta": _shared(60)},
    "a dict in itself": _in_itself,
    "classes without an end": lambda: {"state_dict": STATE, "classes": {float("inf"): "a", float("nan"): "b"}},
    "classes of 2**70": lambda: {"state_dict": STATE, "class_to_idx": {"a": 2**70, "b": -1}},
    "classes of dicts": lambda: {"state_dict": STATE, "class_to_idx": {"a": _shared(60)}},
    "names of dicts": lambda: {"state_dict": STATE, "classes": {0: _shared(60)}},
    "preprocessing of text": lambda: {"state_dict": STATE, "pretrained_cfg": {"input_size": "9" * 5000, "mean": "x"}},
    "preprocessing without an end": lambda: {
        "state_dict": STATE,
        "pretrained_cfg": {"input_size": [3, float("inf"), 1], "mean": [1], "std": [1]},
    },
    "arguments without an end": lambda: {"state_dict": STATE, "arch": "resnet18", "arch_args": {"num_classes": 2**62}},
    "a name of a megabyte": lambda: {"state_dict": STATE, "arch": "r" * 2**20},
    "keys that are no text": lambda: STATE | {5: torch.ones(1), (1, 2): torch.ones(1), None: 1, b"x": 2},
    "complex numbers beside": lambda: {"state_dict": STATE, "loss": torch.ones(2, dtype=torch.complex64)},
    "a meta tensor beside": lambda: STATE | {"x": torch.empty(2**40, device="meta")},
}


@pytest.mark.parametrize("made", READ.values(), ids=READ)
def test_what_stands_beside_the_weights_does_no_harm(tmp_path, made):
    file = read(saved(tmp_path, made()))
    assert set(file.tensors) >= set(STATE)
    assert "classes" not in file.metadata
    assert "preprocess" not in file.metadata
    assert file.metadata.get("arch_args", {}) == {}
    assert len(str(file.metadata.get("arch", ""))) < 2000


REFUSED = {
    "dicts 40 deep": lambda: _deep(40),
    "dicts shared 60 deep": lambda: _shared(60),
    "only meta tensors": lambda: {"a": torch.empty(3, device="meta")},
    "keys that are no text": lambda: {0: torch.ones(1), 1: torch.ones(1)},
    "a name of a megabyte": lambda: {"a" * 2**20: torch.ones(1)},
    "prefixes without an end": lambda: {"module." * 10_000 + "a": torch.ones(1)},
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
def test_weights_that_can_not_be_found_are_told_in_one_line(tmp_path, made):
    with pytest.raises(CheckpointError) as refused:
        read(saved(tmp_path, made()))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 900


PREPROCESSING = [
    *({"crop": 8192}, {"crop": 10**9}, {"crop": -1}, {"crop": [4000, 3000]}, {"crop": 2**70}, {"crop": float("inf")}),
    *({"mean": [float("inf")] * 3}, {"mean": [float("nan")] * 3}, {"mean": [1e300] * 3}, {"mean": [0.5] * 7}),
    *({"std": [0.0] * 3}, {"std": [1e-300] * 3}, {"std": [float("nan")] * 3}, {"std": [-1.0] * 3}, {"std": []}),
    *({"resize": 10**9}, {"scale": float("nan")}, {"color": ["rgb"]}, {"resize": {"a": 1}}, {"invert": 5}),
]


@pytest.mark.parametrize("said", PREPROCESSING, ids=str)
def test_an_impossible_preprocessing_is_refused_before_it_takes_memory(tmp_path, said):
    with pytest.raises(UsageError) as refused:
        Preprocess.of(said)
    assert "\n" not in str(refused.value)
    file = read(saved(tmp_path, {"state_dict": STATE, "preprocess": said}))
    with pytest.raises(UsageError):
        Preprocess.of(file.metadata["preprocess"])


def test_an_input_of_a_large_photograph_is_allowed():
    assert Preprocess.of({"crop": [2048, 2048]}).input_shape == (3, 2048, 2048)


@pytest.mark.slow
def test_a_builder_gets_no_arguments_of_any_size(tmp_path):
    """Without the bound, a network of 74 GB would be built."""
    said = {"arch": "vit_b_16", "arch_args": {"mlp_dim": 999_999}}
    with pytest.raises(AuditorError, match="itself names 'vit_b_16'"):
        architecture.build(read(saved(tmp_path, {"state_dict": STATE, **said})))


def test_complex_weights_are_not_cut_to_their_real_part(tmp_path):
    state = networks.Small().state_dict()
    state["conv2.weight"] = state["conv2.weight"].to(torch.complex64)
    with pytest.raises(AuditorError, match="complex"):
        architecture.build(read(saved(tmp_path, state)), networks.flag(networks.Small))


class Overwritten(torch.Tensor):
    """A tensor whose methods are those of its author."""

    def detach(self):
        raise SystemExit(0)

    numel = dim = is_floating_point = detach


def test_overwritten_methods_of_a_tensor_are_gone(tmp_path):
    tensor = torch.ones(2).as_subclass(Overwritten)
    tensor.shape_of_its_own = detached = (1, 2)
    assert detached
    file = read(saved(tmp_path, {"a": tensor, "b": nn.Parameter(torch.ones(1))}))
    assert {type(t) for t in file.tensors.values()} == {torch.Tensor}


def header(said, data=b"", length=None):
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


SAFETENSORS = {
    "a header of 2**63": header({}, length=2**63),
    "a header of a gigabyte": header({}, length=2**30),
    "a header that is no mapping": header([1]),
    "a header 100,000 deep": header(b'{"a":' + b"[" * 100_000),
    "an unknown type": header({"a": entry("F31")}, bytes(4)),
    "a type that is a list": header({"a": entry(["F32"])}, bytes(4)),
    "a shape of text": header({"a": entry() | {"shape": "x"}}, bytes(4)),
    "a shape of 2**62": header({"a": entry(shape=(2**62,))}, bytes(4)),
    "a shape of infinity": header(b'{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,4]}}', bytes(4)),
    "a negative shape": header({"a": entry(shape=(-1,))}, bytes(4)),
    "offsets outside": header({"a": entry(offsets=(0, 400))}, bytes(4)),
    "negative offsets": header({"a": entry(offsets=(-4, 0))}, bytes(4)),
    "offsets the wrong way": header({"a": entry(offsets=(4, 0))}, bytes(4)),
    "tensors over each other": header({"a": entry(), "b": entry()}, bytes(4)),
    "a hole": header({"a": entry(), "b": entry(offsets=(8, 12))}, bytes(12)),
    "bytes after the end": header({"a": entry()}, bytes(12)),
    "a name twice": header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":1}', bytes(4)),
    "an entry of text": header({"a": "x"}, bytes(4)),
    "truth values of 7": header({"a": entry("BOOL", (4,))}, b"\x07" * 4),
    "metadata of text": header({"a": entry(), "__metadata__": "x"}, bytes(4)),
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors_that_lie_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="can't be read as safetensors") as refused:
        read(tmp_path / "net.safetensors")
    assert str(refused.value).isprintable()


def test_metadata_of_safetensors_has_any_depth(tmp_path):
    said = {"a": "[" * 100_000, "arch": "resnet18", "b": "9" * 10_000}
    (tmp_path / "net.safetensors").write_bytes(header({"a\n\x1b": entry(), "__metadata__": said}, bytes(4)))
    assert read(tmp_path / "net.safetensors").metadata["arch"] == "resnet18"


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "net.pt")
    for path in (tmp_path / "net.pt", Path("/dev/zero"), Path("/dev/stdin")):
        with pytest.raises(CheckpointError):
            read(path)


def test_a_file_larger_than_the_memory_is_refused(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"\x80\x02}.")
    os.truncate(path, 2**43)
    with pytest.raises(CheckpointError, match="bytes of memory"):
        read(path)


@pytest.mark.slow
def test_the_command_refuses_in_one_line_and_executes_nothing(tmp_path, monkeypatch, capsys):
    marker = tmp_path / "marker"
    beside = hostile.objects(str(marker))["os.system"]
    (tmp_path / "net.pt").write_bytes(hostile.zipped(b"\x80\x02" + beside + b"."))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "net.pt", "--no-color"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "os.system" in line
    assert not marker.exists()


NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
    def forward(self, x):
        return self.fc(self.f(x).relu().mean((2, 3)))
"""


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    """A folder with a network that was pickled whole, by its module and as a script."""
    (tmp_path / "net_of_its_own.py").write_text(NET)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as within:
        within.syspath_prepend(tmp_path)
        torch.save(importlib.import_module("net_of_its_own").Net(), "module.pt")
    sys.modules.pop("net_of_its_own")
    with zipfile.ZipFile("module.pt") as old, zipfile.ZipFile("main.pt", "w") as new:
        for name in old.namelist():
            record = old.read(name).replace(b"cnet_of_its_own\n", b"c__main__\n")
            new.writestr(name.replace("module/", "main/"), record)
    yield tmp_path
    sys.modules.pop("net_of_its_own", None)


@pytest.mark.parametrize(
    ("file", "arguments", "code", "words"),
    [
        ("module.pt", (), 4, "--arch net_of_its_own.py:Net"),
        ("module.pt", ("--trust-checkpoint",), 0, "Net"),
        ("module.pt", ("--arch", "net_of_its_own.py:Net"), 0, "Net"),
        ("main.pt", ("--trust-checkpoint",), 4, "PYTHONPATH"),
        ("main.pt", ("--trust-checkpoint", "--arch", "net_of_its_own.py:Net"), 0, "Net"),
    ],
)
@pytest.mark.slow
def test_the_command_takes_modules_that_were_pickled_whole(pickled, capsys, file, arguments, code, words):
    before = list(sys.path)
    assert main(["inspect", file, *arguments, "--no-color"]) == code
    told = capsys.readouterr()
    assert words in told.out + told.err
    assert len(told.err.splitlines()) == (code == 4)
    assert sys.path == before


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
