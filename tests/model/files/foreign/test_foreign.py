"""Files of other frameworks and files that are none: made by their libraries where these are here, else by hand."""

import gzip
import io
import json
import pickle
import tarfile
import types
import zipfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from auditor.cli.commands import main
from auditor.errors import CheckpointError
from auditor.model.files.checkpoint import read


def field(number, content):
    """Return a field of protocol buffers: a number or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    low = bytes([value & 0x7F | (0x80 if value > 0x7F else 0)])
    return low + varint(value >> 7) if value > 0x7F else low


NODE = field(1, b"conv") + field(4, b"Conv")
ONNX = field(1, 8) + field(2, b"pytorch") + field(3, b"2.4") + field(7, field(1, NODE)) + field(8, field(2, 17))
CORE_ML = field(1, 4) + field(2, field(1, field(1, b"image"))) + field(500, field(1, b"layer"))
SAVED_MODEL = field(1, 1) + field(2, field(1, field(5, b"2.15")) + field(2, b"graph"))
GRAPH_DEF = field(1, field(1, b"input") + field(2, b"Placeholder")) + field(4, field(1, 27))
CAFFE = field(1, b"CaffeNet") + field(100, field(1, b"conv1"))
PADDLE_PROGRAM = field(1, field(1, 0) + field(2, 2**31) + field(3, b"x")) + field(4, field(1, 1))
PADDLE = bytes(16) + (10).to_bytes(4, "little") + field(1, 5) + field(2, 3) + bytes(64)


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return file.getvalue()


def tarred(*names):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def of_numpy(save):
    file = io.BytesIO()
    save(file, np.ones(3))
    return file.getvalue()


def of_joblib(value, **how):
    file = io.BytesIO()
    joblib.dump(value, file, **how)
    return file.getvalue()


FITTED = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
BACK = "give the PyTorch checkpoint that it was made from"

FILES = {
    "net.onnx": (ONNX, "an ONNX graph, written by pytorch", BACK),
    "renamed.pt": (ONNX, "an ONNX graph", BACK),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "the format of Keras", "the same network in PyTorch"),
    "net.keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "Keras 3", "in PyTorch"),
    "saved_model.pb": (SAVED_MODEL, "TensorFlow SavedModel", "in PyTorch"),
    "frozen.pb": (GRAPH_DEF, "a frozen graph of TensorFlow", "in PyTorch"),
    "part.index": (bytes(40) + bytes.fromhex("57fb808b247547db"), "a TensorFlow checkpoint", "in PyTorch"),
    "model.json": (json.dumps({"modelTopology": {}}).encode(), "TensorFlow.js", "in PyTorch"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(99), "a TFLite model", BACK),
    "net.mlmodel": (CORE_ML, "a Core ML model", BACK),
    "net.engine": (b"ftrt" + bytes(99), "a TensorRT engine", BACK),
    "yolo.engine": (b"\x02\0\0\0{}ftrt" + bytes(99), "a TensorRT engine", BACK),
    "net.xml": (b'<?xml version="1.0"?>\n<net name="a" version="11">', "OpenVINO", BACK),
    "net.gguf": (b"GGUF\x03\0\0\0" + bytes(99), "a GGUF file", "language models"),
    "flax_model.msgpack": (b"\x81\xa6params\x82\xa5conv1\x80\xa2fc\x80", "JAX and Flax", "in PyTorch"),
    "net.pdparams": (
        pickle.dumps({"conv": np.ones(2), "StructuredToParameterName@@": {"a": "b"}}),
        "PaddlePaddle's parameters",
        "in PyTorch",
    ),
    "net.pdiparams": (PADDLE, "PaddlePaddle's parameters", "in PyTorch"),
    "net.pdmodel": (PADDLE_PROGRAM, "a PaddlePaddle program", "in PyTorch"),
    "net.params": (b"\x12\x01" + bytes(99), "MXNet's parameters", "in PyTorch"),
    "net-symbol.json": (json.dumps({"nodes": [], "arg_nodes": []}).encode(), "MXNet", "in PyTorch"),
    "net.caffemodel": (CAFFE, "a Caffe network", "in PyTorch"),
    "estimator.joblib": (of_joblib(FITTED), "scikit-learn", "only networks of PyTorch"),
    "array.joblib": (of_joblib(np.ones(3)), "joblib", "torch.save"),
    "estimator.pkl": (pickle.dumps(FITTED), "scikit-learn", "only networks of PyTorch"),
    "old.pkl": (pickle.dumps(FITTED, protocol=2), "scikit-learn", "only networks of PyTorch"),
    "array.npy": (of_numpy(np.save), "one numpy array", "--data"),
    "arrays.npz": (of_numpy(np.savez), "a numpy archive", "torch.save("),
    "arrays.pkl": (pickle.dumps({"conv.weight": np.ones(3)}), "a pickle of numpy arrays", "torch.save("),
    "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer", "git lfs pull"),
    "page.pt": (b"\n<!DOCTYPE HTML><html>Sign in", "a web page", "download the file again"),
    "denied.pt": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "a server", "download the file again"),
    "refused.pt": (b'{"error": "Repository not found"}', "a server", "download the file again"),
    "config.json": (b'{"architectures": ["ResNet"]}', "a JSON file", "settings hold no weights"),
    "net.py": (b"from torch import nn\n", "Python code", "--arch net.py:CALLABLE"),
    "nothing.pt": (b"", "is empty", "download it again"),
    "net.tar": (tarred("run/net.pth", "run/log.txt"), "a tar archive", "tar -xf net.tar"),
    "net.tar.gz": (gzip.compress(tarred("net.pth")), "a gzip archive of a tar archive", "tar -xf net.tar.gz"),
    "net.pth.gz": (gzip.compress(b"net"), "a gzip archive", "gunzip net.pth.gz"),
    "net.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7z archive", "7z x net.7z"),
    "net.zip": (zipped("run/net.pth", "run/log.txt"), "a zip archive of checkpoints", "'run/net.pth'"),
    "net.mar": (zipped("MAR-INF/MANIFEST.json", "net.pt"), "TorchServe", "unzip net.mar"),
    "photo.png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "an image", "--data"),
}


@pytest.mark.parametrize("name", FILES)
def test_says_what_a_file_is_and_what_leads_to_an_audit(tmp_path, name):
    content, what, way = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        read(tmp_path / name)
    line = str(refused.value)
    assert what in line
    assert way in line
    assert "\n" not in line
    assert name == "nothing.pt" or "expected a state dict" in line


def test_the_weights_of_openvino_are_known_by_the_graph_beside_them(tmp_path):
    (tmp_path / "net.bin").write_bytes(bytes(range(1, 99)))
    (tmp_path / "net.xml").write_text('<?xml version="1.0"?>\n<net name="net">')
    with pytest.raises(CheckpointError, match="the weights of an OpenVINO network"):
        read(tmp_path / "net.bin")


FOLDERS = {
    "SavedModel": (["saved_model.pb", "variables/variables.index"], "a TensorFlow SavedModel"),
    "Core ML": (["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"], "Core ML package"),
    "Orbax": (["_CHECKPOINT_METADATA", "_METADATA"], "an Orbax checkpoint of JAX"),
    "TensorFlow": (["checkpoint", "net.index", "net.data-00000-of-00001"], "TensorFlow checkpoints"),
    "OpenVINO": (["net.xml", "net.bin"], "OpenVINO"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_says_what_a_folder_is(tmp_path, kind):
    names, what = FOLDERS[kind]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=what):
        read(tmp_path)


def test_the_command_refuses_in_one_line_with_exit_code_4(tmp_path, capsys):
    (tmp_path / "net.onnx").write_bytes(ONNX)
    assert main(["run", str(tmp_path / "net.onnx"), "--out", str(tmp_path / "out"), "--no-color"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "an ONNX graph" in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.fixture
def library(monkeypatch):
    """Let classes seem to be of a library that is not installed, until the file is written."""

    def pretend(module, *classes):
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(__import__("sys").modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
        for each in classes:
            each.__module__, each.__qualname__ = module, each.__name__
            setattr(__import__("sys").modules[module], each.__name__, each)
        return classes

    return pretend


class Learner:
    def __init__(self, model):
        self.model, self.lr, self.opt_func = model, 0.001, None


def body_and_head():
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)))


def test_an_exported_learner_of_fastai_is_named_and_its_tensors_are_read(tmp_path, library):
    (kind,) = library("fastai.learner", type("Learner", (Learner,), {}))
    torch.save(kind(body_and_head()), tmp_path / "export.pkl", pickle_protocol=2)
    file = read(tmp_path / "export.pkl")
    assert list(file.tensors) == ["0.0.weight", "0.0.bias", "1.1.weight", "1.1.bias"]
    assert "fastai" in file.metadata["origin"].what
    assert "learn.model.state_dict()" in file.metadata["origin"].way


def yolo(name, library):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 3))
            self.names = {0: "ant", 1: "bee", 2: "cat"}
            self.yaml = {"nc": 3, "yaml_file": "yolov8n-cls.yaml"}

    (kind,) = library("ultralytics.nn.tasks", type(name, (Model,), {}))
    said = {"epoch": -1, "best_fitness": None, "model": kind().half(), "ema": None, "updates": None, "optimizer": None}
    return said | {"train_args": {"task": "classify", "imgsz": 64}, "version": "8.3.0", "date": "2026-01-01"}


def test_a_classifier_of_ultralytics_is_read_with_its_class_names(tmp_path, library):
    torch.save(yolo("ClassificationModel", library), tmp_path / "yolov8n-cls.pt")
    file = read(tmp_path / "yolov8n-cls.pt")
    assert file.metadata["classes"] == ("ant", "bee", "cat")
    assert [tuple(t.shape) for t in file.tensors.values()] == [(4, 3, 3, 3), (4,), (3, 4), (3,)]


@pytest.mark.slow
def test_the_command_asks_for_the_class_of_an_ultralytics_classifier_and_takes_it(tmp_path, library, capsys):
    torch.save(yolo("ClassificationModel", library), tmp_path / "yolov8n-cls.pt")
    assert main(["inspect", str(tmp_path / "yolov8n-cls.pt"), "--no-color"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "an Ultralytics classifier (yolov8n-cls)" in line
    assert "ClassificationModel('yolov8n-cls.yaml', nc=3)" in line


@pytest.mark.parametrize(
    ("name", "what"), [("DetectionModel", "detection"), ("SegmentationModel", "segmentation"), ("PoseModel", "poses")]
)
def test_a_yolo_that_finds_boxes_is_no_classifier(tmp_path, library, name, what):
    torch.save(yolo(name, library), tmp_path / "yolov8n.pt")
    with pytest.raises(CheckpointError, match=rf"holds an Ultralytics .*{what}.*; expected an image classifier"):
        read(tmp_path / "yolov8n.pt")
