"""An independent oracle: a copy of a network in which each rectifier is a module with the rule written out."""

import copy

import torch
from torch import fx, nn
from torch.nn import functional


class _Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx, taken, upper, rule):
        ctx.save_for_backward(taken)
        ctx.upper, ctx.rule = upper, rule
        return taken.clamp(0, upper)

    @staticmethod
    def backward(ctx, signal):
        (taken,) = ctx.saved_tensors
        inside = (taken > 0) & (taken < ctx.upper)
        if ctx.rule == "deconvnet":
            return signal * (signal > 0), None, None
        if ctx.rule == "guided":
            return signal * (signal > 0) * inside, None, None
        return signal * inside, None, None


class Rectifier(nn.Module):
    def __init__(self, rule, upper=float("inf")):
        super().__init__()
        self.rule, self.upper = rule, upper

    def forward(self, taken):
        return _Rectify.apply(taken, self.upper, self.rule)


FUNCTIONS = (functional.relu, torch.relu, torch.relu_, functional.relu_)


def rewritten(network, rule):
    """Return a copy in which functions, methods and modules that rectify are each a module of their own."""
    graph = fx.symbolic_trace(copy.deepcopy(network))
    modules = dict(graph.named_modules())
    count = 0
    for node in list(graph.graph.nodes):
        upper = _upper(node, modules)
        if upper is None:
            continue
        name = f"rectifier{count}"
        count += 1
        graph.add_module(name, Rectifier(rule, upper))
        with graph.graph.inserting_after(node):
            new = graph.graph.call_module(name, (node.args[0],))
        node.replace_all_uses_with(new)
        graph.graph.erase_node(node)
    graph.recompile()
    return graph.eval(), count


def _upper(node, modules):
    if node.op == "call_module":
        module = modules[node.target]
        return {nn.ReLU: float("inf"), nn.ReLU6: 6.0}.get(type(module))
    if (node.op == "call_function" and node.target in FUNCTIONS) or (
        node.op == "call_method" and node.target in ("relu", "relu_")
    ):
        return float("inf")
    return None


def plain_gradient(network, images, classes):
    asked = images.detach().clone().requires_grad_()
    scores = network(asked)
    return torch.autograd.grad(scores[torch.arange(len(images)), classes].sum(), asked)[0]
