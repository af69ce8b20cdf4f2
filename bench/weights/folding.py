"""Batch norms into the convolutions before them: fewer passes over memory in evaluation, where they are one affine.

W' = W g / sqrt(v + e), b' = b + (c - m) g / sqrt(v + e), with the norm's weight g, bias b, mean m, variance v and the
convolution's own bias c. The inverse direction, published weights that come folded, is `norms.py`.
"""

import copy
from collections import Counter
from typing import TypeVar

from torch import nn

from bench.weights.module_graph import trace

Module = TypeVar("Module", bound=nn.Module)


def fold_norms(module: Module) -> Module:
    """A copy in evaluation mode, of equal outputs up to rounding, in which no convolution is followed by a batch norm.

    A norm stays where it cannot go: behind anything but an ordinary convolution, or where convolution and norm are not
    each other's only partners (weights shared by levels whose norms are their own). Not for training any more.

    Raises:
        WeightsError: the module cannot be traced, so that nobody knows what follows what.
    """
    copied = copy.deepcopy(module).eval()
    for convolution, norm in foldable(copied):
        replace(copied, convolution, folded_convolution(copied.get_submodule(convolution), copied.get_submodule(norm)))
        replace(copied, norm, nn.Identity())
    return copied


def foldable(module: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions and of the batch norms that alone read what these compute, wherever they are called."""
    modules = dict(module.named_modules())
    nodes = [node for node in trace(module).nodes if node.op == "call_module"]
    calls = Counter(node.target for node in nodes)
    pairs: Counter[tuple[str, str]] = Counter()
    for node in nodes:
        source = node.args[0]
        if not isinstance(modules[node.target], nn.BatchNorm2d) or source.op != "call_module":
            continue
        if isinstance(modules[source.target], nn.Conv2d) and len(source.users) == 1:
            pairs[source.target, node.target] += 1
    return [pair for pair, count in pairs.items() if calls[pair[0]] == calls[pair[1]] == count]


def folded_convolution(convolution: nn.Module, norm: nn.Module) -> nn.Conv2d:
    """One convolution that computes both."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = (norm.running_var.double() + norm.eps).rsqrt()
    slope = slope if norm.weight is None else slope * norm.weight.double()  # [C]
    offset = -norm.running_mean.double() * slope
    offset = offset if norm.bias is None else offset + norm.bias.double()
    if convolution.bias is not None:
        offset = offset + convolution.bias.double() * slope
    result = copy.deepcopy(convolution)
    result.weight = nn.Parameter((convolution.weight.double() * slope.view(-1, 1, 1, 1)).to(convolution.weight))
    result.bias = nn.Parameter(offset.to(convolution.weight))
    return result


def replace(module: nn.Module, name: str, other: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, other)
