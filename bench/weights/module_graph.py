"""The operators of one of our detectors, traced symbolically (torch.fx): no data, no weights touched."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn
from torch.nn import functional as F
from torchvision.ops import DeformConv2d

from bench.errors import WeightsError
from bench.weights.operators import INPUT, Flow, Operator, convolutions_first, merge, single

# Modules and functions without weights, by the name that ONNX gives them in lower case.
STEPS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.MaxPool2d: "maxpool", nn.AvgPool2d: "averagepool"}
FUNCTIONS: dict[Callable[..., Any], str] = {operator.add: "add", operator.mul: "mul", F.interpolate: "resize"}
NO_DATA = (getattr, operator.getitem)  # shapes and their parts


@dataclass(frozen=True)
class Place:
    """Where in the state dict an operator's numbers belong."""

    weight: str  # name of a parameter
    bias: str | None  # of the convolution's own bias
    norm: str | None  # of the batch norm behind the convolution


def module_operators(detector: nn.Module) -> list[tuple[Operator, Place]]:
    """Operators in the order of execution, convolutions first, each with its place.

    A module that is called several times (a head shared over strides) occurs as often.

    Raises:
        WeightsError: the module holds control flow or layers that cannot be traced.
    """
    return convolutions_first(_Reader(detector, dict(detector.named_modules())).read(trace(detector)))


def trace(module: nn.Module) -> fx.Graph:
    """The calls of the module's forward pass.

    Raises:
        WeightsError: it holds control flow or layers that cannot be traced.
    """
    try:
        return _Tracer().trace(module)
    except Exception as error:  # whatever the forward pass asks of a value it does not have
        raise WeightsError(f"{type(module).__name__} cannot be traced: {error}") from error


class _Tracer(fx.Tracer):
    """Looks into `Identity`, through which lists of maps may pass, and not into a deformable convolution's checks."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        if isinstance(module, nn.Identity):
            return False
        return isinstance(module, DeformConv2d) or super().is_leaf_module(module, name)


class _Reader:
    def __init__(self, root: nn.Module, modules: dict[str, nn.Module]) -> None:
        self.root = root
        self.modules = modules
        self.flows: dict[fx.Node, Flow] = {}
        self.found: list[tuple[Operator, Place]] = []

    def read(self, graph: fx.Graph) -> list[tuple[Operator, Place]]:
        for node in graph.nodes:
            self.flows[node] = self.flow(node)
        return self.found

    def flow(self, node: fx.Node) -> Flow:
        before = merge([self.flows[source] for source in data_inputs(node)])
        if node.op == "placeholder":
            return Flow(frozenset({INPUT}))
        if node.op == "call_module":
            return self.module_flow(node, self.modules[str(node.target)], before)
        if node.op == "call_function" and node.target not in NO_DATA:
            scale = scalar_parameter(node, self.root)
            if scale is not None:
                return self.add(Operator("scale", scale, (), **_way(before)), Place(scale, None, None))
            return before.after(node, FUNCTIONS.get(node.target, str(node.target)))  # type: ignore[arg-type]
        return Flow() if node.op in ("get_attr", "call_function") else before

    def module_flow(self, node: fx.Node, module: nn.Module, before: Flow) -> Flow:
        name = str(node.target)
        if isinstance(module, nn.Conv2d):
            return self.add(convolution(name, module, before), Place(f"{name}.weight", bias_name(name, module), None))
        if isinstance(module, nn.BatchNorm2d):
            return self.fold(name, module, node)
        if type(module) in STEPS:
            return before.after(node, STEPS[type(module)])
        weight = next(module.named_parameters(), None)
        if weight is None:
            return before.after(node, type(module).__name__.lower())
        layer = Operator(type(module).__name__.lower(), name, tuple(weight[1].shape), **_way(before))
        if isinstance(module, nn.GroupNorm):
            layer = replace(layer, groups=module.num_groups, epsilon=single(module.eps))
        return self.add(layer, Place(f"{name}.{weight[0]}", bias_name(name, module), None))

    def fold(self, name: str, norm: nn.BatchNorm2d, node: fx.Node) -> Flow:
        """Join a batch norm to the convolution right before it."""
        (source,) = data_inputs(node)
        if not self.found or source.op != "call_module" or not isinstance(self.modules[str(source.target)], nn.Conv2d):
            raise WeightsError(f"{name}: expected a convolution right before a batch norm, found {source.target}")
        before = self.flows[source]
        (index,) = before.sources
        convolution, place = self.found[index]
        self.found[index] = convolution, Place(place.weight, place.bias, name)
        return before

    def add(self, found: Operator, place: Place) -> Flow:
        self.found.append((found, place))
        return Flow(frozenset({len(self.found) - 1}))


def data_inputs(node: fx.Node) -> list[fx.Node]:
    """Nodes whose values reach `node`; a size taken from a tensor is not its value."""
    return [source for source in node.all_input_nodes if source.target not in NO_DATA]


def scalar_parameter(node: fx.Node, root: nn.Module) -> str | None:
    """The name of the parameter of one element that `node` multiplies with, if it does."""
    if node.target is not operator.mul:
        return None
    for source in node.all_input_nodes:
        if source.op == "get_attr" and root.get_parameter(str(source.target)).numel() == 1:
            return str(source.target)
    return None


def convolution(name: str, module: nn.Conv2d, before: Flow) -> Operator:
    vertical, horizontal = (int(side) for side in module.padding)
    return Operator(
        kind="conv",
        name=name,
        shape=tuple(module.weight.shape),
        stride=tuple(module.stride),
        padding=(vertical, horizontal, vertical, horizontal),
        dilation=tuple(module.dilation),
        groups=module.groups,
        **_way(before),
    )


def bias_name(name: str, module: nn.Module) -> str | None:
    return f"{name}.bias" if getattr(module, "bias", None) is not None else None


def _way(before: Flow) -> dict[str, Any]:
    return {"sources": before.sources, "through": before.through}
