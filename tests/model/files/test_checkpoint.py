"""Real files of every format, and every way to be no checkpoint."""

import argparse
import io
import json
import os
import pathlib
import pickle
import sys
import tarfile
import types
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.files.checkpoint import read
from auditor.model.files.unwrap import unwrap


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), fc=nn.Linear(4, 2)))


def saved(folder, content, name="net.pt", **how):
    torch.save(content, folder / name, **how)
    return folder / name


class Runs:
    """A hostile pickle: reading it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.bin", "a.ckpt", "a.weights"])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_state_dicts_of_any_suffix_new_and_old(tmp_path, name, zipped):
    path = saved(tmp_path, network().state_dict(), name, _use_new_zipfile_serialization=zipped)
    file = read(path)
    assert file.format == "state dict"
    assert not file.trusted
    assert torch.equal(file.tensors["fc.weight"], network().state_dict()["fc.weight"])


def test_tells_the_fingerprint_and_the_size(tmp_path):
    import hashlib

    path = saved(tmp_path, network().state_dict())
    file = read(path)
    assert (file.sha256, file.bytes) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def test_reads_safetensors_with_what_their_header_says(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(network().state_dict(), path, {"arch": "resnet18", "class_to_idx": json.dumps({"dog": 1, "cat": 0})})
    file = read(path)
    assert file.format == "safetensors"
    assert file.metadata["classes"] == ("cat", "dog")
    assert file.metadata["arch"] == "resnet18"
    assert set(file.tensors) == set(network().state_dict())


@pytest.mark.parametrize("sizes", [(3, 5, 7), (1, 1, 1), (3, 4, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_tensors_of_odd_sizes_do_not_overwrite_their_neighbours(tmp_path, sizes, dtype):
    state = {f"t{i}": torch.arange(1, n + 1).to(dtype) for i, n in enumerate(sizes)} | {"wide": torch.ones(1).double()}
    save_file(state, tmp_path / "net.safetensors")
    found = read(tmp_path / "net.safetensors").tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_a_tensor_that_is_not_aligned_is_read_unchanged(tmp_path):
    """Other writers than safetensors don't sort by the size of an element, which would align all of them."""
    header = {
        "a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [3, 11]},
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes([1, 2, 3]) + torch.tensor([1.5, -2.0]).numpy().tobytes()
    (tmp_path / "net.safetensors").write_bytes(content)
    found = read(tmp_path / "net.safetensors").tensors
    assert found["a"].tolist() == [1, 2, 3]
    assert found["b"].tolist() == [1.5, -2.0]


def test_knows_safetensors_by_their_content(tmp_path):
    save_file(network().state_dict(), tmp_path / "net.bin")
    assert read(tmp_path / "net.bin").format == "safetensors"


WRAPPINGS = {
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model": lambda s: {"model": s, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []}},
    "model_state_dict": lambda s: {
        "model_state_dict": s,
        "optimizer_state_dict": {"state": {}},
        "loss": torch.ones(()),
    },
    "net": lambda s: {"net": s, "acc": 91.2},
    "ema": lambda s: {"ema": s},
    "an unknown key": lambda s: {"student_weights": s, "optimizer": {"momentum": torch.ones(3)}},
    "nested": lambda s: {"model": {"state_dict": s}},
    "module.": lambda s: {f"module.{k}": v for k, v in s.items()},
    "_orig_mod.": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "all at once": lambda s: {"state_dict": {f"model.module._orig_mod.{k}": v for k, v in s.items()}},
    "a loss beside": lambda s: {
        "state_dict": {"criterion.weight": torch.ones(2)} | {f"net.{k}": v for k, v in s.items()}
    },
    "averaged": lambda s: {"n_averaged": torch.tensor(4)} | {f"module.{k}": v for k, v in s.items()},
    "profiled": lambda s: s | {"total_ops": torch.zeros(1), "conv.total_params": torch.zeros(1)},
    "Lightning": lambda s: {
        "state_dict": {f"model.{k}": v for k, v in s.items()},
        "pytorch-lightning_version": "2.5.0",
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {"checkpoint": {"best": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(4)}}}],
    },
    "arguments": lambda s: {"model": s, "args": argparse.Namespace(model="resnet18", lr=0.1)},
}


