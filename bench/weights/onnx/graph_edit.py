"""An ONNX graph to be rewritten: its nodes in order, and its constants by name wherever the file keeps them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.weights.optional import required


class Graph:
    def __init__(self, proto: Any) -> None:
        self.onnx = required("onnx")
        self.proto = proto
        self.constants = {tensor.name: self.onnx.numpy_helper.to_array(tensor) for tensor in proto.initializer}
        self.nodes: list[Any] = []
        for node in proto.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = self.onnx.numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type == "Identity" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self.constants[node.input[0]]
            else:
                self.nodes.append(node)

    def readers(self) -> dict[str, list[Any]]:
        return readers_of(self.nodes, self.proto.output)

    def add(self, name: str, values: NDArray[Any]) -> str:
        self.constants[name] = np.ascontiguousarray(values)
        return name

    def prune(self) -> None:
        """Drop nodes whose results nothing reads."""
        wanted = {output.name for output in self.proto.output}
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        self.nodes = kept[::-1]

    def write(self) -> None:
        """Back into the file's form, with the constants that are read."""
        wanted = {name for node in self.nodes for name in node.input}
        tensors = [
            self.onnx.numpy_helper.from_array(values, name) for name, values in self.constants.items() if name in wanted
        ]
        for field, values in ((self.proto.node, self.nodes), (self.proto.initializer, tensors)):
            del field[:]
            field.extend(values)


def readers_of(nodes: Iterable[Any], outputs: Iterable[Any]) -> dict[str, list[Any]]:
    """The nodes that read a tensor, by its name; None stands for the outside, which reads the graph's outputs."""
    found: dict[str, list[Any]] = {output.name: [None] for output in outputs}
    for node in nodes:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def is_convolution(node: Any, graph: Graph) -> bool:
    """With constant weights, as every one of ours."""
    return node.op_type == "Conv" and all(name in graph.constants for name in node.input[1:])


def group_of(node: Any) -> int:
    """Of a convolution."""
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "group"), 1)
