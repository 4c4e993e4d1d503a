"""Files that are known by their first bytes, and the texts and folders that are taken for checkpoints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import BinaryIO, Final

from auditor.model.files.foreign import packed, protobuf
from auditor.model.files.foreign.kind import ORIGINAL, Foreign, of_framework
from auditor.process import regular_files

_TRT = Foreign("a TensorRT engine", f"it holds code for one GPU and no weights to read: {ORIGINAL}")
_IMAGE = Foreign("an image", "images are given with --data")
_HDF5 = "an HDF5 file, the format of Keras (.h5)"
_PAGE = Foreign("a web page that was saved in place of a download", "download the file again")

_MAGIC: Final = {
    b"\x89HDF\r\n\x1a\n": of_framework(_HDF5, "Keras"),
    b"GGUF": Foreign("a GGUF file, the format of llama.cpp", "language models are no image classifiers"),
    b"ftrt": _TRT,
    b"ptrt": _TRT,
    b"\x12\x01\0\0\0\0\0\0": of_framework("a file of MXNet's parameters", "MXNet"),
    b"7767517": of_framework("the graph of an ncnn network", "ncnn"),
    b"RKNN": Foreign("a network for Rockchip's processors (RKNN)", f"it has no way back: {ORIGINAL}"),
    b"\x93NUMPY": Foreign(
        "one numpy array (.npy)", "images are given with --data; the checkpoint is a file of torch.save"
    ),
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"GIF8": _IMAGE,
    b"%PDF": Foreign("a PDF document", "give the checkpoint that it describes"),
    b"MATLAB 5.0": of_framework("a MATLAB file", "MATLAB"),
    b"\x7fELF": Foreign("a compiled program", f"compiled networks can't be audited: {ORIGINAL}"),
}
_FLATBUFFERS: Final = {
    b"TFL3": Foreign("a TFLite model", f"TFLite has no way back: {ORIGINAL}"),
    b"PTMF": Foreign("a mobile program of PyTorch", f"it can't be read back: {ORIGINAL}"),
    b"ET12": Foreign("an ExecuTorch program (.pte)", f"it can't be read back: {ORIGINAL}"),
}
_SSTABLE: Final = bytes.fromhex("57fb808b247547db")
_TEXTS: Final = (
    (rb"version https://git-lfs", Foreign("a Git LFS pointer, not the file itself", "run `git lfs pull`")),
    (rb"(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)\b", _PAGE),
    (
        rb"(?:<\?xml[^>]*\?>\s*)?<net\s",
        Foreign("the graph of an OpenVINO network", f"OpenVINO has no way back: {ORIGINAL}"),
    ),
    (rb"(?:<\?xml[^>]*\?>\s*)?<error>", Foreign("the error message of a server", "download the file again")),
    (rb"model_checkpoint_path:", of_framework("an index of TensorFlow checkpoints", "TensorFlow")),
)
_JSON: Final = (
    ({"modelTopology"}, of_framework("a network of TensorFlow.js", "TensorFlow")),
    ({"nodes", "arg_nodes"}, of_framework("the graph of an MXNet network", "MXNet")),
    ({"error"}, Foreign("the error message of a server", "download the file again")),
)
_PICKLED: Final = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8})?(?:c|\x8c.)(sklearn|joblib|xgboost|lightgbm|catboost)\b", re.DOTALL
)
_LIBRARIES: Final = {
    b"sklearn": "scikit-learn",
    b"xgboost": "XGBoost",
    b"lightgbm": "LightGBM",
    b"catboost": "CatBoost",
}
_LARGEST_TEXT: Final = 16 * 2**20
_FLAX_KEYS: Final = (b"params", b"batch_stats", b"opt_state", b"step", b"target", b"state", b"model")


def of_file(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    """Return what a file is, from its content; None for checkpoints and for files of unknown kinds."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[4:8] in _FLATBUFFERS:
        return _FLATBUFFERS[head[4:8]]
    for find in (_of_text, _of_engine, _of_flax, _of_tensorflow, _of_openvino, _of_paddle):
        if (found := find(path, file, head)) is not None:
            return found
    return packed.of_head(path, head) or protobuf.kind(file)


def of_pickle(head: bytes) -> Foreign | None:
    """Return what a pickle is whose outermost object belongs to a library without networks."""
    found = _PICKLED.match(head)
    if found is None:
        return None
    if found[1] == b"joblib":
        return Foreign("a file of joblib", "only networks of PyTorch are audited: give a file of torch.save")
    return Foreign(f"a pickled estimator of {_LIBRARIES[found[1]]}", "only networks of PyTorch are audited")