@pytest.mark.parametrize("wrapped", WRAPPINGS.values(), ids=WRAPPINGS)
def test_unwraps(tmp_path, wrapped):
    state = dict(network().state_dict())
    file = read(saved(tmp_path, wrapped(state)))
    assert set(file.tensors) == set(state)
    assert all(torch.equal(file.tensors[k], state[k]) for k in state)


def test_prefers_the_plain_weights_to_their_average():
    plain, average = network().state_dict(), {k: v * 0 for k, v in network().state_dict().items()}
    contents = unwrap({"state_dict_ema": average, "state_dict": plain})
    assert torch.equal(contents.tensors["fc.weight"], plain["fc.weight"])
    assert contents.taken == "state_dict"
    assert unwrap({"ema": average}).taken == "ema"


def test_keeps_a_prefix_that_not_all_names_share():
    tensors = {"model.conv.weight": torch.ones(1), "head.weight": torch.ones(1)}
    assert set(unwrap(tensors).tensors) == set(tensors)


def test_joins_parts_that_were_saved_apart():
    parts = {"backbone": {"weight": torch.ones(1)}, "head": {"bias": torch.ones(1)}, "optimizer": {"m": torch.ones(1)}}
    assert set(unwrap(parts).tensors) == {"backbone.weight", "head.bias"}


def test_gives_what_the_file_says_one_name_each(tmp_path):
    file = read(
        saved(
            tmp_path,
            {
                "hyper_parameters": {"model_name": "resnet18", "names": {0: "cat", 1: "dog"}},
                "pretrained_cfg": {"input_size": (3, 224, 224), "crop_pct": 0.875, "mean": [0.5] * 3, "std": [0.5] * 3},
                "state_dict": network().state_dict(),
                "epoch": 7,
            },
        )
    )
    assert file.metadata["arch"] == "resnet18"
    assert file.metadata["classes"] == ("cat", "dog")
    assert file.metadata["preprocess"]["resize"] == 256
    assert file.metadata["preprocess"]["crop"] == 224
    assert file.metadata["epoch"] == 7


def test_keeps_what_was_taken_off(tmp_path):
    state = {f"module.model.{k}": v for k, v in network().state_dict().items()}
    assert read(saved(tmp_path, {"model": state})).metadata == {"prefix": "module.model.", "weights": "model"}


def test_what_a_file_says_is_not_mistaken_for_what_was_found(tmp_path):
    said = read(saved(tmp_path, {"prefix": 5, "weights": 3, "state_dict": network().state_dict()})).metadata
    assert (said["prefix"], said["weights"]) == ("", "state_dict")


def test_a_checkpoint_of_training_scripts_with_arguments_needs_no_trust(tmp_path):
    path = saved(tmp_path, {"model": network().state_dict(), "args": argparse.Namespace(model="resnet18")})
    assert read(path).metadata["arch"] == "resnet18"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_by_name_and_does_not_run(tmp_path, zipped):
    victim = tmp_path / "victim"
    path = saved(tmp_path, {"x": Runs(victim)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpoint, match=r"(posix|nt)\.system.*--trust-checkpoint") as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert not victim.exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_bare_hostile_pickle_is_refused_at_any_protocol(tmp_path, protocol):
    victim, path = tmp_path / "victim", tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"x": Runs(victim)}, protocol=protocol))
    with pytest.raises(UnsafeCheckpoint, match=r"system.*--trust-checkpoint"):
        read(path)
    assert not victim.exists()


def test_what_stands_beside_the_weights_is_named_and_not_executed(tmp_path):
    victim = tmp_path / "victim"
    path = saved(tmp_path, {"x": Runs(victim), "state_dict": network().state_dict()})
    for trust in (False, True):
        file = read(path, trust=trust)
        assert file.metadata["objects"] == (f"{os.system.__module__}.system",)
        assert set(file.tensors) == set(network().state_dict())
        assert not file.trusted
    assert not victim.exists()


class Foreign:
    """An object of a package that is not installed."""

    def __init__(self, **state):
        vars(self).update(state)


def foreign(name, base=Foreign):
    """Return a class under the name of another package, for as long as it takes to save."""
    module, _, last = name.rpartition(".")
    sys.modules[module] = types.ModuleType(module)
    made = type(last, (base,), {"__module__": module, "__qualname__": last})
    setattr(sys.modules[module], last, made)
    return made


