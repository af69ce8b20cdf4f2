"""The operators of an ONNX file, with their weights. Reading a protocol buffer runs no code, unlike unpickling."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import WeightsError
from bench.weights.onnx.constants import Constants, constants_of
from bench.weights.onnx.group_norm import GroupNorm, group_norms
from bench.weights.operators import INPUT, Flow, Operator, convolutions_first, merge
from bench.weights.optional import required

IGNORED = {"Shape"}  # nothing that depends on pixels comes out of it
NO_STEP = {"Identity", "Cast"}
NO_WEIGHTS = {"Resize"}  # its constants are factors of sizes


@dataclass(frozen=True)
class Numbers:
    """The weights of an operator; a norm may have none."""

    weight: Tensor | None
    bias: Tensor | None


def onnx_operators(path: Path) -> list[tuple[Operator, Numbers]]:
    """Operators in the order of execution, convolutions first, each with its numbers.

    Raises:
        WeightsError: no ONNX file, or one with several inputs, subgraphs or weights where none are understood.
    """
    model = read_model(path)
    graph, constants = model.graph, constants_of(model, path)
    inputs = [value.name for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise WeightsError(f"{path}: expected a graph with one input, the image, found {inputs}")
    reader = _Reader(path, constants, group_norms(graph, constants, path), inputs[0])
    for node in graph.node:
        reader.step(node)
    return convolutions_first(reader.found)


def read_model(path: Path) -> Any:
    onnx = required("onnx")
    if not path.is_file():
        raise WeightsError(f"expected an ONNX file at {path}, found none")
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # a damaged file can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} cannot be read as an ONNX model ({reason})") from error
    return model


class _Reader:
    def __init__(self, path: Path, constants: Constants, norms: list[GroupNorm], image: str) -> None:
        self.path = path
        self.constants = constants
        self.norms = {norm.result: norm for norm in norms}
        self.inside_norms = frozenset[str]().union(*(norm.inside for norm in norms))
        self.flows: dict[str, Flow] = {image: Flow(frozenset({INPUT}))}
        self.found: list[tuple[Operator, Numbers]] = []

    def step(self, node: Any) -> None:
        if node.output[0] in self.constants:
            return
        flow = self.flow(node)
        for output in node.output:
            self.flows[output] = flow

    def flow(self, node: Any) -> Flow:
        if node.op_type in IGNORED:
            return Flow()
        if node.output[0] in self.norms:
            return self.group_norm(self.norms[node.output[0]])
        before = merge([self.flows[name] for name in node.input if name in self.flows])
        if node.op_type == "Conv":
            return self.convolution(node, before)
        if node.output[0] in self.inside_norms:
            return before.after(node.output[0], node.op_type.lower())
        weights = [] if node.op_type in NO_WEIGHTS else [name for name in node.input if self.is_weight(name)]
        if not before.sources:
            return Flow()  # arithmetic on sizes
        if node.op_type == "Mul" and len(weights) == 1 and self.size(weights[0]) == 1:
            factor = Operator("scale", weights[0], (), sources=before.sources, through=before.through)
            return self.add(factor, Numbers(self.tensor(weights[0]).reshape(()), None))
        if any(self.size(name) > 1 for name in weights) and before.sources != {INPUT}:
            raise WeightsError(
                f"{self.path}: {node.op_type} {node.output[0]} has weights of its own; expected convolutions with "
                f"their batch norms folded in, group norms, and scalar factors"
            )
        return before if node.op_type in NO_STEP else before.after(node.output[0], node.op_type.lower())

    def convolution(self, node: Any, before: Flow) -> Flow:
        unknown = [name for name in node.input[1:] if name and name not in self.constants]
        if unknown:
            raise WeightsError(f"{self.path}: Conv {node.output[0]}: expected constant weights, found {unknown}")
        weight = self.tensor(node.input[1])
        bias = self.tensor(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        values = {attribute.name: attribute for attribute in node.attribute}
        if "auto_pad" in values and values["auto_pad"].s not in (b"", b"NOTSET"):
            raise WeightsError(f"{self.path}: Conv {node.output[0]}: expected explicit padding, found auto_pad")
        spatial = weight.ndim - 2
        return self.add(
            Operator(
                kind="conv",
                name=node.input[1],
                shape=tuple(weight.shape),
                stride=integers(values, "strides", (1,) * spatial),
                padding=integers(values, "pads", (0,) * 2 * spatial),
                dilation=integers(values, "dilations", (1,) * spatial),
                groups=int(values["group"].i) if "group" in values else 1,
                sources=before.sources,
                through=before.through,
            ),
            Numbers(weight, bias),
        )

    def group_norm(self, norm: GroupNorm) -> Flow:
        """One operator in place of all its nodes; who reads what is between them finds these as other arithmetic."""
        before = self.flows[norm.source]
        weight, bias = (None if values is None else torch.from_numpy(values) for values in (norm.weight, norm.bias))
        return self.add(
            Operator(
                kind="groupnorm",
                name=norm.name,
                shape=None if weight is None else tuple(weight.shape),
                groups=norm.groups,
                epsilon=norm.epsilon,
                sources=before.sources,
                through=before.through,
            ),
            Numbers(weight, bias),
        )

    def add(self, found: Operator, numbers: Numbers) -> Flow:
        self.found.append((found, numbers))
        return Flow(frozenset({len(self.found) - 1}))

    def is_weight(self, name: str) -> bool:
        return name in self.constants and np.issubdtype(self.constants[name].dtype, np.floating)

    def size(self, name: str) -> int:
        return int(self.constants[name].size)

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(self.constants[name]))


def integers(values: dict[str, Any], name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values[name].ints) if name in values else default
