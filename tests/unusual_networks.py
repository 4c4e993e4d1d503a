"""Networks that are built in unusual ways, each named by what is unusual about it.

All take images of 3 x 32 x 32 and have four classes. They are code that an audit loads from this file, like those of
`tests.networks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

CLASSES = 4


def stem(inputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU())


class Plain(nn.Module):
    """A stem, its mean maps and a head; what is unusual is what lies between them."""

    def __init__(self, num_classes: int = CLASSES) -> None:
        super().__init__()
        self.backbone, self.head = stem(), nn.Linear(12, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.features(x))


class GreyStem(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x.mean(1, keepdim=True).expand(-1, 3, -1, -1)).mean((2, 3)))


class Convolutions(nn.Module):
    """Dilated, grouped and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.dilated = nn.Conv2d(3, 8, 3, dilation=2)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4)
        self.transposed = nn.ConvTranspose2d(8, 6, 4, 2)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.transposed(F.relu(self.grouped(F.relu(self.dilated(x)))))).mean((2, 3)))


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, arriving: torch.Tensor) -> torch.Tensor:
        return 2 * arriving


class CustomFunction(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(_Doubled.apply(self.features(x)))


class ControlFlow(Plain):
    """Runs its backbone twice on bright images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.head(self.features(x))
        return scores + self.head(self.features(x.flip(3))) if float(x.mean()) > 0.1 else scores


class Lambda(nn.Module):
    """Wraps any function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def lambdas() -> nn.Module:
    return nn.Sequential(Lambda(lambda x: x * 2), stem(), Lambda(lambda x: x.mean((2, 3))), nn.Linear(12, CLASSES))


class Functional(nn.Module):
    """One module with all weights."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.weights = nn.Parameter(torch.randn(8, 3, 5, 5) / 9), nn.Parameter(torch.randn(CLASSES, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(F.relu(F.conv2d(x, self.kernels, stride=2)).mean((2, 3)), self.weights)


class Reused(nn.Module):
    """One block that runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.block = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, padding=1)
        self.act, self.head = nn.ReLU(), nn.Linear(8, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x))
        for _ in range(3):
            x = self.act(self.block(x))
        return self.head(x.mean((2, 3)))


class SharedWeights(Plain):
    """Two convolutions with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = nn.Conv2d(12, 12, 3, padding=1)
        self.other = nn.Conv2d(12, 12, 3, padding=1)
        self.other.weight = self.twin.weight

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.other(F.relu(self.twin(self.backbone(x))))).mean((2, 3))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))


class Rows(nn.Module):
    """An LSTM over the rows of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(96, 16, batch_first=True), nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x.transpose(1, 2).flatten(2))[0][:, -1])


class AttentionPooling(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.attend = nn.Parameter(torch.randn(1, 1, 12)), nn.MultiheadAttention(12, 2, batch_first=True)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.backbone(x).flatten(2).transpose(1, 2)
        return self.attend(self.query.expand(len(x), -1, -1), tokens, tokens)[0][:, 0]


def ending_in_softmax() -> nn.Module:
    return nn.Sequential(stem(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES), nn.Softmax(1))


def ending_in_log_softmax() -> nn.Module:
    return nn.Sequential(stem(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES), nn.LogSoftmax(1))


class Cached(Plain):
    """Fills a cache when it runs first, and keeps the maps of every run."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "grid"):
            self.grid = torch.linspace(0, 1, x.shape[3]).expand(x.shape[2:])
        self.seen = getattr(self, "seen", 0) + len(x)
        self.maps = self.backbone(x + 0.1 * self.grid)
        return self.head(self.maps.mean((2, 3)))


class Growing(Plain):
    """Runs its activation a different number of times each time."""

    def __init__(self) -> None:
        super().__init__()
        self.act, self.runs = nn.ReLU(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        found = self.backbone(x)
        for _ in range(self.runs % 3):
            found = self.act(found)
        return self.head(found.mean((2, 3)))


class LazyLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.LazyConv2d(8, 3, 2), nn.LazyLinear(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


class Bfloat16Inside(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.backbone.bfloat16()

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x.bfloat16()).mean((2, 3)).float()


class AutocastInside(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.head(self.features(x))


def all_in_bfloat16() -> nn.Module:
    return nn.Sequential(Lambda(lambda x: x.bfloat16()), Plain().bfloat16())


def all_in_half() -> nn.Module:
    return nn.Sequential(Lambda(lambda x: x.half()), Plain().half())


def dynamically_quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Plain().eval(), {nn.Linear}, torch.qint8)


class Quantised(nn.Module):
    """Static quantisation in eager mode, calibrated on noise."""

    def __init__(self) -> None:
        super().__init__()
        from torch.ao import quantization

        net = nn.Sequential(quantization.QuantStub(), stem(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        net = nn.Sequential(*net, nn.Linear(12, CLASSES), quantization.DeQuantStub()).eval()
        net.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
        prepared = quantization.prepare(net)
        prepared(torch.randn(4, 3, 32, 32))
        self.net = quantization.convert(prepared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class NoGrad(Plain):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return super().features(x)


class InferenceMode(Plain):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return super().features(x)


class Rounding(Plain):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        return super().features((x * 16).round() / 16)


class Reentrant(Plain):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.backbone, x, use_reentrant=True).mean((2, 3))


class TwoBranches(nn.Module):
    """The score is the sum of two branches."""

    def __init__(self, num_classes: int = CLASSES) -> None:
        super().__init__()
        self.a, self.b = stem(), stem()
        self.of_a, self.of_b = nn.Linear(12, num_classes), nn.Linear(12, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.of_a(self.a(x).amax((2, 3))) + self.of_b(self.b(x).amax((2, 3)))


class HalfCut(TwoBranches):
    """No gradient passes one of the branches."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            a = self.of_a(self.a(x).amax((2, 3)))
        return a + self.of_b(self.b(x).amax((2, 3)))


class FeaturesAndScores(Plain):
    def forward(self, x: torch.Tensor) -> Any:
        features = self.features(x)
        return features, self.head(features)


class ScoresAndFeatures(Plain):
    def forward(self, x: torch.Tensor) -> Any:
        features = self.features(x)
        return self.head(features), features


@dataclass
class Found:
    embedding: torch.Tensor
    result: dict[str, torch.Tensor]


class InDataclass(Plain):
    def forward(self, x: torch.Tensor) -> Any:
        features = self.features(x)
        return Found(features, {"classes": self.head(features), "loss": features.sum()})


class Training(NamedTuple):
    logits: torch.Tensor
    aux_logits: torch.Tensor


class Auxiliary(TwoBranches):
    def forward(self, x: torch.Tensor) -> Any:
        return Training(self.of_a(self.a(x).mean((2, 3))), self.of_b(self.b(x).mean((2, 3))))


class TwoHeads(Plain):
    """Two heads of the same width: nothing shows which has the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(12, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        features = self.features(x)
        return {"kind": self.head(features), "season": self.second(features)}