def of_folder(path: Path) -> Foreign | None:
    """Return what a folder of another framework is, from the names in it."""
    inside = {entry.name for entry in path.iterdir()}
    if {"saved_model.pb", "saved_model.pbtxt"} & inside:
        return of_framework("a TensorFlow SavedModel", "TensorFlow")
    if "Manifest.json" in inside and (path / "Data" / "com.apple.CoreML").is_dir():
        return Foreign("a Core ML package (.mlpackage)", f"coremltools has no way back: {ORIGINAL}")
    if {"_CHECKPOINT_METADATA", "manifest.ocdbt", "_sharding"} & inside:
        return of_framework("an Orbax checkpoint of JAX", "JAX")
    if any(name.endswith(".index") for name in inside) and any(".data-00000-of-" in name for name in inside):
        return of_framework("a folder of TensorFlow checkpoints", "TensorFlow")
    if {"__model__", "inference.pdmodel", "model.pdmodel"} & inside:
        return of_framework("a PaddlePaddle network", "PaddlePaddle")
    if any(name.endswith(".xml") and name[:-4] + ".bin" in inside for name in inside):
        return Foreign("a folder of an OpenVINO network", f"OpenVINO has no way back: {ORIGINAL}")
    return None


def _of_text(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, kind in _TEXTS:
        if re.match(pattern, text, re.IGNORECASE | re.DOTALL):
            return kind
    if path.suffix == ".py":
        return Foreign("Python code", f"give the checkpoint, and the code with --arch {path.name}:CALLABLE")
    return _of_json(file) if text.startswith(b"{") else None


def _of_json(file: BinaryIO) -> Foreign | None:
    file.seek(0)
    content = file.read(_LARGEST_TEXT + 1)
    try:
        said = json.loads(content) if len(content) <= _LARGEST_TEXT else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    for keys, kind in _JSON:
        if keys <= said.keys():
            return kind
    return Foreign("a JSON file", "settings hold no weights: give the checkpoint, or the folder with both")


def _of_engine(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    """Know an engine that Ultralytics wrote: the length of JSON, the JSON, the engine."""
    if head[4:5] != b"{":
        return None
    file.seek(4 + int.from_bytes(head[:4], "little"))
    return _TRT if file.read(4) in (b"ftrt", b"ptrt") else None


def _of_flax(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    """Know MessagePack by a map whose first key is one of Flax, or whose value is another map."""
    start = {0xDE: 3, 0xDF: 5}.get(head[0], 1 if 0x81 <= head[0] <= 0x8F else 0)
    if not start or len(head) <= start + 1 or not 0xA1 <= head[start] <= 0xBF:
        return None
    end = start + 1 + (head[start] & 0x1F)
    key, value = head[start + 1 : end], head[end : end + 1]
    is_map = bool(value) and (0x80 <= value[0] <= 0x8F or value[0] in (0xDE, 0xDF, 0xC7, 0xC8, 0xC9))
    if key.isascii() and key.decode("latin-1").isprintable() and (is_map or key in _FLAX_KEYS):
        return of_framework("a checkpoint of JAX and Flax (MessagePack)", "JAX")
    return None


def _of_tensorflow(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(_SSTABLE)))
    if file.read() == _SSTABLE or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return of_framework("a part of a TensorFlow checkpoint", "TensorFlow")
    return None


def _of_openvino(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    """Know the weights of OpenVINO, which have no mark of their own, by the graph beside them."""
    if path.suffix != ".bin" or not path.with_suffix(".xml").is_file():
        return None
    try:
        with regular_files.opened(path.with_suffix(".xml")) as beside:
            graph = beside.read(512)
    except OSError:
        return None
    if not re.match(rb"\s*(?:<\?xml[^>]*\?>\s*)?<net\s", graph):
        return None
    return Foreign("the weights of an OpenVINO network", f"OpenVINO has no way back: {ORIGINAL}")


def _of_paddle(path: Path, file: BinaryIO, head: bytes) -> Foreign | None:
    """Know the first tensor of PaddlePaddle's parameters: versions and levels of zero, then its description."""
    if head[:16] == bytes(16) and len(head) > 21 and head[16] in range(1, 64) and head[20:21] == b"\x08":
        return of_framework("a file of PaddlePaddle's parameters", "PaddlePaddle")
    return None
