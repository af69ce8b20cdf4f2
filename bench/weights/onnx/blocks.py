"""Maps of 24 channels as maps of 32, eight of them zero: the runtime's own layout in place of copies to and fro.

onnxruntime keeps maps in blocks of as many channels as a vector register holds, 16 under AVX-512. Convolutions fill up
a last block that is not full and compute on it like on the others; pooling and addition do not, and what is copied
around them costs more than they do. Channels that exist and are zero cost nothing more there. On a processor of other
blocks (8 under AVX2) they are computed for nothing, which is why nobody gets them unasked.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.weights.onnx.graph_edit import Graph, group_of, is_convolution

ZERO_STAYS = {"Relu", "Add", "MaxPool", "AveragePool", "Resize"}  # of channels that are zero they make such channels
COUNTED = ""  # stands for maps whose channels somebody counts, so that there cannot be more of them


def widen(graph: Graph, block: int) -> None:
    """Give maps between convolutions channels in multiples of `block`, where nothing else sees how many there are."""
    root = tied_maps(graph)

    def wide(name: str, channels: int) -> int:
        return channels if root(name) == COUNTED else -(-channels // block) * block

    for node in [node for node in graph.nodes if block > 1 and is_convolution(node, graph)]:
        outputs, inputs = graph.constants[node.input[1]].shape[:2]
        if group_of(node) == 1:
            inputs = wide(node.input[0], inputs)
        for attribute in node.attribute:
            if attribute.name == "group" and attribute.i == outputs > 1:  # depthwise
                attribute.i = wide(node.output[0], outputs)
        shape = (wide(node.output[0], outputs), inputs)
        for index in range(1, len(node.input)):  # weight, bias
            values = filled_up(graph.constants[node.input[index]], shape)
            node.input[index] = graph.add(f"{node.input[index]}/{shape[0]}x{shape[1]}", values)


def tied_maps(graph: Graph) -> Callable[[str], str]:
    """From a map's name to the one that stands for all that must have as many channels, or to COUNTED."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.get(name, name) != name:
            name = parents[name]
        return name

    def tie(*names: str) -> None:
        roots = sorted(root(name) for name in names)  # COUNTED comes first
        parents.update(dict.fromkeys(roots, roots[0]))

    tie(COUNTED, *(value.name for value in (*graph.proto.input, *graph.proto.output)))
    for node in graph.nodes:
        maps = [name for name in node.input if name and name not in graph.constants]
        if is_convolution(node, graph):
            if group_of(node) == len(graph.constants[node.input[1]]):  # depthwise
                tie(*maps, *node.output)
            elif group_of(node) > 1:
                tie(COUNTED, *maps, *node.output)
        elif node.op_type in ZERO_STAYS and not adds_constant(node, maps):
            tie(*maps, *node.output)
        else:
            tie(COUNTED, *maps, *node.output)
    return root


def adds_constant(node: Any, maps: list[str]) -> bool:
    return node.op_type == "Add" and len(maps) != len(node.input)


def filled_up(values: NDArray[Any], channels: tuple[int, int]) -> NDArray[Any]:
    """A bias [C] or weights [C, D, ..] with zeros up to that many channels."""
    result = np.zeros((*channels[: values.ndim], *values.shape[2:]), values.dtype)
    result[tuple(slice(side) for side in values.shape)] = values
    return result
