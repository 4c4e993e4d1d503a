"""Small valid files of every format that an audit reads: what the fuzzing begins with."""

from __future__ import annotations

import argparse
import io
import json
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from auditor.collectors import Batch, Predictions, Readability
from auditor.sweep.resume import Bookmark, Place

SIZE = 8


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), pool=nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(layers | {"flat": nn.Flatten(), "fc": nn.Linear(4, 2)}).eval()


def pickles() -> list[bytes]:
    """Files of `torch.save`: a state dict, Lightning's, a script's, sparse and quantized, and the old format."""
    state = network().state_dict()
    lightning = {"state_dict": {f"model.{k}": v for k, v in state.items()}, "hyper_parameters": {"arch": "resnet18"}}
    training = {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1), "classes": ["cat", "dog"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated, but lie in files
        quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    sparse = {"weight": torch.eye(4).to_sparse(), "bias": quantized}
    return [_saved(state), _saved(lightning), _saved(training), _saved(sparse), _saved(state, zipped=False)]


def _saved(content: Any, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def safetensors() -> list[bytes]:
    said = {"arch": "resnet18", "class_to_idx": json.dumps({"dog": 1, "cat": 0})}
    return [save(dict(network().state_dict()), said), save({"weight": torch.ones(2, 2, dtype=torch.bfloat16)})]


def torchscript() -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [torch.jit.script(network()), torch.jit.trace(network(), torch.ones(1, 3, SIZE, SIZE))]
    return [_written(lambda buffer, one=one: torch.jit.save(one, buffer)) for one in made]


def exported() -> list[bytes]:
    batch = torch.export.Dim("batch", min=1, max=16)
    given = (torch.ones(2, 3, SIZE, SIZE),)
    program = torch.export.export(network(), given, dynamic_shapes=({0: batch},))
    return [_written(lambda buffer: torch.export.save(program, buffer))]


def _written(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def images() -> list[bytes]:
    """Every format that is decoded, with its modes: grey, deep, with transparency, with a palette, turned, animated."""
    random = np.random.default_rng(0)
    colours = Image.fromarray(random.integers(0, 256, (12, 10, 3), dtype=np.uint8))
    deep = Image.fromarray(random.integers(0, 65536, (12, 10), dtype=np.uint16))
    floats = Image.fromarray(random.random((12, 10), dtype=np.float32))
    turned = Image.Exif()
    turned[0x0112] = 6
    made: list[tuple[Image.Image, str, Mapping[str, Any]]] = [
        (colours, "JPEG", {"exif": turned, "quality": 90}),
        (colours, "JPEG", {"progressive": True}),
        (colours.convert("CMYK"), "JPEG", {}),
        (colours.convert("RGBA"), "PNG", {}),
        (colours.convert("P"), "PNG", {"transparency": 3}),
        (deep, "PNG", {}),
        (colours, "GIF", {"save_all": True, "append_images": [colours.rotate(90)]}),
        (colours, "BMP", {}),
        (colours, "TIFF", {"compression": "tiff_lzw"}),
        (colours, "TIFF", {"compression": "tiff_adobe_deflate", "exif": turned}),
        (deep, "TIFF", {}),
        (floats, "TIFF", {}),
        (colours, "WEBP", {}),
        (colours, "PPM", {}),
        (colours, "JPEG2000", {}),
        (colours, "AVIF", {}),
    ]
    return [_written(lambda buffer, i=i, f=f, o=o: i.save(buffer, f, **o)) for i, f, o in made]


def logos() -> list[bytes]:
    drawing = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><style>.a{fill:red}</style>'
        '<defs><linearGradient id="g"/></defs><g><path class="a" style="fill:url(#g)" d="M0 0h9v9z"/>'
        '<a href="#g"><text>auditor</text></a></g></svg>'
    )
    return [images()[0], images()[3], drawing.encode()]


MANIFESTS = {
    ".csv": [
        b"path,label\na/1.png,cat\nb/2.png,dog\n",
        b'a.png;cat\n"b;c.png";"d""og"\n',
        b"\xef\xbb\xbfimage\na.png\n",
    ],
    ".jsonl": [
        b'{"path": "a.png", "label": "cat"}\n{"file_name": "b.png", "target": 1}\n["c.png", null]\n"d.png"\n',
    ],
}

CLASS_NAMES = {
    ".txt": [b"cat\ndog\nbird\n"],
    ".json": [
        b'["cat", "dog"]',
        b'{"0": "cat", "1": ["n01", "dog"]}',
        b'{"cat": 0, "dog": 1}',
    ],
}

PREPROCESS = {
    ".toml": [
        b"resize = 256\ncrop = [224, 192]\nmean = [0.5, 0.5, 0.5]\nstd = 0.25\nscale = 1\ncolor = 'rgb'\n",
        b"[preprocess]\nresize = 'none'\ncrop = 32\ninterpolation = 'bicubic'\ninvert = true\n",
    ],
    ".json": [b'{"resize": 256, "crop": [224, 224], "mean": [0.5], "std": [1, 1, 1], "color": "bgr", "scale": 255}'],
}

SETTINGS = [
    b"""data = "photos/"
arch = "resnet18"
samples = 4
format = ["html", "json"]
device = "cpu"
lang = "en"
strict = true
arch-arg = {num_classes = 3}
[preprocess]
resize = 256
crop = 224
mean = [0.485, 0.456, 0.406]
[checks.predictions]
accuracy_fail = "baseline - 0.01"
[levels]
"filters.duplicate" = "fail"
[report]
title = "A title"
confidential = "internal"
""",
]

TEMPLATES = [
    b"""{% extends "auditor/report.html" %}
{% block body %}{{ page.title }}{% for one in range(3) %}{{ loop.index }} {{ _("checks") }}{% endfor %}
{% set n = namespace(count=0) %}{% if page %}{{ page.lang | upper | e }}{% else %}{{ "a" ~ 1 // 2 }}{% endif %}
{% macro item(a, b="x") %}{{ a }}{{ b[0:1] }}{% endmacro %}{{ item(page) }}{% endblock %}
""",
]


def bookmark(folder: Path) -> bytes:
    mark = Bookmark(folder, {})
    mark.keep(filled(), Place(3, 9, ("a note",)))
    content = mark.path.read_bytes()
    mark.remove()
    return content


def filled() -> list[Any]:
    random = np.random.default_rng(0)
    scores = random.normal(size=(9, 4)).astype(np.float32)
    batch = Batch(np.arange(9), random.integers(0, 4, 9), scores, (("a.png", "cut"),))
    collectors = [Predictions(), Readability()]
    for collector in collectors:
        collector.update(batch, {})
    return collectors
