"""The contribution of each channel of a layer to a class score."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model, record
from auditor.methods.attribution.targets import aim_at


@torch.inference_mode(False)
def channel_contributions(
    model: Model, images: Float[Tensor, "n c h w"], target: int, layer: str
) -> Float[Tensor, "n channels"]:
    """Return the sum over each channel's map of value times gradient: `[n, channels]`, in units of the score, signed.

    This is the channel's exact contribution if the network is linear after the layer.

    Args:
        target: A class.
        layer: The name of a module.

    Raises:
        ValueError: As `gradient`, or the layer's output is not a stack of maps.
        IndexError: The class does not exist.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> linear = nn.Linear(144, 10, bias=False)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), linear).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> shares = methods.channel_contributions(model, images, 5, "1")
        >>> shares.shape
        torch.Size([2, 4])
        >>> torch.allclose(shares.sum(1), model(images)[:, 5], atol=1e-5)  # they sum to the score
        True
    """
    recording = record(model, images, layers=(layer,), rules=False)
    passage = recording.passages[layer]
    (signal,) = aim_at(target, recording).signals(recording)
    (arrived,) = recording.reach(signal.start, signal.values, [passage.edge])
    maps = recording.maps(passage)
    if arrived is None:
        return torch.zeros_like(maps[:, :, 0, 0])
    return (maps * recording.maps(passage, arrived)).sum((2, 3))