def test_objects_of_packages_that_are_not_there_are_left_out_by_name(tmp_path):
    """As mmengine, OmegaConf and training scripts save them."""
    history, config, node = map(foreign, ("mmx_logging.HistoryBuffer", "omegax.DictConfig", "omegax2.AnyNode"))
    bunch = foreign("mmx_config.ConfigDict", dict)
    inside = config(_content={"model_name": node(_val="resnet18"), "lr": node(_val=0.1)}, _metadata=None)
    optimizer = torch.optim.Adam(network().parameters())
    content = {
        "state_dict": network().state_dict(),
        "message_hub": {"log": history(_log_history=np.ones(3), _count=3)},
        "hyper_parameters": inside,
        "meta": bunch(classes=["cat", "dog"]),
        "criterion": nn.CrossEntropyLoss(),
        "optim": optimizer,
        "best_acc": np.float64(0.5),
        "where": pathlib.PurePosixPath("a/b"),
    }
    path = saved(tmp_path, content)
    for name in ("mmx_logging", "omegax", "omegax2", "mmx_config"):
        del sys.modules[name]
    file = read(path)
    assert {"mmx_logging.HistoryBuffer", "torch.optim.adam.Adam", "mmx_config.ConfigDict"} <= set(
        file.metadata["objects"]
    )
    assert file.metadata["arch"] == "resnet18"
    assert file.metadata["classes"] == ("cat", "dog")
    assert file.metadata["best_acc"] == 0.5
    assert set(file.tensors) == set(network().state_dict())


def test_trust_runs_what_the_file_asks_for(tmp_path):
    """The counterpart: the files above are real ones."""
    victim = tmp_path / "victim"
    with pytest.raises(CheckpointError, match="no tensors of a network"):
        read(saved(tmp_path, {"x": Runs(victim)}), trust=True)
    assert victim.exists()


def test_trust_that_is_not_needed_is_not_recorded(tmp_path):
    assert not read(saved(tmp_path, network().state_dict()), trust=True).trusted


def test_a_whole_network_is_read_without_its_classes(tmp_path):
    file = read(saved(tmp_path, network()))
    expected = network().state_dict()
    assert list(file.tensors) == list(expected)
    assert all(torch.equal(file.tensors[k], expected[k]) for k in expected)
    assert (file.format, file.trusted, file.module) == ("pickled module", False, None)
    assert file.metadata["class"] == "torch.nn.modules.container.Sequential"
    assert "objects" not in file.metadata


def test_a_whole_network_is_unpickled_with_trust(tmp_path):
    path = saved(tmp_path, network())
    file = read(path, trust=True)
    assert isinstance(file.module, nn.Sequential)
    assert (file.format, file.trusted, file.tensors) == ("pickled module", True, {})
    assert not read(path, trust=True, named=True).trusted


def test_takes_the_network_out_of_its_wrappers(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(network()))
    path = saved(tmp_path, {"model": averaged, "epoch": 1})
    assert isinstance(read(path, trust=True).module, nn.Sequential)
    file = read(path)
    assert (set(file.tensors), file.metadata["epoch"]) == (set(network().state_dict()), 1)


