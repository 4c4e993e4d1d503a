"""The rules that give the fields of an ATen operator's outputs.

A rule takes a `Call` and returns one field for all outputs, or one for each. An operator without a rule can't be
traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from auditor.model.fields import moves
from auditor.model.fields.axes import Grid, Reach, Untraceable, Window
from auditor.model.fields.call import Call, Rule, tensors_in
from auditor.model.fields.fields import Field, Sight, joined

_aten = torch.ops.aten


def rule_for(func: Any) -> Rule:
    """Return the rule of an operator.

    Raises:
        Untraceable: The operator has no rule.
    """
    rule = _rules().get(func.overloadpacket)
    if rule is None and torch.Tag.pointwise in func.tags:
        return _pointwise
    if rule is None:
        raise Untraceable(f"{func} has no rule")
    return rule


@lru_cache(maxsize=1)
def _rules() -> dict[Any, Rule]:
    named: dict[Rule, str] = {
        _same: "_to_copy alias clone detach lift_fresh native_dropout positive",
        _pointwise: "hardswish hardswish_ log_sigmoid_forward _prelu_kernel rrelu_with_noise",
        _copied: "copy_",
        _restrided: "as_strided_",
        _batch_norm: "native_batch_norm cudnn_batch_norm miopen_batch_norm _batch_norm_with_update"
        " _native_batch_norm_legit _native_batch_norm_legit_no_training",
        _group_norm: "native_group_norm",
        _layer_norm: "native_layer_norm _fused_rms_norm",
        _convolution: "convolution _convolution",
        _pool: "max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d avg_pool1d avg_pool2d avg_pool3d",
        _adaptive_pool: "_adaptive_avg_pool2d _adaptive_avg_pool3d mkldnn_adaptive_avg_pool2d adaptive_max_pool2d"
        " adaptive_max_pool3d",
        _interpolation: "upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d"
        " _upsample_bilinear2d_aa _upsample_bicubic2d_aa",
        _constant_pad: "constant_pad_nd",
        _edge_pad: "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d",
        _reduction: "mean sum amax amin prod std std_mean var var_mean linalg_vector_norm norm logsumexp all any"
        " max min argmax argmin median",
        _mixing: "_softmax _log_softmax",
        _linear: "linear",
        _product: "mm bmm addmm baddbmm",
        _attention: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention"
        " _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention"
        " _scaled_dot_product_fused_attention_overrideable",
        _heads: "_native_multi_head_attention",
        moves.reshaped: "view _unsafe_view _reshape_alias squeeze unsqueeze",
        moves.moved: "permute transpose t slice select expand split split_with_sizes unbind roll flip repeat"
        " unfold index_select pixel_shuffle pixel_unshuffle channel_shuffle",
        moves.indexed: "index",
        moves.glu: "glu",
        moves.concatenated: "cat",
        moves.stacked: "stack",
    }
    return {
        getattr(_aten, name): rule for rule, names in named.items() for name in names.split() if hasattr(_aten, name)
    }


def _same(call: Call) -> Field:
    return call.field


def _pointwise(call: Call) -> Field:
    return joined(call.fields(), call.ndim)


def _copied(call: Call) -> Field:
    return joined([call.seen_in(call.arguments["src"])], call.ndim)


def _restrided(call: Call) -> Field:
    """Return the field of `as_strided_`, which only `adaptive_avg_pool2d` calls, for a single pixel."""
    if call.seen(call.input) is None:
        raise Untraceable("a tensor with another tensor's memory")
    return call.field


def _batch_norm(call: Call) -> Field:
    """Return the field of a batch norm; without running statistics it also sees the whole map."""
    if call.arguments.get("training", "update" in call.func.overloadpacket.__name__):
        return _with_pool(call.field, [dim for dim in range(call.input.ndim) if dim != 1])
    return call.field


def _group_norm(call: Call) -> Field:
    return _with_pool(call.field, range(1, call.input.ndim))


def _layer_norm(call: Call) -> Field:
    ndim = call.input.ndim
    return _with_pool(call.field, range(ndim - len(call.arguments["normalized_shape"]), ndim))


def _mixing(call: Call) -> Field:
    return _with_pool(call.field, call.dims())


def _with_pool(field: Field, dims: Sequence[int]) -> Field:
    """Return the union of the field with its pooling over `dims`."""
    if not field.axes.intersection(dims):
        return field
    return joined([field, field.pooled(dims)], field.ndim)


def _reduction(call: Call) -> Field:
    others = tensors_in(list(call.arguments.values())[1:])
    if others:  # max(a, b)
        return joined(call.fields(), call.ndim)
    dims = call.dims()
    return _dropped(call.field.pooled(dims), dims, call.ndim)


def _dropped(field: Field, dims: Sequence[int], ndim: int) -> Field:
    if field.ndim == ndim:
        return field
    return field.each(lambda reach: reach.moved(lambda values: values.squeeze(tuple(dims))))


def _linear(call: Call) -> Field:
    pooled = call.field.pooled([call.input.ndim - 1])
    return replace(pooled, gated=pooled.gated or bool(call.fields("weight")))


def _product(call: Call) -> Field:
    """Return the field of a matrix product with an optional sum."""
    given = call.arguments
    left = given.get("mat1", given.get("batch1", given["self"]))
    right = given.get("mat2", given.get("batch2"))
    fields = [call.seen_in(left).pooled([left.ndim - 1])] if call.seen(left) else []
    fields += [call.seen_in(right).pooled([right.ndim - 2])] if call.seen(right) else []
    return joined(fields + (call.fields("self") if left is not given["self"] else []), call.ndim)


def _attention(call: Call) -> Field:
    query, keys = call.arguments["query"], call.fields("key", "value")
    ndim = query.ndim
    heads = [call.seen_in(query).pooled([ndim - 1])] if call.seen(query) else []
    return joined(heads + [field.pooled([ndim - 2, ndim - 1]) for field in keys], ndim)


def _heads(call: Call) -> Field:
    """Return the field of `nn.MultiheadAttention`, `[n, tokens, features]`.

    Raises:
        Untraceable: It also returns the attention weights.
    """
    if call.arguments["need_weights"]:
        raise Untraceable("the weights of an attention")
    return _attention(call)


def _convolution(call: Call) -> Field:
    if call.seen(call.input) is None:
        raise Untraceable("a kernel that depends on the image, over an input that does not")
    given, kernel, count = call.arguments, call.arguments["weight"].shape[2:], call.input.ndim - 2
    field = call.field
    if given["groups"] > 1 and 1 in field.axes:
        raise Untraceable("groups of channels along an axis of the image")
    sliding = Window.transposed if given["transposed"] else Window.sliding
    options = [_spread(given[name], count) for name in ("stride", "padding", "dilation")]
    field = field.pooled([1])
    for dim, size, stride, padding, dilation in zip(range(2, 2 + count), kernel, *options, strict=True):
        lengths = call.input.shape[dim], call.outputs[0].shape[dim]
        window = sliding(*lengths, kernel=size, stride=stride, padding=padding, dilation=dilation)
        field = _windowed(call, field, dim, window)
    return replace(field, gated=field.gated or bool(call.fields("weight")))


def _pool(call: Call) -> Field:
    given, count = call.arguments, int(next(digit for digit in call.func.overloadpacket.__name__ if digit.isdigit()))
    kernel, padding = _spread(given["kernel_size"], count), _spread(given["padding"], count)
    stride = _spread(given["stride"] or given["kernel_size"], count)
    dilation, field = _spread(given.get("dilation", 1), count), call.field
    for dim, *options in zip(range(call.ndim - count, call.ndim), kernel, stride, padding, dilation, strict=True):
        lengths = call.input.shape[dim], call.outputs[0].shape[dim]
        names = ("kernel", "stride", "padding", "dilation")
        field = _windowed(call, field, dim, Window.sliding(*lengths, **dict(zip(names, options, strict=True))))
    return field


def _adaptive_pool(call: Call) -> Field:
    field, count = call.field, len(call.arguments["output_size"])
    for dim in range(call.ndim - count, call.ndim):
        field = _windowed(call, field, dim, Window.adaptive(call.input.shape[dim], call.outputs[0].shape[dim]))
    return field


def _constant_pad(call: Call) -> Field:
    field, pads = call.field, call.arguments["pad"]
    for i, before in enumerate(pads[::2]):
        dim = call.ndim - 1 - i
        lengths = call.input.shape[dim], call.outputs[0].shape[dim]
        field = _windowed(call, field, dim, Window.sliding(*lengths, kernel=1, stride=1, padding=before))
    return field


def _edge_pad(call: Call) -> Field:
    """Return the field of padding with values from the edge; its grid is that of constant padding."""
    field, pads = call.field, call.arguments["padding"]
    pad = getattr(_aten, call.func.overloadpacket.__name__.replace("2d", "1d"))
    for i, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        dim = call.ndim - 1 - i
        length = call.input.shape[dim]
        taps = pad(torch.arange(length, dtype=torch.float64)[None], [before, after])[0].long()
        field = _windowed(call, field, dim, Window.chosen(length, taps, Grid(1, 1, -before)))
    return field


def _interpolation(call: Call) -> Field:
    """Return the field of an upsampling; the operator itself shows which positions have a weight."""
    field = call.field
    for dim in (2, 3):
        length = call.input.shape[dim]
        if length == 1:  # a pooled map that is broadcast
            continue
        single = torch.eye(length, dtype=torch.float64)[None].unsqueeze(5 - dim)
        weights = call.func(single, *call.options)[0].select(4 - dim, 0)  # [length, positions]
        field = _windowed(call, field, dim, Window.weighted(weights.T))
    return field


def _windowed(call: Call, field: Field, dim: int, window: Window) -> Field:
    """Return the field after windows along one dimension of the input.

    Rows or columns of a single position are taken to be at their dimension of `[.., h, w]`.
    """
    if window.step == Grid(1, 1, 0) and len(window.taps) == window.length:
        return field
    ndim, alone = call.input.ndim, call.input.shape[dim] == 1

    def along(home: int) -> Callable[[Reach], Reach]:
        return lambda reach: reach.windowed(dim, window, here=alone and dim == home and not reach.axes)

    down, across = along(ndim - 2), along(ndim - 1)
    return replace(field, sights=tuple(Sight(down(sight.rows), across(sight.cols)) for sight in field.sights))


def _spread(value: Any, count: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values
