"""What each channel of a layer adds to a score."""

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
    """Return the sum over a channel's map of value times gradient: its share, where all behind it is linear.

    Raises:
        ValueError, IndexError: As `gradient`; or the layer's output is no stack of maps.
    """
    recording = record(model, images, layers=(layer,), rules=False)
    passage = recording.passages[layer]
    (signal,) = aim_at(target, recording).signals(recording)
    (arrived,) = recording.reach(signal.start, signal.values, [passage.edge])
    maps = recording.maps(passage)
    if arrived is None:
        return torch.zeros_like(maps[:, :, 0, 0])
    return (maps * recording.maps(passage, arrived)).sum((2, 3))
