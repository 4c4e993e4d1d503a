"""Folded parametrizations, against torch's own modules in eval mode."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from auditor.model.files.parametrizations import folded, has_parts


def old(function):
    def made(*given, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends the new functions
            return function(*given, **how)

    return made


weight_norm, spectral_norm = old(nn.utils.weight_norm), old(nn.utils.spectral_norm)
new_spectral_norm = parametrizations.spectral_norm

PARAMETRIZED = {
    "weight norm, old": lambda: weight_norm(nn.Conv2d(4, 6, 3)),
    "weight norm of all, old": lambda: weight_norm(nn.Conv2d(4, 6, 3), dim=None),
    "weight norm over inputs, old": lambda: weight_norm(nn.Conv2d(4, 6, 3), dim=1),
    "weight norm, new": lambda: parametrizations.weight_norm(nn.Conv2d(4, 6, 3)),
    "weight norm of one output, new": lambda: parametrizations.weight_norm(nn.ConvTranspose2d(4, 1, 3), dim=1),
    "spectral norm, old": lambda: spectral_norm(nn.Conv2d(4, 6, 3)),
    "spectral norm of a square transposed one, old": lambda: spectral_norm(nn.ConvTranspose2d(4, 4, 3)),
    "spectral norm of a square transposed one, new": lambda: new_spectral_norm(nn.ConvTranspose2d(4, 4, 3)),
    "spectral norm, new": lambda: parametrizations.spectral_norm(nn.Conv2d(4, 6, 3)),
    "pruned": lambda: prune.random_unstructured(nn.Conv2d(4, 6, 3), "weight", 0.5),
    "pruned weight and bias": lambda: prune.random_unstructured(
        prune.ln_structured(nn.Conv2d(4, 6, 3), "weight", 0.5, n=2, dim=0), "bias", 0.5
    ),
}


@pytest.mark.parametrize("make", PARAMETRIZED.values(), ids=PARAMETRIZED)
def test_a_parametrized_weight_is_folded_into_what_the_module_computes_with(make):
    torch.manual_seed(0)
    module = make().train()
    for _ in range(3):
        module(torch.randn(2, 4, 8, 8))
    module.eval()
    module(torch.randn(2, 4, 8, 8))
    state = {f"part.{name}": tensor.detach() for name, tensor in module.state_dict().items()}
    assert has_parts(state)
    found = folded(state)
    assert set(found) == {"part.weight", "part.bias"}
    assert torch.allclose(found["part.weight"], module.weight, atol=1e-6, rtol=1e-6)
    assert torch.equal(found["part.bias"], module.bias)
    shapes = folded({name: tensor.to("meta") for name, tensor in state.items()})
    assert shapes["part.weight"].shape == module.weight.shape


@pytest.mark.parametrize(
    "names",
    [["conv.weight", "conv.bias"], ["conv.weight_g"], ["conv.weight_orig"], ["scale_g"], ["parametrizations.weight"]],
)
def test_what_only_sounds_like_a_part_stays(names):
    state = {name: torch.ones(2, 2) for name in names}
    assert folded(state) == state