class Tied(nn.Module):
    """Buffers that are saved and such that are not, a module under two names, and a hook."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.two = self.one
        self.register_buffer("kept", torch.ones(1))
        self.register_buffer("passing", torch.ones(1), persistent=False)
        self.register_buffer("none", None)
        self.inside = nn.ModuleDict({"a": nn.BatchNorm2d(2), "b": nn.ParameterList([torch.ones(2)])})


def test_a_whole_network_has_the_names_of_its_state_dict(tmp_path):
    whole = Tied()
    file = read(saved(tmp_path, whole))
    assert list(file.tensors) == list(whole.state_dict())
    assert file.tensors["one.weight"] is file.tensors["two.weight"]


def test_a_lost_class_leaves_the_tensors(tmp_path):
    path = saved(tmp_path, Tied())
    path.write_bytes(path.read_bytes().replace(b"Tied", b"Lost"))
    with zipfile.ZipFile(path) as archive:
        entries = {name: _stored(archive, name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    file = read(path, trust=True)
    assert set(file.tensors) == set(Tied().state_dict())
    assert file.trusted
    assert "Lost" in file.metadata["lost"]


def _stored(archive, name):
    with archive.open(name) as file:
        file._expected_crc = None
        return file.read()


def test_says_which_code_a_trusted_pickle_lacks(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02cnowhere_to_be_found\nNet\n.")
    with pytest.raises(CheckpointError, match="nowhere_to_be_found"):
        read(path, trust=True)


FOREIGN = {
    "empty": (b"", "is empty"),
    "text": (b"hello world\nthis is no network\n", "text that begins with 'hello world"),
    "web page": (b"<!DOCTYPE html><html>", "a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "Keras": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "noise": (bytes(range(200, 255)), "begins with the bytes c8 c9"),
    "magic alone": (b"PK\x03\x04", "damaged or truncated"),
    "one byte": (b"\x80", "not a checkpoint"),
    "broken pickle": (b"\x80\x02garbage", "damaged or truncated"),
}


@pytest.mark.parametrize(("content", "told"), FOREIGN.values(), ids=FOREIGN)
def test_refuses_what_is_no_checkpoint_in_one_line(tmp_path, content, told):
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        read(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        read(tmp_path / "nowhere.pt")


def test_refuses_a_folder_and_names_the_file_inside(tmp_path):
    with pytest.raises(CheckpointError, match=r"is a folder without weights; expected a folder with config\.json"):
        read(tmp_path)
    (tmp_path / "last.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"did you mean .*last\.safetensors"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 30, b"\x10\0\0\0\0\0\0\0{broken", b"\x02\0\0\0\0\0\0\0{}trailing"])
def test_refuses_a_broken_safetensors_header(tmp_path, content):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read(path)


def test_refuses_an_archive_that_torch_did_not_write(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(CheckpointError, match="torch did not write"):
        read(tmp_path / "net.pt")


def test_refuses_an_archive_that_only_looks_like_torch(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"nonsense")
    with pytest.raises(CheckpointError, match="damaged"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, torch.ones(3), "text", {"a": {"b": 1}}, None])
def test_refuses_what_holds_no_network(tmp_path, content):
    with pytest.raises(CheckpointError, match="not a checkpoint of a network"):
        read(saved(tmp_path, content))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_refuses_a_truncated_file_in_one_line(tmp_path, zipped, share):
    path = saved(tmp_path, network().state_dict(), _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError) as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert not isinstance(refused.value, UnsafeCheckpoint)


def test_refuses_truncated_safetensors(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match="can't be read as safetensors"):
        read(path)


def test_flipped_bytes_never_end_in_a_traceback(tmp_path):
    """Damage anywhere gives tensors or one of our errors, nothing else."""
    path = saved(tmp_path, network().state_dict(), _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for place in range(0, 700, 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            read(path)
        except CheckpointError as error:
            assert "\n" not in str(error)  # noqa: PT017 - whether it raises depends on the place


def test_refuses_the_oldest_format_in_one_line(tmp_path):
    with tarfile.open(tmp_path / "net.pt", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    with pytest.raises(CheckpointError):
        read(tmp_path / "net.pt")


def test_quantised_and_sparse_tensors_become_ordinary_ones():
    whole = torch.eye(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to give quantised tensors up
        quantised = torch.quantize_per_tensor(whole, 0.5, 0, torch.qint8)
    tensors = {"a": quantised, "b": whole.to_sparse(), "c": whole}
    found = unwrap(tensors).tensors
    assert all(torch.equal(found[k], whole) for k in tensors)


def _impossible(layout):
    """Return a sparse tensor whose index lies far outside of it; torch checks that only if it is asked to."""
    make, at = torch.ops.aten, torch.tensor([10**9])
    given = {"dtype": torch.float32, "layout": layout, "device": torch.device("cpu")}
    if layout is torch.sparse_coo:
        return make._sparse_coo_tensor_unsafe(at[None], torch.ones(1), [4], **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CSR is in beta
        return make._sparse_csr_tensor_unsafe(torch.tensor([0, 1, 1]), at, torch.ones(1), [2, 4], **given)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_sparse_tensor_with_an_impossible_index_is_refused(tmp_path, layout, zipped):
    state = {"conv.weight": torch.ones(3), "conv.bias": _impossible(layout)}
    torch.save(state, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        read(tmp_path / "net.pt")
    assert not torch.sparse.check_sparse_tensor_invariants.is_enabled()
