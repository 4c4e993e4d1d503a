"""What kind of network the names of tensors look like, where no known network has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MOST_NAMES: Final = 5000

_FILE: Final = "--arch path/to/file.py:callable"
_TIMM: Final = "--arch timm:NAME"
_KINDS: Final = (
    (
        r"(rpn|roi_heads|backbone\.body|bbox_head|rpn_head|roi_head)\.",
        "a detection network, which is no classifier",
        "",
    ),
    (r"(decode_head|segmentation_head|aux_classifier)\.", "a segmentation network, which is no classifier", ""),
    (r"(\d+\.)?(dfl\.conv|cv2\.\d+\.\d+\.conv|\d+\.anchors)", "a YOLO detection network, which is no classifier", ""),
    (r"(model\.)?diffusion_model\.|first_stage_model\.", "a diffusion model, which is no classifier", ""),
    (r"(.*\.)?(embed_tokens|lm_head|wte|word_embeddings)\.", "a language model, which is no classifier of images", ""),
    (r"visual\.transformer\.resblocks\.|(.*\.)?logit_scale$", "a CLIP, which needs texts for its classes", ""),
    (
        r"(vit|deit|swin|swinv2|convnext|convnextv2|resnet|regnet|efficientnet|beit|dinov2|mobilenet_v2|mobilevit)"
        r"\.(embeddings?|embedder|encoder|conv_stem)\.",
        "a network of transformers",
        "give the folder with its config.json",
    ),
    (r"_conv_stem\.|_blocks\.\d", "an EfficientNet of the package efficientnet_pytorch", _FILE),
    (r"layers\.\d+\.blocks\.\d+\.attn\.", "a Swin transformer of timm", _TIMM),
    (r"blocks\.\d+\.(attn\.qkv|ls1|mlp\.fc1)", "a vision transformer of timm", _TIMM),
    (r"stages\.\d+\.blocks\.\d+\.conv_dw\.", "a ConvNeXt of timm", _TIMM),
    (r"conv_stem\.|blocks\.\d+\.\d+\.(conv_pw|conv_dw)\.", "an EfficientNet or MobileNet of timm", _TIMM),
    (r"\d+\.(conv|m\.\d+|cv1)\.(conv\.)?weight", "a network of Ultralytics", _FILE),
    (r"backbone\..*", "a network of OpenMMLab or of one's own", _FILE),
    (
        r"(bn1|layer1\.0|layer4\.\d)\.",
        "a ResNet with other blocks or another head",
        f"{_TIMM} or path/to/file.py:callable",
    ),
    (
        r"encoder\.layers\.encoder_layer_0\.",
        "a vision transformer of torchvision with other sizes",
        "--arch-arg KEY=VALUE",
    ),
)


def resemblance(names: Iterable[str]) -> str:
    """Return what the names look like and how such a network is named, to follow "its names look like"."""
    given = list(names)[:_MOST_NAMES]
    for pattern, what, way in _KINDS:
        if any(re.match(pattern, name) for name in given):
            return f"{what} ({way})" if way else what
    return ""
