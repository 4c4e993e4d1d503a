"""One small member of each family of torchvision and timm; of the large ones, the same code with fewer blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_SIZES = (64, 96, 112, 128, 160, 224, 256, 299, 384)


@dataclass(frozen=True, slots=True)
class Member:
    """An architecture.

    Attributes:
        spec: As `--arch` takes it.
        arguments: Of its builder.
        sizes: Sides of images; the first that the network takes is used.
        layers: How many layers are compared with autograd.
    """

    spec: str
    arguments: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = _SIZES
    layers: int = 6


def _of(library: str, arguments: dict[str, dict[str, Any]]) -> tuple[Member, ...]:
    prefix = "timm:" if library == "timm" else ""
    return tuple(Member(prefix + name, {"num_classes": 2, **own}) for name, own in arguments.items())


_SHALLOW: dict[str, Any] = {"depths": (1, 1, 1, 1)}
_TOKENS: dict[str, Any] = {"img_size": 64, "depth": 2}

TORCHVISION = _of(
    "torchvision",
    {
        "alexnet": {},
        "convnext_tiny": {},
        "densenet121": {},
        "efficientnet_b0": {},
        "efficientnet_v2_s": {},
        "googlenet": {},
        "inception_v3": {},
        "maxvit_t": {},
        "mnasnet0_5": {},
        "mobilenet_v2": {},
        "mobilenet_v3_small": {},
        "regnet_x_400mf": {},
        "regnet_y_400mf": {},
        "resnet18": {},
        "resnext50_32x4d": {},
        "shufflenet_v2_x0_5": {},
        "squeezenet1_1": {},
        "swin_t": {},
        "swin_v2_t": {},
        "vgg11_bn": {},
        "vit_b_32": {"image_size": 64},
        "wide_resnet50_2": {},
    },
)

TIMM = _of(
    "timm",
    {
        "beit_base_patch16_224": {**_TOKENS, "embed_dim": 96, "num_heads": 3},
        "eca_botnext26ts_256": {"img_size": 64},
        "test_byobnet": {},
        "cait_xxs24_224": _TOKENS,
        "coat_tiny": {"img_size": 64},
        "convit_tiny": {"img_size": 64, "depth": 4},
        "convmixer_768_32": {},
        "convnext_atto": {},
        "cpubone_nano": {},
        "crossvit_tiny_240": {},
        "csatv2": {},
        "cs3darknet_focus_s": {},
        "cspnext_tiny": {},
        "davit_tiny": {**_SHALLOW, "embed_dims": (24, 48, 96, 192)},
        "deepseek_vit_412m": {"depth": 1, "embed_dim": 64, "num_heads": 2},
        "deit_tiny_patch16_224": _TOKENS,
        "deit_tiny_distilled_patch16_224": _TOKENS,
        "densenet121": {"block_config": (2, 2, 2, 2)},
        "dla46x_c": {},
        "dpn48b": {},
        "edgenext_xx_small": {},
        "efficientformer_l1": {"img_size": 64},
        "efficientformerv2_s0": {"img_size": 64},
        "efficientnet_lite0": {},
        "efficientvim_m1": {},
        "efficientvit_b0": {},
        "efficientvit_m0": {"img_size": 64},
        "eva02_tiny_patch14_224": {"img_size": 112, "depth": 2},
        "fasternet_t0": {},
        "fastvit_t8": {},
        "focalnet_tiny_srf": {},
        "gcvit_xxtiny": {"img_size": 64},
        "gemma4_vit_167m": {"depth": 1, "embed_dim": 64, "num_heads": 2},
        "ghostnet_050": {},
        "hardcorenas_b": {},
        "hgnetv2_b0": {},
        "hiera_tiny_224": {"img_size": 64},
        "sam2_hiera_tiny": {},
        "hrnet_w18_small": {},
        "iformer_t": {},
        "inception_next_atto": {},
        "inception_resnet_v2": {},
        "inception_v3": {},
        "inception_v4": {},
        "lcnetv2_small": {},
        "levit_128s": {"img_size": 64},
        "lowformer_b0": {},
        "test_mambaout": {},
        "maxvit_pico_rw_256": {"img_size": 64},
        "poolformerv2_s12": {},
        "gmlp_ti16_224": {"img_size": 64},
        "mobilenetv3_small_050": {},
        "mobilenetv5_base": {},
        "mobilevit_xxs": {},
        "mvitv2_tiny": {"img_size": 64},
        "naflexvit_base_patch16_parfac_gap": {"depth": 2, "embed_dim": 96, "num_heads": 3},
        "nasnetalarge": {},
        "nest_tiny": {"img_size": 64},
        "nextvit_small": {},
        "nfnet_f0": {},
        "pit_ti_224": {"img_size": 64},
        "pnasnet5large": {},
        "pvt_v2_b0": {},
        "qwen3_vit_88m": {"depth": 1, "embed_dim": 64, "num_heads": 2},
        "rdnet_tiny": {},
        "regnetx_002": {},
        "repghostnet_050": {},
        "repvit_m1": {},
        "res2next50": {},
        "resnest14d": {},
        "test_resnet": {},
        "resnetv2_18": {},
        "rexnet_100": {},
        "selecsls42": {},
        "legacy_seresnet18": {},
        "sequencer2d_s": {"img_size": 64, "layers": (1, 1, 1, 1), "embed_dims": (24, 48, 48, 48)},
        "shvit_s1": {},
        "skresnet18": {},
        "starnet_s050": {},
        "swiftformer_xs": {},
        "swin_tiny_patch4_window7_224": {"img_size": 64, "depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4)},
        "swinv2_tiny_window16_256": {"img_size": 64, "depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4)},
        "swinv2_cr_tiny_224": {"img_size": 64, "depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4)},
        "tiny_vit_5m_224": {},
        "tnt_s_legacy_patch16_224": _TOKENS,
        "tresnet_m": {},
        "twins_svt_small": {"img_size": 64},
        "vgg11": {},
        "visformer_tiny": {"img_size": 64},
        "test_vit": {"img_size": 64},
        "vit_tiny_r_s16_p8_224": {"img_size": 128, "depth": 2},
        "test_vit_relpos": {"img_size": 64},
        "samvit_base_patch16_224": {"img_size": 64, "depth": 2, "embed_dim": 96, "num_heads": 3},
        "vitamin_small_224": {"img_size": 64},
        "volo_d1_224": {"img_size": 64},
        "ese_vovnet19b_slim_dw": {},
        "legacy_xception": {},
        "xception41p": {},
        "xcit_nano_12_p8_224": {"img_size": 64, "depth": 2},
    },
)

MEMBERS = (*TORCHVISION, *TIMM)
