"""Model folders as transformers and timm write them, with small networks of random weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported

import torch

from auditor.process.torchvision import torchvision  # noqa: F401  transformers and timm import it themselves

transformers: Any = __import__("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

NAMES = ("cat", "dog", "fox", "owl")
_TOKENS = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
_TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 32,
}
_STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]}
_WINDOWS = {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("ViTConfig", _TOKENS),
    "DeiT": ("DeiTConfig", {**_TOKENS, "architectures": ["DeiTForImageClassification"]}),
    "DeiT, distilled": ("DeiTConfig", {**_TOKENS, "architectures": ["DeiTForImageClassificationWithTeacher"]}),
    "Swin": ("SwinConfig", _WINDOWS),
    "ConvNeXt": ("ConvNextConfig", _STAGES),
    "ResNet": ("ResNetConfig", {**_STAGES, "embedding_size": 8}),
    "BEiT": ("BeitConfig", {**_TOKENS, "use_relative_position_bias": True}),
    "DINOv2": ("Dinov2Config", _TOKENS),
    "SigLIP": ("SiglipConfig", {"vision_config": _TOKENS, "text_config": _TEXT}),
    "EfficientNet": (
        "EfficientNetConfig",
        {"image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320},
    ),
}
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "Swin v2": ("Swinv2Config", _WINDOWS),
    "ConvNeXt v2": ("ConvNextV2Config", _STAGES),
    "DINOv2 with registers": ("Dinov2WithRegistersConfig", _TOKENS),
    "CLIP": ("CLIPConfig", {"vision_config": _TOKENS, "text_config": _TEXT}),
    "MobileNet v1": ("MobileNetV1Config", {"image_size": 32, "depth_multiplier": 0.25}),
    "MobileNet v2": ("MobileNetV2Config", {"image_size": 32, "depth_multiplier": 0.25}),
    "RegNet": ("RegNetConfig", {**_STAGES, "embedding_size": 8, "groups_width": 8}),
    "PoolFormer": ("PoolFormerConfig", _STAGES),
    "FocalNet": (
        "FocalNetConfig",
        {"image_size": 64, "embed_dim": 8, "depths": [1, 1], "focal_levels": [1, 1], "focal_windows": [3, 3]},
    ),
    "LeViT": (
        "LevitConfig",
        {
            "image_size": 64,
            "hidden_sizes": [16, 32, 48],
            "num_attention_heads": [2, 2, 2],
            "depths": [1, 1, 1],
            "key_dim": [8, 8, 8],
            "architectures": ["LevitForImageClassificationWithTeacher"],
        },
    ),
}


def network(family: str = "ViT", *, names: tuple[str, ...] = NAMES, **changed: Any) -> Any:
    """Return a network of transformers whose parameters are not at their initialisation."""
    kind, options = (FAMILIES | MORE)[family]
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, kind)(**{**options, **labels, **changed})
        built = transformers.AutoModelForImageClassification.from_config(config).eval()
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
            for name, buffer in built.named_buffers():
                if "running" in name:
                    buffer.add_(torch.rand_like(buffer))
    return built


def saved(folder: Path, built: Any, *, processor: Any = None, **how: Any) -> Path:
    """Save a network, and its image processor, as a user does; return the folder."""
    built.save_pretrained(folder, **how)
    if processor is not None:
        processor.save_pretrained(folder)
    return folder
